// Batches of reads by io_uring, with the kernel's own calls: no library is needed, and one system call does a batch.
#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "io_read.h"

namespace lutra {

// One thread's ring. Kept for the thread's life, since to set one up costs as much as several reads.
class IoRing {
public:
    // The calling thread's ring; nullptr where the kernel (or its seccomp filter) refuses one.
    static IoRing* of_thread();

    ~IoRing();

    // Reads whole pages, at most `depth` (1 to kDepthMax) at a time, and sets each request's `result`: bytes read, or
    // minus an errno. Returns when none is under way.
    void read(int file, std::span<ReadRequest> requests, unsigned depth);

    // Sets the reads of whole pages going, all of them, or none (false) where more than kDepthMax would be under way.
    bool start(int file, std::span<ReadRequest> requests);
    // Returns when those that `start` was given are done, each with its `result`.
    void finish(std::span<ReadRequest> requests);

    static constexpr unsigned kDepthMax = 64;

private:
    struct Memory;  // what is shared with the kernel

    explicit IoRing(std::unique_ptr<Memory> memory);
    static std::unique_ptr<IoRing> open();

    void submit(int file, ReadRequest& request);
    void enter(unsigned wanted);
    void reap();

    std::unique_ptr<Memory> memory_;
    unsigned unsubmitted_ = 0;
    std::size_t started_ = 0;  // by `start`, and not yet finished
};

}  // namespace lutra
