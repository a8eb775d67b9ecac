#include "io_pool.h"

#include <pthread.h>
#include <unistd.h>

#include <cerrno>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>

namespace lutra {

namespace {

// Reads wait, they do not compute: as many as a disk serves well at once.
constexpr unsigned kThreads = 16;

struct Batch {
    std::mutex mutex;
    std::condition_variable done;
    std::size_t open;
};

struct Task {
    int file;
    ReadRequest* request;
    Batch* batch;
};

class ReadingThreads {
public:
    // The process's. Never destroyed: its threads end with the process. A forked child starts its own.
    static ReadingThreads& get() {
        std::call_once(forks_followed, [] {
            instance = new ReadingThreads;
            pthread_atfork(nullptr, nullptr, [] { instance = new ReadingThreads; });
        });
        return *instance;
    }

    void read(int file, std::span<ReadRequest> requests) {
        Batch batch{{}, {}, requests.size()};
        {
            const std::lock_guard lock(mutex_);
            start_threads();
            for (ReadRequest& request : requests) tasks_.push_back({file, &request, &batch});
        }
        work_.notify_all();
        // This thread takes its share, so that it gets there even where no other thread could be started.
        while (std::optional<Task> task = take()) run(*task);
        std::unique_lock lock(batch.mutex);
        batch.done.wait(lock, [&] { return batch.open == 0; });
    }

private:
    void start_threads() {
        try {
            for (; threads_ < kThreads; ++threads_) {
                std::thread([this] {
                    for (;;) run(wait());
                }).detach();
            }
        } catch (const std::system_error&) {
        }
    }

    std::optional<Task> take() {
        const std::lock_guard lock(mutex_);
        if (tasks_.empty()) return std::nullopt;
        const Task task = tasks_.front();
        tasks_.pop_front();
        return task;
    }

    Task wait() {
        std::unique_lock lock(mutex_);
        work_.wait(lock, [&] { return !tasks_.empty(); });
        const Task task = tasks_.front();
        tasks_.pop_front();
        return task;
    }

    static void run(const Task& task) {
        ReadRequest& request = *task.request;
        request.result = read_pages(task.file, request.buffer, round_up_to_page(request.length), request.offset);
        // Under the lock to the end: the batch is gone as soon as its owner sees 0.
        const std::lock_guard lock(task.batch->mutex);
        if (--task.batch->open == 0) task.batch->done.notify_one();
    }

    static inline std::once_flag forks_followed;
    static inline ReadingThreads* instance = nullptr;

    std::mutex mutex_;
    std::condition_variable work_;
    std::deque<Task> tasks_;
    unsigned threads_ = 0;
};

}  // namespace

std::int64_t read_pages(int file, std::byte* buffer, std::size_t length, std::uint64_t offset) {
    for (;;) {
        const ssize_t got = pread(file, buffer, length, static_cast<off_t>(offset));
        if (got >= 0) return got;
        if (errno != EINTR) return -errno;
    }
}

void read_by_threads(int file, std::span<ReadRequest> requests) {
    if (requests.size() == 1) {
        requests[0].result =
            read_pages(file, requests[0].buffer, round_up_to_page(requests[0].length), requests[0].offset);
        return;
    }
    ReadingThreads::get().read(file, requests);
}

}  // namespace lutra
