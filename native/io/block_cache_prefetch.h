// Threads that read blocks for others: ahead of need, or for who may not wait until they come.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>

namespace lutra {

// A job runs on one of some threads, which are started as jobs come. Thread-safe.
class Prefetcher {
public:
    using Job = std::function<void()>;

    explicit Prefetcher(std::size_t threads_max);
    ~Prefetcher() { stop(); }
    Prefetcher(const Prefetcher&) = delete;
    Prefetcher& operator=(const Prefetcher&) = delete;

    // Never waits. Jobs must not throw; one that is destroyed without having run has to see to it itself.
    void add(Job job);
    // Destroys the jobs not begun, waits for those begun; from then on `add` only destroys.
    void stop();

private:
    struct Shared;

    static void work(const std::shared_ptr<Shared>& shared);

    // A job may hold the last reference to its cache: then its own thread destroys this object, and goes on with what
    // it shares.
    std::shared_ptr<Shared> shared_;
};

}  // namespace lutra
