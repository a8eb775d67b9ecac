#include "text_blocks.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>
#include <numeric>
#include <utility>
#include <vector>

namespace lutra::text {

namespace {

constexpr std::size_t kChecksumBytes = 4;

struct FreeAligned {
    void operator()(std::byte* frames) const { std::free(frames); }
};

class Blocks final : public ByteStream {
  public:
    Blocks(std::shared_ptr<BlockSource> blocks, std::string name)
        : ByteStream(std::move(name)), blocks_(std::move(blocks)) {}

    std::uint64_t size_bytes() const override { return blocks_->block_count() * page_bytes(); }
    std::size_t page_bytes() const override { return blocks_->section().block_bytes - kChecksumBytes; }

    void read(std::uint64_t page, std::size_t count, bool past_cache, std::uint8_t* to) const override {
        std::vector<std::uint64_t> numbers(count);
        std::iota(numbers.begin(), numbers.end(), page);
        try {
            if (past_cache) {
                read_past_cache(numbers, to);
            } else {
                read_through(numbers, to);
            }
        } catch (const CorruptionError& error) {
            throw CorruptionError("section '" + name() + "': " + error.what());
        }
    }

  private:
    void read_through(std::span<const std::uint64_t> numbers, std::uint8_t* to) const {
        std::vector<PinnedBlock> pinned;
        for (std::size_t begin = 0; begin < numbers.size(); begin += pinned.size()) {
            pinned.clear();  // before asking for more: who waits holds nothing
            blocks_->pin_some(numbers.subspan(begin), pinned);
            for (std::size_t i = 0; i < pinned.size(); ++i) copy(pinned[i].bytes(), to + (begin + i) * page_bytes());
        }
    }

    void read_past_cache(std::span<const std::uint64_t> numbers, std::uint8_t* to) const {
        const std::size_t block_bytes = blocks_->section().block_bytes;
        const std::unique_ptr<std::byte, FreeAligned> frames(
            static_cast<std::byte*>(std::aligned_alloc(kPageBytes, numbers.size() * block_bytes)));
        if (!frames) throw std::bad_alloc();
        blocks_->read_past_cache(numbers, frames.get());
        for (std::size_t i = 0; i < numbers.size(); ++i) {
            copy({frames.get() + i * block_bytes, block_bytes}, to + i * page_bytes());
        }
    }

    void copy(std::span<const std::byte> block, std::uint8_t* to) const {
        std::memcpy(to, block.data(), std::min(block.size(), page_bytes()));
    }

    std::shared_ptr<BlockSource> blocks_;
};

}  // namespace

std::shared_ptr<const ByteStream> stream_of_blocks(std::shared_ptr<BlockSource> blocks, std::string name) {
    const Section& section = blocks->section();
    if (!section.verify || section.length % section.block_bytes != 0) {
        throw std::invalid_argument("blocks of words are whole and end in their checksums");
    }
    return std::make_shared<Blocks>(std::move(blocks), std::move(name));
}

}  // namespace lutra::text
