// Reads of a source's blocks through the cache, ahead of need, and past it.
#include <algorithm>
#include <cstring>

#include "block_cache.h"
#include "crc32c.h"

namespace lutra {

namespace {
// Of one read past the cache: beyond that a disk gains nothing.
constexpr std::size_t kBypassReadBytesMax = 256 << 10;
// So long a local disk may leave a read waiting that others keep busy. Where less is left, another thread reads: that
// costs some 20 us.
constexpr std::chrono::milliseconds kLocalReadMax{50};

// Whether the time may be up before a read is done.
bool may_end_before_a_read(const RangeReader& reader, const TimeLimit& limit) {
    if (!limit.is_limited()) return false;
    if (reader.may_stall()) return true;
    return limit.until != TimeLimit::Clock::time_point::max() && limit.until - TimeLimit::Clock::now() < kLocalReadMax;
}
}  // namespace

bool ends_in_its_crc32c(std::uint64_t, std::span<const std::byte> bytes) {
    constexpr std::size_t kSize = sizeof(std::uint32_t);
    if (bytes.size() < kSize) return false;
    const auto* at = reinterpret_cast<const unsigned char*>(bytes.data() + bytes.size() - kSize);
    const std::uint32_t written =
        at[0] | std::uint32_t{at[1]} << 8 | std::uint32_t{at[2]} << 16 | std::uint32_t{at[3]} << 24;
    return crc32c(bytes.data(), bytes.size() - kSize) == written;
}

// Blocks that this thread has claimed and so owes to all others who want them: whatever happens, each is published or
// fails.
class BlockSource::Loads {
public:
    explicit Loads(BlockSource& source) : source_(source) {}
    Loads(const Loads&) = delete;
    Loads& operator=(const Loads&) = delete;
    ~Loads() {
        if (!blocks_.empty()) {
            fail_all(std::make_exception_ptr(StorageError(source_.reader_->name() + ": the read was given up")));
        }
    }

    void reserve(std::size_t count) { blocks_.reserve(count); }
    void add(CacheShard& shard, Block* block) { blocks_.emplace_back(&shard, block); }
    bool empty() const { return blocks_.empty(); }
    // Has `others` do it; `pins` are what holds the blocks meanwhile.
    void hand_over(Loads& others, std::vector<PinnedBlock>& pins) {
        pins.reserve(blocks_.size());
        others.reserve(blocks_.size());
        for (const auto& [shard, block] : blocks_) {
            block->pins.fetch_add(1);  // this thread has a pin, so it is no last one
            pins.emplace_back(*shard, block);
            others.add(*shard, block);
        }
        blocks_.clear();
    }

    // Reads them in one batch. Does not throw what a read does: that is the blocks' to tell.
    void run() {
        if (blocks_.empty()) return;
        std::vector<ReadRequest> requests;
        requests.reserve(blocks_.size());
        const Section& section = source_.section_;
        for (const auto& [shard, block] : blocks_) {
            requests.push_back({section.offset + block->number * section.block_bytes, block->length, block->frame});
        }
        try {
            source_.reader_->read(requests);
        } catch (...) {
            fail_all(std::current_exception());
            return;
        }
        for (std::size_t i = 0; i < blocks_.size(); ++i) {
            const auto& [shard, block] = blocks_[i];
            std::exception_ptr error = requests[i].error;
            if (!error && section.verify && !section.verify(block->number, block->bytes())) {
                error = source_.corruption(block->number);
            }
            if (error) {
                shard->fail(block, std::move(error));
            } else {
                shard->publish(block);
            }
        }
        blocks_.clear();
    }

private:
    void fail_all(const std::exception_ptr& error) {
        for (const auto& [shard, block] : blocks_) shard->fail(block, error);
        blocks_.clear();
    }

    BlockSource& source_;
    std::vector<std::pair<CacheShard*, Block*>> blocks_;
};

// Reads by another thread: they hold their blocks until these are there, whoever else does.
struct BlockSource::Ahead {
    explicit Ahead(std::shared_ptr<BlockSource> asked) : source(std::move(asked)), loads(*source) {}

