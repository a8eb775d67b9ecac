#include "block_cache.h"

#include <algorithm>
#include <bit>

namespace lutra {

namespace {

constexpr std::size_t kShardBytesMin = std::size_t{64} << 10;
// Few enough blocks would make S3-FIFO's queues meaningless, and pins would soon take a whole shard.
constexpr std::size_t kBlocksPerShardMin = 8;
constexpr unsigned kShardsMax = 64;

unsigned shards_for(std::size_t budget_bytes, unsigned shards) {
    constexpr std::size_t kShardBytes = std::size_t{16} << 20;
    if (shards == 0) shards = static_cast<unsigned>(std::clamp<std::size_t>(budget_bytes / kShardBytes, 1, 16));
    if (shards > kShardsMax) {
        throw std::invalid_argument("a block cache has 1 to 64 shards, not " + std::to_string(shards));
    }
    return std::bit_floor(shards);
}

void check_budget(std::size_t budget_bytes, std::size_t shards, std::size_t block_bytes) {
    const std::size_t least = shards * std::max(kShardBytesMin, block_bytes * kBlocksPerShardMin);
    if (budget_bytes >= least) return;
    throw std::invalid_argument("a block cache of " + std::to_string(shards) + " shards and blocks of " +
                                std::to_string(block_bytes) + " bytes needs at least " + std::to_string(least) +
                                " bytes, not " + std::to_string(budget_bytes));
}

}  // namespace

std::shared_ptr<BlockCache> BlockCache::create(std::size_t budget_bytes, unsigned shards) {
    shards = shards_for(budget_bytes, shards);
    check_budget(budget_bytes, shards, kPageBytes);
    return std::shared_ptr<BlockCache>(new BlockCache(budget_bytes, shards));
}

BlockCache::BlockCache(std::size_t budget_bytes, unsigned shards) : budget_bytes_(budget_bytes) {
    for (unsigned i = 0; i < shards; ++i) shards_.push_back(std::make_unique<CacheShard>(budget_bytes / shards));
}

BlockCache::~BlockCache() {
    prefetcher_.stop();
    loader_.stop();
}

CacheShard& BlockCache::shard_of(const BlockKey& key) {
    // Other bits than those that choose a bucket within the shard.
    const std::uint64_t mixed = (key.number ^ (std::uint64_t{key.source} << 40)) * 0x9e3779b97f4a7c15u;
    return *shards_[(mixed >> 58) & (shards_.size() - 1)];
}

std::uint16_t BlockCache::cell_of(const std::string& owner, BlockKind kind) {
    const auto found = std::find(cells_.begin(), cells_.end(), std::pair(owner, kind));
    if (found != cells_.end()) return static_cast<std::uint16_t>(found - cells_.begin());
    if (cells_.size() > 0xffff) throw std::invalid_argument("a block cache counts for at most 65,536 owners and kinds");
    const auto cell = static_cast<std::uint16_t>(cells_.size());
    for (const auto& shard : shards_) {
        if (!shard->add_cell(cell)) {
            throw NoRoomError("the block cache's memory is all in use: nothing can be opened now");
        }
    }
    cells_.emplace_back(owner, kind);
    return cell;
}

std::shared_ptr<BlockSource> BlockCache::open(std::shared_ptr<RangeReader> reader, Section section) {
    const std::lock_guard lock(mutex_);
    if (closed()) throw std::invalid_argument("the block cache is closed");
    if (section.block_bytes == 0 || section.block_bytes % kPageBytes != 0 || section.block_bytes > kBlockBytesMax) {
        throw std::invalid_argument("blocks have a multiple of 4096 bytes up to 1 MiB, not " +
                                    std::to_string(section.block_bytes));
    }
    if (section.offset % kPageBytes != 0 || section.offset > reader->size_bytes() ||
        section.length > reader->size_bytes() - section.offset) {
        throw std::invalid_argument(reader->name() + ": " + std::to_string(section.length) + " bytes at offset " +
                                    std::to_string(section.offset) +
                                    " are not a section of it: sections begin at multiples of 4096 and end within its " +
                                    std::to_string(reader->size_bytes()) + " bytes");
    }
    check_budget(budget_bytes_, shards_.size(), section.block_bytes);
    const std::uint16_t cell = cell_of(section.owner, section.kind);
    std::erase_if(readers_, [](const auto& known) { return known.expired(); });
    readers_.push_back(reader);
    block_bytes_max_ = std::max(block_bytes_max_, section.block_bytes);
    return std::shared_ptr<BlockSource>(
        new BlockSource(shared_from_this(), std::move(reader), std::move(section), sources_++, cell));
}

BlockCache::Counters BlockCache::counters() {
    const std::lock_guard lock(mutex_);
    Counters counters;
    counters.budget_bytes = budget_bytes_;
    for (const auto& [owner, kind] : cells_) counters.owners.push_back({owner, kind, {}});
    for (const auto& shard : shards_) {
        const CacheShard::Usage usage = shard->usage();
        counters.used_bytes += usage.used_bytes;
        counters.used_bytes_max += usage.used_bytes_max;
        counters.overhead_bytes += usage.overhead_bytes;
        counters.ghosts += usage.ghosts;
        for (std::size_t i = 0; i < cells_.size(); ++i) {
            counters.owners[i].counters.add(shard->counters(static_cast<std::uint16_t>(i)));
        }
    }
    return counters;
}

void BlockCache::resize(std::size_t budget_bytes) {
    const std::lock_guard lock(mutex_);
    check_budget(budget_bytes, shards_.size(), block_bytes_max_);
    const auto deadline = std::chrono::steady_clock::now() + kRoomWaitMax;
    for (std::size_t i = 0; i < shards_.size(); ++i) {
        while (!shards_[i]->resize(budget_bytes / shards_.size())) {
            if (shards_[i]->wait_for_release(deadline)) continue;
            // Larger than now: this succeeds.
            for (std::size_t done = 0; done < i; ++done) shards_[done]->resize(budget_bytes_ / shards_.size());
            throw NoRoomError("blocks in use do not fit a block cache of " + std::to_string(budget_bytes) +
                              " bytes: it keeps its " + std::to_string(budget_bytes_));
        }
    }
    budget_bytes_ = budget_bytes;
}

void BlockCache::close() {
    if (closed_.exchange(true)) return;
    prefetcher_.stop();
    loader_.stop();
    for (const auto& shard : shards_) shard->drop(std::nullopt);
    std::vector<std::weak_ptr<RangeReader>> readers;
    {
        const std::lock_guard lock(mutex_);
        readers.swap(readers_);
    }
    for (const auto& known : readers) {
        if (const auto reader = known.lock()) reader->close();
    }
}

}  // namespace lutra
