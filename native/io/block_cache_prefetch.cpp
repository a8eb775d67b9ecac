#include "block_cache_prefetch.h"

#include <condition_variable>
#include <deque>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace lutra {

struct Prefetcher::Shared {
    explicit Shared(std::size_t most) : threads_max(most) {}

    const std::size_t threads_max;
    std::mutex mutex;
    std::condition_variable changed;
    std::deque<Job> jobs;
    std::vector<std::thread> threads;
    std::size_t idle = 0;
    bool stopped = false;
};

Prefetcher::Prefetcher(std::size_t threads_max) : shared_(std::make_shared<Shared>(threads_max)) {}

void Prefetcher::add(Job job) {
    {
        const std::lock_guard lock(shared_->mutex);
        if (shared_->stopped) return;
        if (shared_->idle <= shared_->jobs.size() && shared_->threads.size() < shared_->threads_max) {
            try {
                shared_->threads.emplace_back([shared = shared_] { work(shared); });
            } catch (const std::system_error&) {
                if (shared_->threads.empty()) return;  // else those that run do it
            }
        }
        shared_->jobs.push_back(std::move(job));
    }
    shared_->changed.notify_one();
}

void Prefetcher::work(const std::shared_ptr<Shared>& shared) {
    for (;;) {
        Job job;
        {
            std::unique_lock lock(shared->mutex);
            ++shared->idle;
            shared->changed.wait(lock, [&] { return shared->stopped || !shared->jobs.empty(); });
            --shared->idle;
            if (shared->stopped) return;
            job = std::move(shared->jobs.front());
            shared->jobs.pop_front();
        }
        job();
    }
}

void Prefetcher::stop() {
    std::deque<Job> jobs;
    std::vector<std::thread> threads;
    {
        const std::lock_guard lock(shared_->mutex);
        shared_->stopped = true;
        jobs.swap(shared_->jobs);
        threads.swap(shared_->threads);
    }
    shared_->changed.notify_all();
    jobs.clear();
    for (std::thread& thread : threads) {
        if (thread.get_id() == std::this_thread::get_id()) {
            thread.detach();
        } else {
            thread.join();
        }
    }
}

}  // namespace lutra
