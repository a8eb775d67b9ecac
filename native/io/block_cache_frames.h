// Memory for cached blocks: frames aligned to pages, whose bytes can be counted exactly and given back to the system.
#pragma once

#include <cstddef>
#include <vector>

namespace lutra {

// Not thread-safe: each shard of a cache has its own. Address space is taken in chunks and kept to the end; memory is
// what lies under frames in use or idle. (A heap would round aligned blocks up, and would not give them back.)
class FramePool {
public:
    explicit FramePool(std::size_t chunk_bytes) : chunk_bytes_(chunk_bytes) {}
    FramePool(const FramePool&) = delete;
    FramePool& operator=(const FramePool&) = delete;
    ~FramePool();

    // A frame of `bytes`, a multiple of a page. Throws std::bad_alloc.
    std::byte* take(std::size_t bytes);
    // The frame is idle from now on: it still has its memory.
    void give(std::byte* frame, std::size_t bytes);

    bool has_idle(std::size_t bytes) const;
    std::size_t idle_bytes() const { return idle_bytes_; }
    // Gives the memory of one idle frame back to the system; there has to be one.
    void trim_one();

private:
    struct Size {
        std::size_t bytes;
        std::vector<std::byte*> idle;   // with memory
        std::vector<std::byte*> empty;  // addresses without
    };
    struct Chunk {
        void* begin;
        std::size_t bytes;
    };

    Size& size_of(std::size_t bytes);
    void grow(Size& size);

    const std::size_t chunk_bytes_;
    std::vector<Size> sizes_;
    std::vector<Chunk> chunks_;
    std::size_t idle_bytes_ = 0;
};

}  // namespace lutra
