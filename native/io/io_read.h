// Reading ranges of bytes from wherever they lie: what a file and a remote store have in common.
#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>

namespace lutra {

// What direct I/O wants offsets, lengths and buffers to be multiples of.
inline constexpr std::size_t kPageBytes = 4096;

constexpr std::uint64_t round_up_to_page(std::uint64_t bytes) {
    return (bytes + kPageBytes - 1) / kPageBytes * kPageBytes;
}

// The disk or the remote store refused, or has fewer bytes than it should. The text names the source and the offset.
struct StorageError : std::runtime_error {
    using std::runtime_error::runtime_error;
};

// Bytes came that fail their checksum. The text names the source and the block's place.
struct CorruptionError : std::runtime_error {
    using std::runtime_error::runtime_error;
};

struct ReadRequest {
    std::uint64_t offset;  // a multiple of kPageBytes
    std::size_t length;    // at least 1; all of it lies within the source
    std::byte* buffer;     // aligned to kPageBytes, with room for `length` rounded up to a page
    std::int64_t result = 0;  // the reader's own
    std::exception_ptr error = nullptr;  // set where the read failed: then nothing in the buffer may be used
};

// A source of bytes that do not change. Thread-safe.
class RangeReader {
public:
    RangeReader(std::string name, std::uint64_t size_bytes) : name_(std::move(name)), size_bytes_(size_bytes) {}
    RangeReader(const RangeReader&) = delete;
    RangeReader& operator=(const RangeReader&) = delete;
    virtual ~RangeReader() = default;

    const std::string& name() const { return name_; }
    std::uint64_t size_bytes() const { return size_bytes_; }

    // Returns when every request is done, one way or the other: each has its whole length in its buffer, or an error.
    // Throws only std::bad_alloc, and then nothing is under way any more.
    virtual void read(std::span<ReadRequest> requests) = 0;

    // `read` in two steps, for who can compute meanwhile. `start` sets the reads going and says so, or does nothing (it
    // cannot, or has no room). Where it did, `finish` has to follow with the same requests on the same thread, and
    // returns as `read` does. A thread may have several batches under way.
    virtual bool start(std::span<ReadRequest> requests) {
        static_cast<void>(requests);
        return false;
    }
    virtual void finish(std::span<ReadRequest> requests) { static_cast<void>(requests); }

    // Whether a read may be without an answer for seconds: then who has a limit of time has another thread wait for it.
    virtual bool may_stall() const { return false; }

    // Lets go of what it holds on to but memory and files. Reads that begin later may fail.
    virtual void close() {}

private:
    const std::string name_;
    const std::uint64_t size_bytes_;
};

}  // namespace lutra
