// Bytes of a stream that a part's readers look at, in windows that they own: nothing stays pinned in a cache.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace lutra::text {

// A stream of bytes that do not change. Thread-safe.
class ByteStream {
  public:
    explicit ByteStream(std::string name, std::uint64_t origin = 0) : name_(std::move(name)), origin_(origin) {}
    virtual ~ByteStream() = default;

    // What errors call it.
    const std::string& name() const { return name_; }
    // Where it begins in what errors call so.
    std::uint64_t origin() const { return origin_; }
    // All of it, and 8 bytes more, where it is in memory; nullptr where it is not.
    virtual const std::uint8_t* whole() const { return nullptr; }
    // A read of so many bytes from a multiple of them is the cheapest.
    virtual std::uint64_t size_bytes() const = 0;
    virtual std::size_t page_bytes() const = 0;
    // Copies pages `page` to `page` + `count` - 1, of which the last may be shorter. Throws StorageError,
    // CorruptionError and what else a source throws. `past_cache`: they are read once, by somebody who reads all.
    virtual void read(std::uint64_t page, std::size_t count, bool past_cache, std::uint8_t* to) const = 0;

  private:
    std::string name_;
    std::uint64_t origin_;
};

// Looks at a stream from one place to the next. It reads ahead where it is read on and on.
class Window {
  public:
    // Where `past_cache`, it reads much at once from the first read on.
    explicit Window(std::shared_ptr<const ByteStream> stream, bool past_cache = false);

    // `length` bytes from `offset` on, and 8 more that mean nothing; until the next call. Throws CorruptionError, naming
    // the stream, where they are not in it.
    const std::uint8_t* view(std::uint64_t offset, std::uint64_t length);

    const std::shared_ptr<const ByteStream>& stream() const { return stream_; }
    // Throws CorruptionError: what lies at `offset` makes no sense, as `what` says.
    [[noreturn]] void fail(std::uint64_t offset, const std::string& what) const;

  private:
    void load(std::uint64_t first, std::uint64_t last);

    std::shared_ptr<const ByteStream> stream_;
    bool past_cache_;
    const std::uint8_t* whole_ = nullptr;
    std::uint64_t begin_ = 0, end_ = 0;  // bytes of the stream that lie in data_
    std::size_t ahead_ = 1;              // pages to read at once where it is read on
    std::vector<std::uint8_t> data_;
};

// In memory.
std::shared_ptr<const ByteStream> stream_of(std::string name, std::string bytes, std::uint64_t origin = 0);

}  // namespace lutra::text
