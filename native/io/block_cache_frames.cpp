#include "block_cache_frames.h"

#include <sys/mman.h>

#include <algorithm>
#include <new>

// Under AddressSanitizer a frame may be touched only while it is in use, as if it came from the heap.
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(address, size) (static_cast<void>(address), static_cast<void>(size))
#define ASAN_UNPOISON_MEMORY_REGION(address, size) (static_cast<void>(address), static_cast<void>(size))
#endif

namespace lutra {

FramePool::~FramePool() {
    for (const Chunk& chunk : chunks_) {
        ASAN_UNPOISON_MEMORY_REGION(chunk.begin, chunk.bytes);
        munmap(chunk.begin, chunk.bytes);
    }
}

FramePool::Size& FramePool::size_of(std::size_t bytes) {
    for (Size& size : sizes_) {
        if (size.bytes == bytes) return size;
    }
    return sizes_.emplace_back(Size{bytes, {}, {}});
}

bool FramePool::has_idle(std::size_t bytes) const {
    return std::any_of(sizes_.begin(), sizes_.end(),
                       [bytes](const Size& size) { return size.bytes == bytes && !size.idle.empty(); });
}

void FramePool::grow(Size& size) {
    const std::size_t frames = std::max<std::size_t>(1, chunk_bytes_ / size.bytes);
    // So that giving back cannot fail for want of memory.
    size.empty.reserve(size.empty.capacity() + frames);
    size.idle.reserve(size.empty.capacity());
    chunks_.reserve(chunks_.size() + 1);
    const std::size_t bytes = frames * size.bytes;
    void* begin = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (begin == MAP_FAILED) throw std::bad_alloc();
    // A huge page would put memory under frames that are not in use.
    madvise(begin, bytes, MADV_NOHUGEPAGE);
    ASAN_POISON_MEMORY_REGION(begin, bytes);
    chunks_.push_back({begin, bytes});
    for (std::size_t i = frames; i-- > 0;) size.empty.push_back(static_cast<std::byte*>(begin) + i * size.bytes);
}

std::byte* FramePool::take(std::size_t bytes) {
    Size& size = size_of(bytes);
    const bool from_idle = !size.idle.empty();
    if (!from_idle && size.empty.empty()) grow(size);
    std::vector<std::byte*>& from = from_idle ? size.idle : size.empty;
    std::byte* frame = from.back();
    from.pop_back();
    if (from_idle) idle_bytes_ -= bytes;
    ASAN_UNPOISON_MEMORY_REGION(frame, bytes);
    return frame;
}

void FramePool::give(std::byte* frame, std::size_t bytes) {
    ASAN_POISON_MEMORY_REGION(frame, bytes);
    size_of(bytes).idle.push_back(frame);
    idle_bytes_ += bytes;
}

void FramePool::trim_one() {
    const auto size =
        std::find_if(sizes_.begin(), sizes_.end(), [](const Size& candidate) { return !candidate.idle.empty(); });
    std::byte* frame = size->idle.back();
    size->idle.pop_back();
    madvise(frame, size->bytes, MADV_DONTNEED);
    size->empty.push_back(frame);
    idle_bytes_ -= size->bytes;
}

}  // namespace lutra
