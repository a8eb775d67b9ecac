// Nodes of a segment (a vector, and its neighbours where there is a graph) read block by block, each block checked.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "block_cache.h"
#include "io_read.h"

namespace lutra {

// Where the node of a row lies: lutra.vectors.layout.BlockLayout.
struct NodeLayout {
    std::size_t dimension;
    std::size_t degree;  // 0: nodes carry no neighbours
    std::size_t block_bytes;

    std::size_t node_bytes() const { return 4 * (dimension + degree); }
    std::size_t nodes_per_block() const { return (block_bytes - 4) / node_bytes(); }
};

// The nodes of one segment. Thread-safe.
struct NodeFile {
    std::shared_ptr<RangeReader> reader;
    std::shared_ptr<BlockSource> cached;  // nullptr: every block is read from the reader, one batch after the other
    NodeLayout layout;
    std::size_t row_count;
    std::uint64_t offset = 0;  // of the first block in what the reader reads
    const std::uint8_t* vectors = nullptr;  // where they are in memory, and not read: the first, and
    std::size_t vectors_apart = 0;          // how many bytes lie from each to the next
};

struct ReadCounters {
    std::uint64_t reads = 0;  // requests to the disk or the remote store
    std::uint64_t bytes = 0;
};

// A thread's memory for reading nodes. What `node` gives stays until the next `start`.
class NodeReader {
  public:
    explicit NodeReader(const NodeFile& file);
    NodeReader(const NodeReader&) = delete;
    NodeReader& operator=(const NodeReader&) = delete;
    ~NodeReader();

    // Of how many blocks the rows of one batch may be.
    std::size_t blocks_max() const { return blocks_max_; }

    // Sets reads of these rows' blocks going, as far as the source can; each block is read once. Where vectors are in
    // memory nothing is, unless `reads_neighbours`: without, only vectors are asked for.
    void start(std::span<const std::uint32_t> rows, bool reads_neighbours);
    // Returns when all are there and checked. Throws StorageError, CorruptionError or what the source threw.
    void finish();
    // Instead of `finish`, where nobody wants them any more.
    void give_up() { abandon(); }

    const float* vector(std::size_t index) const { return nodes_[index]; }
    // Of row `index` of the batch: [degree], in memory that need not be aligned to more than 4 bytes.
    const std::uint32_t* neighbours(std::size_t index) const {
        return reinterpret_cast<const std::uint32_t*>(nodes_[index] + file_.layout.dimension);
    }

    const ReadCounters& counters() const { return counters_; }
    void reset_counters() { counters_ = {}; }
    std::size_t size_bytes() const { return buffer_bytes_; }

  private:
    void make_room(std::size_t blocks);
    void wait_and_check();
    void copy_cached();
    void abandon();

    const NodeFile& file_;
    const std::size_t blocks_max_;
    std::size_t buffer_bytes_ = 0;
    std::byte* buffer_ = nullptr;
    std::vector<std::uint32_t> rows_;
    std::vector<std::uint64_t> blocks_;  // sorted, each once
    std::vector<ReadRequest> requests_;
    bool is_under_way_ = false;
    std::vector<PinnedBlock> pinned_;
    std::vector<const float*> nodes_;
    ReadCounters counters_;
};

}  // namespace lutra
