// Work over ranges of rows, shared out between threads.
#pragma once

#if defined(__linux__)
#include <sched.h>
#endif

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <exception>
#include <thread>
#include <vector>

namespace lutra {

// Processors this process may use.
inline unsigned processors() {
#if defined(__linux__)
    cpu_set_t set;
    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof set, &set) == 0) return static_cast<unsigned>(CPU_COUNT(&set));
#endif
    return std::max(1u, std::thread::hardware_concurrency());
}

// Calls work(thread, begin, end) for blocks of [0, count), on at most `threads` threads of which the caller is the
// first; `thread` is below `threads`. The work must not throw. Where no thread is to be had, those that run do it all.
template <class Work>
void in_blocks(std::size_t count, std::size_t block, unsigned threads, const Work& work) {
    std::atomic<std::size_t> next{0};
    const auto run = [&](unsigned thread) noexcept {
        for (;;) {
            const std::size_t begin = next.fetch_add(block, std::memory_order_relaxed);
            if (begin >= count) return;
            work(thread, begin, std::min(begin + block, count));
        }
    };
    std::vector<std::thread> others;
    try {
        others.reserve(threads - 1);
        for (unsigned i = 1; i < threads && i * block < count; ++i) others.emplace_back(run, i);
    } catch (const std::exception&) {
    }
    run(0);
    for (std::thread& other : others) other.join();
}

}  // namespace lutra
