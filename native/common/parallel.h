// Work shared out to threads, where it may throw.
#pragma once

#include <atomic>
#include <cstddef>
#include <exception>
#include <mutex>

#include "threads.h"
#include "time_limit.h"

namespace lutra {

// As `in_blocks`, by the limit of the thread that calls it; the first exception of the work is thrown here, once all
// threads are done. Blocks not begun by then are left out.
template <class Work>
void parallel_for(unsigned threads, std::size_t count, std::size_t block, const Work& work) {
    std::atomic<bool> failed{false};
    std::exception_ptr failure;
    std::mutex failure_mutex;
    const TimeLimit limit = current_limit();
    in_blocks(count, block, threads, [&](unsigned thread, std::size_t begin, std::size_t end) noexcept {
        if (failed.load(std::memory_order_relaxed)) return;
        try {
            const WorkingUntil working(limit);
            work(thread, begin, end);
        } catch (...) {
            const std::lock_guard lock(failure_mutex);
            if (!failure) failure = std::current_exception();
            failed.store(true, std::memory_order_relaxed);
        }
    });
    if (failure) std::rethrow_exception(failure);
}

}  // namespace lutra
