#include "block_cache_shard.h"

#include <bit>
#include <utility>

namespace lutra {

static_assert(sizeof(Block) == 64);
static_assert(kBlockOverheadBytes >= sizeof(Block) + 2 * sizeof(std::size_t) + 2 * sizeof(std::byte*));
static_assert(kGhostOverheadBytes >= sizeof(Block) + 2 * sizeof(std::size_t));

namespace {

constexpr std::uint8_t kHitsMax = 3;
constexpr std::uint8_t kKindMask = 7;  // of the bits that a block has for its kind
static_assert(kBlockKinds <= kKindMask + 1);
constexpr std::size_t kChunkBytesMax = std::size_t{16} << 20;
constexpr std::size_t kBucketBytes = 4096;  // of capacity: about a bucket for every block that fits

std::size_t bucket_count(std::size_t capacity_bytes) {
    return std::bit_ceil(std::max<std::size_t>(16, capacity_bytes / kBucketBytes));
}

std::size_t fixed_bytes(std::size_t capacity_bytes, std::size_t cells) {
    return sizeof(CacheShard) + bucket_count(capacity_bytes) * sizeof(Block*) + cells * sizeof(BlockCounters);
}

std::uint64_t hash(const BlockKey& key) {
    std::uint64_t mixed = (key.number + key.source * 0x9e3779b97f4a7c15u) * 0xbf58476d1ce4e5b9u;
    mixed ^= mixed >> 32;
    return mixed * 0x94d049bb133111ebu;
}

}  // namespace

void BlockCounters::add(const BlockCounters& other) {
    hits += other.hits;
    joined += other.joined;
    misses += other.misses;
    prefetches += other.prefetches;
    reads += other.reads;
    read_bytes += other.read_bytes;
    failures += other.failures;
    evictions += other.evictions;
    bypass_reads += other.bypass_reads;
    bypass_bytes += other.bypass_bytes;
    held_bytes += other.held_bytes;
    held_blocks += other.held_blocks;
}

void CacheShard::Fifo::push(Block* block) {
    block->newer = nullptr;
    block->older = newest;
    (newest != nullptr ? newest->newer : oldest) = block;
    newest = block;
    ++count;
    bytes += block->frame_bytes;
}

void CacheShard::Fifo::remove(Block* block) {
    (block->newer != nullptr ? block->newer->older : newest) = block->older;
    (block->older != nullptr ? block->older->newer : oldest) = block->newer;
    --count;
    bytes -= block->frame_bytes;
}

CacheShard::CacheShard(std::size_t capacity_bytes)
    : buckets_(bucket_count(capacity_bytes)),
      frames_(std::min(capacity_bytes, kChunkBytesMax)),
      capacity_bytes_(capacity_bytes),
      fixed_bytes_(fixed_bytes(capacity_bytes, 0)) {
    note_used();
}

CacheShard::~CacheShard() {
    for (Block* block : buckets_) {
        while (block != nullptr) delete std::exchange(block, block->chain);
    }
}

// The link that leads to the block; to a null pointer where there is none.
Block** CacheShard::find(const BlockKey& key) {
    Block** link = &buckets_[hash(key) >> 16 & (buckets_.size() - 1)];
    while (*link != nullptr && ((*link)->number != key.number || (*link)->source != key.source)) link = &(*link)->chain;
    return link;
}

CacheShard::Acquired CacheShard::acquire(const Wanted& wanted) {
    const std::lock_guard lock(mutex_);
    Block* block = *find(wanted.key);
    if (block == nullptr || block->queue == Block::kGhost) return claim(wanted, false);
    block->pins.fetch_add(1);
    if (!block->prefetched && block->hits < kHitsMax) ++block->hits;
    block->prefetched = 0;
    const bool ready = block->state.load(std::memory_order_acquire) == Block::kReady;
    ++(ready ? cells_[wanted.cell].hits : cells_[wanted.cell].joined);
    return {block, ready ? Found::kHit : Found::kJoined};
}

CacheShard::Acquired CacheShard::acquire_ahead(const Wanted& wanted) {
    const std::lock_guard lock(mutex_);
    Block* block = *find(wanted.key);
    if (block == nullptr || block->queue == Block::kGhost) return claim(wanted, true);
    return {nullptr, Found::kAbsent};
}

// A block that was evicted from the small queue not long ago is known to come back: it goes to the main one.
CacheShard::Acquired CacheShard::claim(const Wanted& wanted, bool ahead) {
    Block* ghost = *find(wanted.key);
    const bool remembered = ghost != nullptr;
    if (remembered) forget(ghost);
    if (!make_room(capacity_bytes_, wanted.frame_bytes, kBlockOverheadBytes)) return {nullptr, Found::kNoRoom};
    auto block = std::make_unique<Block>();
    block->frame = frames_.take(wanted.frame_bytes);
    block->number = wanted.key.number;
    block->source = wanted.key.source;
    block->frame_bytes = wanted.frame_bytes;
    block->pins.store(2);  // the table's and the caller's
    block->length = wanted.length;
    block->cell = wanted.cell;
    block->kind = static_cast<std::uint8_t>(wanted.kind) & kKindMask;
    block->hits = (remembered ? kBlockWorth[block->kind].head_start : 0) & 3;
    block->prefetched = ahead;
    block->queue = remembered ? Block::kMain : Block::kSmall;
    fifo(block->queue).push(block.get());
    *find(wanted.key) = block.get();
    frames_bytes_ += wanted.frame_bytes;
    overhead_bytes_ += kBlockOverheadBytes;
    note_used();
    BlockCounters& counters = cells_[wanted.cell];
    ++(ahead ? counters.prefetches : counters.misses);
    ++counters.held_blocks;
    counters.held_bytes += wanted.frame_bytes;
    return {block.release(), Found::kClaimed};
}

void CacheShard::publish(Block* block) {
    {
        const std::lock_guard lock(mutex_);
        ++cells_[block->cell].reads;
        cells_[block->cell].read_bytes += block->length;
        block->state.store(Block::kReady, std::memory_order_release);
    }
    block->state.notify_all();
    if (waiting_for_loads_.load() > 0) loaded_.notify_all();
}

void CacheShard::fail(Block* block, std::exception_ptr error) {
    auto kept = std::make_unique<std::exception_ptr>(std::move(error));
    {
        const std::lock_guard lock(mutex_);
        ++cells_[block->cell].failures;
        if (block->queue != Block::kNone) {
            leave_table(block);
            block->pins.fetch_sub(1);  // never the last: the caller has one
        }
        free_frame(block);
        block->error = kept.release();
        block->state.store(Block::kFailed, std::memory_order_release);
    }
    block->state.notify_all();
    if (waiting_for_loads_.load() > 0) loaded_.notify_all();
    released_.notify_all();
}

void CacheShard::release(Block* block) {
    const std::uint32_t before = block->pins.fetch_sub(1);
    if (before == 1) {
        const std::lock_guard lock(mutex_);
        destroy(block);
    }
    // With one pin left, the table's, the block can be evicted.
    if (before <= 2 && waiting_.load() > 0) released_.notify_all();
}

bool CacheShard::wait_loaded(const Block& block, const TimeLimit& limit) {
    // Nobody wakes who is given up meanwhile: it looks itself.
    constexpr std::chrono::milliseconds kLook{20};
    const auto is_there = [&] { return block.state.load(std::memory_order_acquire) != Block::kLoading; };
    if (is_there()) return true;
    waiting_for_loads_.fetch_add(1);
    bool came = false;
    {
        std::unique_lock lock(mutex_);
        while (!(came = is_there()) && !limit.is_over()) {
            loaded_.wait_until(lock, std::min(limit.until, std::chrono::steady_clock::now() + kLook));
        }
    }
    waiting_for_loads_.fetch_sub(1);
    return came;
}

bool CacheShard::wait_for_release(std::chrono::steady_clock::time_point deadline) {
    // A release between a failed acquire and this wait goes unheard: hence short waits.
    constexpr std::chrono::milliseconds kWaitMax{5};
    const auto now = std::chrono::steady_clock::now();
    if (now >= deadline) return false;
    waiting_.fetch_add(1);
    {
        std::unique_lock lock(mutex_);
        released_.wait_until(lock, std::min(deadline, now + kWaitMax));
    }
    waiting_.fetch_sub(1);
    return true;
}

void CacheShard::drop(std::optional<std::uint32_t> source) noexcept {
    const std::lock_guard lock(mutex_);
    for (Block* bucket : buckets_) {
        for (Block* block = bucket; block != nullptr;) {
            Block* next = block->chain;
            const bool meant = !source || block->source == *source;
            if (meant && block->queue == Block::kGhost) {
                forget(block);
            } else if (meant) {
                leave_table(block);
                if (block->pins.fetch_sub(1) == 1) destroy(block);
            }
            block = next;
        }
    }
    while (!source && frames_.idle_bytes() > 0) frames_.trim_one();
}

bool CacheShard::resize(std::size_t capacity_bytes) {
    const std::lock_guard lock(mutex_);
    std::vector<Block*> old(bucket_count(capacity_bytes));
    const std::size_t fixed = fixed_bytes(capacity_bytes, cells_.size());
    const std::size_t extra = fixed > fixed_bytes_ ? fixed - fixed_bytes_ : 0;
    if (!make_room(capacity_bytes, 0, extra)) return false;
    buckets_.swap(old);
    for (Block* bucket : old) {
        for (Block* block = bucket; block != nullptr;) {
            Block* next = std::exchange(block->chain, nullptr);
            *find({block->source, block->number}) = block;
            block = next;
        }
    }
    capacity_bytes_ = capacity_bytes;
    fixed_bytes_ = fixed;
    while (fifo(Block::kGhost).bytes > ghost_limit_bytes()) forget(fifo(Block::kGhost).oldest);
    used_bytes_max_ = used_bytes();
    return true;
}

bool CacheShard::add_cell(std::uint16_t cell) {
    const std::lock_guard lock(mutex_);
    if (cell < cells_.size()) return true;
    if (!make_room(capacity_bytes_, 0, sizeof(BlockCounters))) return false;
    cells_.emplace_back();
    fixed_bytes_ += sizeof(BlockCounters);
    note_used();
    return true;
}

CacheShard::Usage CacheShard::usage() {
    const std::lock_guard lock(mutex_);
    return {used_bytes(), used_bytes_max_, fixed_bytes_ + overhead_bytes_, fifo(Block::kGhost).count};
}

BlockCounters CacheShard::counters(std::uint16_t cell) {
    const std::lock_guard lock(mutex_);
    return cells_[cell];
}

void CacheShard::count_bypass(std::uint16_t cell, std::uint64_t blocks, std::uint64_t bytes) {
    const std::lock_guard lock(mutex_);
    cells_[cell].bypass_reads += blocks;
    cells_[cell].bypass_bytes += bytes;
}

// Frees what is least worth keeping until a frame and overhead of these sizes fit.
bool CacheShard::make_room(std::size_t capacity_bytes, std::size_t frame_bytes, std::size_t overhead_bytes) {
    for (;;) {
        const std::size_t reusable = frame_bytes > 0 && frames_.has_idle(frame_bytes) ? frame_bytes : 0;
        if (used_bytes() + frame_bytes - reusable + overhead_bytes <= capacity_bytes) return true;
        if (frames_.idle_bytes() > reusable) {
            frames_.trim_one();
        } else if (!evict_one()) {
            if (fifo(Block::kGhost).oldest == nullptr) return false;
            forget(fifo(Block::kGhost).oldest);
        }
    }
}

// S3-FIFO (Yang et al., SOSP 2023), by bytes: new blocks pass through a small queue of a tenth, which most leave
// unread; what was asked for again meanwhile, or is again after it left, gets into the main queue, a FIFO in which a
// hit is worth one more round. Pinned blocks go round without losing anything. False where all are pinned.
bool CacheShard::evict_one() {
    const Fifo& small = fifo(Block::kSmall);
    const Fifo& main = fifo(Block::kMain);
    // How often each queue can be asked before every block has had its chance to go.
    std::size_t small_steps = small.count;
    std::size_t main_steps = (small.count + main.count) * (kHitsMax + 1);
    while (small_steps + main_steps > 0) {
        const bool small_is_full = small.bytes >= capacity_bytes_ / 10;
        const bool main_is_done = main.count == 0 || main_steps == 0;
        if (small_steps > 0 && (small_is_full || main_is_done)) {
            --small_steps;
            if (step_small()) return true;
        } else if (!main_is_done) {
            --main_steps;
            if (step_main()) return true;
        } else {
            return false;
        }
    }
    return false;
}

// Deals with the oldest block of the small queue; true where it was evicted.
bool CacheShard::step_small() {
    Fifo& small = fifo(Block::kSmall);
    Block* block = small.oldest;
    if (block->pins.load() > 1) {
        small.remove(block);
        small.push(block);
        return false;
    }
    const BlockWorth& worth = kBlockWorth[block->kind];
    if (block->hits < worth.hits_to_stay) {
        evict(block, true);
        return true;
    }
    small.remove(block);
    block->queue = Block::kMain;
    block->hits = worth.head_start & 3;
    fifo(Block::kMain).push(block);
    return false;
}

bool CacheShard::step_main() {
    Fifo& main = fifo(Block::kMain);
    Block* block = main.oldest;
    const bool pinned = block->pins.load() > 1;
    if (!pinned && block->hits == 0) {
        evict(block, false);
        return true;
    }
    if (!pinned) --block->hits;
    main.remove(block);
    main.push(block);
    return false;
}

void CacheShard::evict(Block* block, bool remember) {
    ++cells_[block->cell].evictions;
    if (!remember) {
        leave_table(block);
        destroy(block);
        return;
    }
    fifo(block->queue).remove(block);
    free_frame(block);
    block->queue = Block::kGhost;
    Fifo& ghosts = fifo(Block::kGhost);
    ghosts.push(block);
    overhead_bytes_ -= kBlockOverheadBytes - kGhostOverheadBytes;
    while (ghosts.bytes > ghost_limit_bytes()) forget(ghosts.oldest);
}

void CacheShard::forget(Block* ghost) {
    leave_table(ghost);
    overhead_bytes_ -= kGhostOverheadBytes;
    delete ghost;
}

void CacheShard::leave_table(Block* block) {
    Block** link = find({block->source, block->number});
    *link = block->chain;
    fifo(block->queue).remove(block);
    block->queue = Block::kNone;
}

void CacheShard::free_frame(Block* block) {
    frames_.give(block->frame, block->frame_bytes);
    frames_bytes_ -= block->frame_bytes;
    BlockCounters& counters = cells_[block->cell];
    counters.held_bytes -= block->frame_bytes;
    --counters.held_blocks;
}

void CacheShard::destroy(Block* block) {
    if (block->state.load(std::memory_order_acquire) == Block::kFailed) {
        delete block->error;
    } else {
        free_frame(block);
    }
    overhead_bytes_ -= kBlockOverheadBytes;
    delete block;
}

}  // namespace lutra
