// One shard of the block cache: a table of blocks, the S3-FIFO queues that decide which stay, and their memory.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "block_cache_frames.h"
#include "time_limit.h"

namespace lutra {

// What a block is for, dearest first but for the last. The numbers are those of lutra.kernels.blocks.BlockKind.
enum class BlockKind : std::uint8_t { kMetadata = 0, kAdjacency = 1, kCodes = 2, kVectors = 3, kColumns = 4 };
inline constexpr std::size_t kBlockKinds = 5;

// How a kind weighs in S3-FIFO, whose own figures are those of kVectors.
struct BlockWorth {
    std::uint8_t hits_to_stay;  // hits in the small queue that take a block to the main one
    std::uint8_t head_start;    // hits it has when it gets there: rounds of the main queue it lasts without one
};
inline constexpr std::array<BlockWorth, kBlockKinds> kBlockWorth{{{0, 3}, {1, 2}, {1, 1}, {2, 0}, {1, 1}}};

// Memory that a block takes besides its frame (itself, its bucket, its place in the pool's lists), and that a block
// takes which is remembered but no longer held.
inline constexpr std::size_t kBlockOverheadBytes = 112;
inline constexpr std::size_t kGhostOverheadBytes = 80;

struct BlockCounters {
    std::uint64_t hits = 0;        // found in memory
    std::uint64_t joined = 0;      // found on its way into memory for somebody else
    std::uint64_t misses = 0;      // read because they were asked for
    std::uint64_t prefetches = 0;  // read ahead of being asked for
    std::uint64_t reads = 0;       // blocks that were read into memory
    std::uint64_t read_bytes = 0;
    std::uint64_t failures = 0;    // blocks that could not be read, or failed their checksum
    std::uint64_t evictions = 0;
    std::uint64_t bypass_reads = 0;  // blocks read past the cache
    std::uint64_t bypass_bytes = 0;
    std::uint64_t held_bytes = 0;  // now: of frames, overhead left out
    std::uint64_t held_blocks = 0;

    void add(const BlockCounters& other);
};

struct BlockKey {
    std::uint32_t source;
    std::uint64_t number;
};

// A block that is held, on its way, or only remembered. One cache line.
struct Block {
    enum State : std::uint32_t { kLoading, kReady, kFailed };
    enum Queue : std::uint8_t { kNone, kSmall, kMain, kGhost };  // kNone: no longer in the table

    Block* chain = nullptr;  // of its bucket
    Block* newer = nullptr;  // of its queue
    Block* older = nullptr;
    union {
        std::byte* frame;           // kLoading, kReady
        std::exception_ptr* error;  // kFailed
    };
    std::uint64_t number;
    std::uint32_t source;
    std::uint32_t frame_bytes;
    std::atomic<std::uint32_t> pins{0};  // users, and the table itself; who takes it to 0 frees the block
    std::atomic<std::uint32_t> state{kLoading};
    std::uint32_t length;  // bytes of it that the source has
    std::uint16_t cell;    // whose counters
    Queue queue = kNone;
    std::uint8_t kind : 3;
    std::uint8_t hits : 2;
    std::uint8_t prefetched : 1;  // and not asked for since: to be asked for then is no second use

    std::span<const std::byte> bytes() const { return {frame, length}; }
};

// Thread-safe. Memory, with all that belongs to it, never exceeds the capacity.
class CacheShard {
public:
    enum class Found { kHit, kJoined, kClaimed, kAbsent, kNoRoom };
    struct Acquired {
        Block* block;  // pinned; nullptr where kAbsent or kNoRoom
        Found found;
    };
    struct Wanted {
        BlockKey key;
        std::uint32_t frame_bytes;
        std::uint32_t length;
        std::uint16_t cell;
        BlockKind kind;
    };
    struct Usage {
        std::size_t used_bytes = 0;
        std::size_t used_bytes_max = 0;
        std::size_t overhead_bytes = 0;  // of these: all but the frames
        std::size_t ghosts = 0;
    };

    explicit CacheShard(std::size_t capacity_bytes);
    CacheShard(const CacheShard&) = delete;
    CacheShard& operator=(const CacheShard&) = delete;
    ~CacheShard();

    // Finds the block and pins it, or makes room for it: kClaimed obliges the caller to `publish` or `fail` it soon.
    Acquired acquire(const Wanted& wanted);
    // As acquire, but a block that is there already is left alone (kAbsent): nobody asked for it yet.
    Acquired acquire_ahead(const Wanted& wanted);
    void publish(Block* block);
    void fail(Block* block, std::exception_ptr error);
    void release(Block* block);

    // Waits until a block that the caller has a pin of is there, or has failed; false where the time is up before.
    bool wait_loaded(const Block& block, const TimeLimit& limit);
    // Waits until a pin may have gone; false at the deadline.
    bool wait_for_release(std::chrono::steady_clock::time_point deadline);

    // Forgets a source's blocks, or (nullopt) all; those in use live on until they are released.
    void drop(std::optional<std::uint32_t> source) noexcept;
    // Takes the capacity down or up. False, and nothing is changed for good, where pinned blocks do not let it.
    bool resize(std::size_t capacity_bytes);

    // Sees to it that there is a cell of counters of this number; false where pinned blocks leave no room for it.
    bool add_cell(std::uint16_t cell);

    Usage usage();
    BlockCounters counters(std::uint16_t cell);
    void count_bypass(std::uint16_t cell, std::uint64_t blocks, std::uint64_t bytes);

private:
    struct Fifo {
        Block* newest = nullptr;
        Block* oldest = nullptr;
        std::size_t count = 0;
        std::size_t bytes = 0;

        void push(Block* block);
        void remove(Block* block);
    };

    // All below need the lock.
    Block** find(const BlockKey& key);
    Acquired claim(const Wanted& wanted, bool ahead);
    bool make_room(std::size_t capacity_bytes, std::size_t frame_bytes, std::size_t overhead_bytes);
    bool evict_one();
    bool step_small();
    bool step_main();
    void evict(Block* block, bool remember);
    void forget(Block* ghost);
    void leave_table(Block* block);
    void free_frame(Block* block);
    void destroy(Block* block);
    std::size_t ghost_limit_bytes() const { return capacity_bytes_ - capacity_bytes_ / 10; }
    std::size_t used_bytes() const { return fixed_bytes_ + overhead_bytes_ + frames_bytes_ + frames_.idle_bytes(); }
    void note_used() { used_bytes_max_ = std::max(used_bytes_max_, used_bytes()); }
    Fifo& fifo(Block::Queue queue) { return queues_[queue]; }

    std::mutex mutex_;
    std::condition_variable released_;
    std::condition_variable loaded_;
    std::atomic<unsigned> waiting_for_loads_{0};
    std::atomic<unsigned> waiting_{0};
    std::vector<Block*> buckets_;
    std::array<Fifo, 4> queues_;  // by Block::Queue
    std::vector<BlockCounters> cells_;
    FramePool frames_;
    std::size_t capacity_bytes_ = 0;
    std::size_t fixed_bytes_ = 0;     // the shard itself and its buckets
    std::size_t overhead_bytes_ = 0;  // of blocks and ghosts
    std::size_t frames_bytes_ = 0;    // of frames in use
    std::size_t used_bytes_max_ = 0;
};

}  // namespace lutra
