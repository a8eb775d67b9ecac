#include "text_stream.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "io_read.h"

namespace lutra::text {

namespace {

constexpr std::size_t kPadding = 8;
constexpr std::size_t kAheadMax = 8;
constexpr std::size_t kSweepPages = 64;

class Bytes final : public ByteStream {
  public:
    Bytes(std::string name, std::string bytes, std::uint64_t origin)
        : ByteStream(std::move(name), origin), size_(bytes.size()), bytes_(std::move(bytes)) {
        bytes_.append(kPadding, '\0');
    }
    std::uint64_t size_bytes() const override { return size_; }
    std::size_t page_bytes() const override { return 4092; }
    const std::uint8_t* whole() const override { return reinterpret_cast<const std::uint8_t*>(bytes_.data()); }
    void read(std::uint64_t page, std::size_t count, bool, std::uint8_t* to) const override {
        const std::uint64_t begin = page * page_bytes();
        std::memcpy(to, bytes_.data() + begin, std::min<std::uint64_t>(count * page_bytes(), size_ - begin));
    }

  private:
    std::uint64_t size_;
    std::string bytes_;
};

}  // namespace

std::shared_ptr<const ByteStream> stream_of(std::string name, std::string bytes, std::uint64_t origin) {
    return std::make_shared<Bytes>(std::move(name), std::move(bytes), origin);
}

Window::Window(std::shared_ptr<const ByteStream> stream, bool past_cache)
    : stream_(std::move(stream)), past_cache_(past_cache) {
    whole_ = stream_->whole();
    if (whole_ != nullptr) {
        end_ = stream_->size_bytes();
        return;
    }
    data_.resize(kPadding);
    if (past_cache_) ahead_ = kSweepPages;
}

void Window::fail(std::uint64_t offset, const std::string& what) const {
    const std::uint64_t page = stream_->page_bytes(), place = stream_->origin() + offset;
    throw CorruptionError("section '" + stream_->name() + "', block " + std::to_string(place / page) + " (byte " +
                          std::to_string(place) + " of the stream): " + what);
}

const std::uint8_t* Window::view(std::uint64_t offset, std::uint64_t length) {
    if (offset < begin_ || offset + length > end_ || offset + length < offset) {
        if (offset > stream_->size_bytes() || length > stream_->size_bytes() - offset) {
            fail(std::min(offset, stream_->size_bytes()),
                 std::to_string(length) + " bytes are said to lie there, but the section ends before");
        }
        const std::uint64_t page = stream_->page_bytes();
        load(offset / page, length == 0 ? offset / page : (offset + length - 1) / page);
    }
    return whole_ != nullptr ? whole_ + offset : data_.data() + (offset - begin_);
}

void Window::load(std::uint64_t first, std::uint64_t last) {
    const std::uint64_t page = stream_->page_bytes(), size = stream_->size_bytes();
    const std::uint64_t pages = (size + page - 1) / page;
    if (!past_cache_) {
        // The page that is read on from is in the window still, so that what lies across its end is had without it.
        const bool follows = end_ > 0 && (first * page == end_ || (first * page < end_ && first * page >= begin_));
        ahead_ = follows ? std::min(2 * ahead_, kAheadMax) : 1;
    }
    std::uint64_t count = std::min(std::max<std::uint64_t>(last - first + 1, ahead_), pages - std::min(first, pages));
    if (count == 0) {  // a view of nothing at the very end
        begin_ = end_ = first * page;
        data_.assign(kPadding, 0);
        return;
    }
    const std::uint64_t begin = first * page;
    std::uint64_t kept = 0;
    if (begin >= begin_ && begin < end_ && end_ % page == 0) {
        kept = std::min(count, (end_ - begin) / page);
        std::memmove(data_.data(), data_.data() + (begin - begin_), kept * page);
    }
    const std::uint64_t end = std::min(size, begin + count * page);
    if (data_.size() < count * page + kPadding) data_.resize(count * page + kPadding);
    begin_ = end_ = 0;  // should the read fail
    if (count > kept) stream_->read(first + kept, count - kept, past_cache_, data_.data() + kept * page);
    begin_ = begin;
    end_ = end;
}

}  // namespace lutra::text
