// A cache of blocks of immutable sources, within a budget of memory that holds. Usable from any thread, without Python.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "block_cache_prefetch.h"
#include "block_cache_shard.h"
#include "io_read.h"
#include "time_limit.h"

namespace lutra {

inline constexpr std::uint32_t kBlockBytesMax = 1 << 20;

// Batches that are read ahead at a time: more than one hides the latency of a remote store from other sources' reads.
inline constexpr std::size_t kPrefetchesMax = 4;
// And by threads that go on where who asked for them has no more time: as many as may hang.
inline constexpr std::size_t kLoadsMax = 64;

// How long somebody waits for others to release memory.
inline constexpr std::chrono::seconds kRoomWaitMax{2};

// The budget's memory is all in use at this moment.
struct NoRoomError : std::runtime_error {
    using std::runtime_error::runtime_error;
};

// Whether a block's bytes are those that were written. Called once for every read of it, by several threads.
using BlockVerifier = std::function<bool(std::uint64_t number, std::span<const std::byte> bytes)>;

// The verifier of blocks whose last 4 bytes are the CRC-32C of those before, little-endian.
bool ends_in_its_crc32c(std::uint64_t number, std::span<const std::byte> bytes);

// A range of a reader's bytes, cut into blocks of one size; the last may be shorter.
struct Section {
    std::uint64_t offset = 0;  // a multiple of kPageBytes
    std::uint64_t length = 0;  // bytes
    std::uint32_t block_bytes = kPageBytes;  // a multiple of kPageBytes, at most kBlockBytesMax
    BlockKind kind = BlockKind::kMetadata;
    std::string owner;     // whose counters: a table, an index, a tenant. They are kept for the cache's life.
    BlockVerifier verify;  // empty: nothing is checked
};

// Keeps a block in memory while it lives. Must not outlive the cache.
class PinnedBlock {
public:
    PinnedBlock(CacheShard& shard, Block* block) : shard_(&shard), block_(block) {}
    PinnedBlock(PinnedBlock&& other) noexcept : shard_(other.shard_), block_(std::exchange(other.block_, nullptr)) {}
    PinnedBlock& operator=(PinnedBlock&& other) noexcept {
        std::swap(shard_, other.shard_);
        std::swap(block_, other.block_);
        return *this;
    }
    ~PinnedBlock() {
        if (block_ != nullptr) shard_->release(block_);
    }

    // Aligned to kPageBytes.
    std::span<const std::byte> bytes() const { return block_->bytes(); }

private:
    friend class BlockSource;

    CacheShard* shard_;
    Block* block_;
};

class BlockSource;

class BlockCache : public std::enable_shared_from_this<BlockCache> {
public:
    struct OwnerCounters {
        std::string owner;
        BlockKind kind;
        BlockCounters counters;
    };
    struct Counters {
        std::size_t budget_bytes = 0;
        std::size_t used_bytes = 0;      // frames and all that belongs to them
        std::size_t used_bytes_max = 0;  // at most ever so many since the last resize
        std::size_t overhead_bytes = 0;  // of used_bytes: what is not frames
        std::size_t ghosts = 0;          // blocks remembered but not held
        std::vector<OwnerCounters> owners;
    };

    // `shards` 1 to 64, 0: by the budget; each takes an equal part of it, at least 64 KiB. Throws
    // std::invalid_argument.
    static std::shared_ptr<BlockCache> create(std::size_t budget_bytes, unsigned shards = 0);
    ~BlockCache();

    // Throws std::invalid_argument where the section makes no sense, or its blocks are too large for the budget.
    std::shared_ptr<BlockSource> open(std::shared_ptr<RangeReader> reader, Section section);

    Counters counters();
    // Returns when the new budget holds. Throws NoRoomError where pinned blocks do not let it: then the old one does.
    void resize(std::size_t budget_bytes);
    // Gives memory back; reads that begin later are refused, those under way end as they would.
    void close();

private:
    friend class BlockSource;

    BlockCache(std::size_t budget_bytes, unsigned shards);

    CacheShard& shard_of(const BlockKey& key);
    std::uint16_t cell_of(const std::string& owner, BlockKind kind);
    bool closed() const { return closed_.load(std::memory_order_relaxed); }

    std::mutex mutex_;
    std::size_t budget_bytes_;
    std::uint32_t block_bytes_max_ = kPageBytes;  // of all sources there were
    std::uint32_t sources_ = 0;                   // so many there were
    std::vector<std::weak_ptr<RangeReader>> readers_;
    std::vector<std::pair<std::string, BlockKind>> cells_;
    std::vector<std::unique_ptr<CacheShard>> shards_;
    std::atomic<bool> closed_{false};
    Prefetcher prefetcher_{kPrefetchesMax};
    Prefetcher loader_{kLoadsMax};
};

// Thread-safe. All reads throw StorageError, CorruptionError or what the reader threw where a block cannot be had (no
// other block is returned either), std::out_of_range for a block that is not there, std::invalid_argument when closed.
class BlockSource : public std::enable_shared_from_this<BlockSource> {
public:
    ~BlockSource();

    // Replaces `pinned` with the blocks, in the order asked for; what is not in memory is read in one batch. Where the
    // budget has no room, waits for others to release some; throws NoRoomError after two seconds of that. Where the
    // thread's time is up before a remote store answers, throws TooLateError; the reads go on.
    void pin(std::span<const std::uint64_t> numbers, std::vector<PinnedBlock>& pinned);
    // As pin, but stops at the first block without room, and waits only for the very first one: for callers that can
    // go on with some of the blocks. Those never wait for each other in a circle.
    void pin_some(std::span<const std::uint64_t> numbers, std::vector<PinnedBlock>& pinned);
    // Has the blocks read by another thread. Those that fail, or find no room, are as if nobody had asked.
    void prefetch(std::span<const std::uint64_t> numbers);
    // Reads into `frames` (aligned to kPageBytes, block_bytes for each block), past the cache and without any effect
    // on it: for those who read everything once.
    void read_past_cache(std::span<const std::uint64_t> numbers, std::byte* frames);
    // Reads that begin later are refused; those under way end as they would.
    void close();

    const Section& section() const { return section_; }
    const std::shared_ptr<RangeReader>& reader() const { return reader_; }
    const std::shared_ptr<BlockCache>& cache() const { return cache_; }
    std::uint64_t block_count() const { return block_count_; }
    std::uint32_t length_of(std::uint64_t number) const;  // bytes: block_bytes but for the last
    // Throws what every read does where the source is closed or has no such block.
    void check(std::span<const std::uint64_t> numbers) const;

private:
    friend class BlockCache;
    class Loads;
    struct Ahead;

    BlockSource(std::shared_ptr<BlockCache> cache, std::shared_ptr<RangeReader> reader, Section section,
                std::uint32_t id, std::uint16_t cell);

    void pin_prefix(std::span<const std::uint64_t> numbers, std::vector<PinnedBlock>& pinned, bool all);
    void load(Loads& loads, const TimeLimit& limit);
    static std::exception_ptr wait(const std::vector<PinnedBlock>& pinned, const TimeLimit& limit);
    CacheShard::Wanted wanted(std::uint64_t number) const;
    std::exception_ptr corruption(std::uint64_t number) const;

    const std::shared_ptr<BlockCache> cache_;
    const std::shared_ptr<RangeReader> reader_;
    const Section section_;
    const std::uint64_t block_count_;
    const std::uint32_t id_;
    const std::uint16_t cell_;
    std::atomic<bool> closed_{false};
};

}  // namespace lutra
