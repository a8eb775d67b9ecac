// Threads that help with a piece of work where processors have nothing else to do.
#pragma once

#include <pthread.h>

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <system_error>
#include <thread>

#include "threads.h"
#include "time_limit.h"

namespace lutra {

// One thread fewer than the process has processors. A piece of work is shared out where some of them are idle, and is
// done by its own thread alone where all are busy: so one search gets faster, and many at once do not get slower. Who
// asks for help never waits for a helper to wake up, only for what one has begun.
class Helpers {
  public:
    // The process's. Never destroyed: its threads end with the process. A forked child has its own.
    static Helpers& get() {
        std::call_once(forks_followed, [] {
            instance = new Helpers;
            pthread_atfork(nullptr, nullptr, [] { instance = new Helpers; });
        });
        return *instance;
    }

    // Counts the thread as busy while it lives.
    class Busy {
      public:
        Busy() : helpers_(get()) { helpers_.busy_.fetch_add(1, std::memory_order_relaxed); }
        Busy(const Busy&) = delete;
        Busy& operator=(const Busy&) = delete;
        ~Busy() { helpers_.busy_.fetch_sub(1, std::memory_order_relaxed); }

      private:
        Helpers& helpers_;
    };

    // Processors that no thread which counts as busy needs.
    unsigned idle() const {
        const unsigned busy = busy_.load(std::memory_order_relaxed);
        return busy < processors_ ? processors_ - busy : 0;
    }

    // Calls work(i) for each i below `count`, by the limit of this thread, which is busy: by it and at most `helpers`
    // others. The first exception is thrown here once all that was begun is done; what was not begun then is left out.
    template <class Work>
    void run(unsigned helpers, std::size_t count, const Work& work) {
        const auto job = std::make_shared<Job>(count, current_limit(), [&work](std::size_t i) { work(i); });
        if (helpers > 0 && count > 1) ask(job, std::min<std::size_t>(helpers, count - 1));
        job->work();
        job->wait();
        if (job->failure) std::rethrow_exception(job->failure);
    }

  private:
    struct Job {
        Job(std::size_t of, const TimeLimit& until, std::function<void(std::size_t)> what)
            : count(of), limit(until), call(std::move(what)) {}

        // Takes what nobody has taken yet, one after the other. Nothing of the caller is touched where nothing is left.
        void work() {
            const WorkingUntil working(limit);
            for (;;) {
                const std::size_t i = next.fetch_add(1);
                if (i >= count) return;
                try {
                    if (!failed.load()) call(i);
                } catch (...) {
                    const std::lock_guard lock(mutex);
                    if (!failure) failure = std::current_exception();
                    failed.store(true);
                }
                const std::lock_guard lock(mutex);
                if (++done == count) over.notify_all();
            }
        }

        void wait() {
            std::unique_lock lock(mutex);
            over.wait(lock, [&] { return done == count; });
        }

        const std::size_t count;
        const TimeLimit limit;
        const std::function<void(std::size_t)> call;
        std::atomic<std::size_t> next{0};
        std::atomic<bool> failed{false};
        std::mutex mutex;
        std::condition_variable over;
        std::size_t done = 0;
        std::exception_ptr failure;
    };

    Helpers() : processors_(processors()) {}

    void ask(const std::shared_ptr<Job>& job, std::size_t helpers) {
        {
            const std::lock_guard lock(mutex_);
            try {
                for (; threads_ + 1 < processors_; ++threads_) std::thread([this] { help(); }).detach();
            } catch (const std::system_error&) {  // those that run do it
            }
            for (std::size_t i = 0; i < helpers; ++i) jobs_.push_back(job);
        }
        helpers == 1 ? wanted_.notify_one() : wanted_.notify_all();
    }

    void help() {
        for (;;) {
            std::shared_ptr<Job> job;
            {
                std::unique_lock lock(mutex_);
                wanted_.wait(lock, [&] { return !jobs_.empty(); });
                job = std::move(jobs_.front());
                jobs_.pop_front();
            }
            busy_.fetch_add(1, std::memory_order_relaxed);
            job->work();
            busy_.fetch_sub(1, std::memory_order_relaxed);
        }
    }

    static inline std::once_flag forks_followed;
    static inline Helpers* instance = nullptr;

    const unsigned processors_;
    std::atomic<unsigned> busy_{0};
    std::mutex mutex_;
    std::condition_variable wanted_;
    std::deque<std::shared_ptr<Job>> jobs_;
    unsigned threads_ = 0;
};

}  // namespace lutra