    // In this order, so that the loads go first, then the pins, then what both refer to.
    std::shared_ptr<BlockSource> source;
    std::vector<PinnedBlock> pins;
    Loads loads;
};

BlockSource::BlockSource(std::shared_ptr<BlockCache> cache, std::shared_ptr<RangeReader> reader, Section section,
                         std::uint32_t id, std::uint16_t cell)
    : cache_(std::move(cache)),
      reader_(std::move(reader)),
      section_(std::move(section)),
      block_count_((section_.length + section_.block_bytes - 1) / section_.block_bytes),
      id_(id),
      cell_(cell) {}

BlockSource::~BlockSource() { close(); }

void BlockSource::close() {
    if (closed_.exchange(true)) return;
    for (const auto& shard : cache_->shards_) shard->drop(id_);
}

std::uint32_t BlockSource::length_of(std::uint64_t number) const {
    const std::uint64_t rest = section_.length - number * section_.block_bytes;
    return static_cast<std::uint32_t>(std::min<std::uint64_t>(rest, section_.block_bytes));
}

void BlockSource::check(std::span<const std::uint64_t> numbers) const {
    if (closed_.load(std::memory_order_relaxed) || cache_->closed()) {
        throw std::invalid_argument(reader_->name() + ": is closed");
    }
    for (const std::uint64_t number : numbers) {
        if (number >= block_count_) {
            throw std::out_of_range(reader_->name() + ": there is no block " + std::to_string(number) + " among " +
                                    std::to_string(block_count_));
        }
    }
}

CacheShard::Wanted BlockSource::wanted(std::uint64_t number) const {
    return {{id_, number}, section_.block_bytes, length_of(number), cell_, section_.kind};
}

std::exception_ptr BlockSource::corruption(std::uint64_t number) const {
    return std::make_exception_ptr(
        CorruptionError(reader_->name() + ": block " + std::to_string(number) + " (" +
                        std::to_string(length_of(number)) + " bytes at offset " + std::to_string(section_.offset + number * section_.block_bytes) +
                        ") fails its checksum"));
}

void BlockSource::pin(std::span<const std::uint64_t> numbers, std::vector<PinnedBlock>& pinned) {
    pin_prefix(numbers, pinned, true);
}

void BlockSource::pin_some(std::span<const std::uint64_t> numbers, std::vector<PinnedBlock>& pinned) {
    pin_prefix(numbers, pinned, false);
}

void BlockSource::pin_prefix(std::span<const std::uint64_t> numbers, std::vector<PinnedBlock>& pinned, bool all) {
    check(numbers);
    pinned.clear();
    pinned.reserve(numbers.size());
    const TimeLimit limit = current_limit();
    const auto deadline = std::min(std::chrono::steady_clock::now() + kRoomWaitMax, limit.until);
    try {
        Loads loads(*this);
        loads.reserve(numbers.size());
        for (const std::uint64_t number : numbers) {
            const CacheShard::Wanted block = wanted(number);
            CacheShard& shard = cache_->shard_of(block.key);
            CacheShard::Acquired acquired = shard.acquire(block);
            while (acquired.found == CacheShard::Found::kNoRoom && (all || pinned.empty())) {
                load(loads, limit);  // before waiting for others: they may be waiting for these
                if (!shard.wait_for_release(deadline)) {
                    limit.check();
                    throw NoRoomError(reader_->name() + ": the block cache's memory is all in use");
                }
                acquired = shard.acquire(block);
            }
            if (acquired.block == nullptr) break;
            pinned.emplace_back(shard, acquired.block);
            if (acquired.found == CacheShard::Found::kClaimed) loads.add(shard, acquired.block);
        }
        load(loads, limit);
        if (const std::exception_ptr error = wait(pinned, limit)) std::rethrow_exception(error);
    } catch (...) {
        pinned.clear();
        throw;
    }
}

// Has them read: by another thread where this one may have to go before they are there.
void BlockSource::load(Loads& loads, const TimeLimit& limit) {
    if (loads.empty()) return;
    if (!may_end_before_a_read(*reader_, limit)) {
        loads.run();
        return;
    }
    const auto ahead = std::make_shared<Ahead>(shared_from_this());
    loads.hand_over(ahead->loads, ahead->pins);
    cache_->loader_.add([ahead] { ahead->loads.run(); });
}

// Until all are there or have failed: then the first error. Throws TooLateError where the time is up before.
std::exception_ptr BlockSource::wait(const std::vector<PinnedBlock>& pinned, const TimeLimit& limit) {
    std::exception_ptr error;
    for (const PinnedBlock& pin : pinned) {
        const Block* block = pin.block_;
        if (!limit.is_limited()) {
            block->state.wait(Block::kLoading, std::memory_order_acquire);
        } else if (!pin.shard_->wait_loaded(*block, limit)) {
            limit.check();
        }
        if (!error && block->state.load(std::memory_order_acquire) == Block::kFailed) error = *block->error;
    }
    return error;
}

void BlockSource::prefetch(std::span<const std::uint64_t> numbers) {
    check(numbers);
    const auto ahead = std::make_shared<Ahead>(shared_from_this());
    ahead->pins.reserve(numbers.size());
    ahead->loads.reserve(numbers.size());
    for (const std::uint64_t number : numbers) {
        const CacheShard::Wanted block = wanted(number);
        CacheShard& shard = cache_->shard_of(block.key);
        const CacheShard::Acquired acquired = shard.acquire_ahead(block);
        if (acquired.found != CacheShard::Found::kClaimed) continue;
        ahead->pins.emplace_back(shard, acquired.block);
        ahead->loads.add(shard, acquired.block);
    }
    if (!ahead->loads.empty()) cache_->prefetcher_.add([ahead] { ahead->loads.run(); });
}

void BlockSource::read_past_cache(std::span<const std::uint64_t> numbers, std::byte* frames) {
    check(numbers);
    std::vector<ReadRequest> requests;
    const std::size_t block_bytes = section_.block_bytes;
    for (std::size_t i = 0; i < numbers.size(); ++i) {
        const bool follows = i > 0 && numbers[i] == numbers[i - 1] + 1 &&
                             requests.back().length + block_bytes <= kBypassReadBytesMax;
        const std::size_t length = length_of(numbers[i]);
        if (follows) {
            requests.back().length += length;
        } else {
            requests.push_back({section_.offset + numbers[i] * block_bytes, length, frames + i * block_bytes});
        }
    }
    reader_->read(requests);
    for (const ReadRequest& request : requests) {
        if (request.error) std::rethrow_exception(request.error);
    }
    std::uint64_t bytes = 0;
    for (std::size_t i = 0; i < numbers.size(); ++i) {
        const std::size_t length = length_of(numbers[i]);
        if (section_.verify && !section_.verify(numbers[i], {frames + i * block_bytes, length})) {
            std::rethrow_exception(corruption(numbers[i]));
        }
        bytes += length;
    }
    cache_->shards_.front()->count_bypass(cell_, numbers.size(), bytes);
}

}  // namespace lutra
