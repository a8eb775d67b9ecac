#include "node_reader.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string>

namespace lutra {

namespace {

// A batch: enough for a disk's full rate, little enough that a thread's memory for it does not matter.
constexpr std::size_t kBatchBytes = 512 * 1024;
constexpr std::size_t kBatchBlocksMax = 64;
// Room for so many blocks is what a query mostly needs.
constexpr std::size_t kBlocksAtFirst = 16;
// Neighbouring blocks are read by one request up to this size.
constexpr std::size_t kRequestBytesMax = 128 * 1024;

}  // namespace

NodeReader::NodeReader(const NodeFile& file)
    : file_(file), blocks_max_(std::clamp<std::size_t>(kBatchBytes / file.layout.block_bytes, 4, kBatchBlocksMax)) {}

NodeReader::~NodeReader() {
    abandon();
    std::free(buffer_);
}

// Reads under way write to the buffer: they have to be over before it goes or is used again.
void NodeReader::abandon() {
    if (is_under_way_) file_.reader->finish(requests_);
    is_under_way_ = false;
}

void NodeReader::start(std::span<const std::uint32_t> rows, bool reads_neighbours) {
    abandon();
    rows_.assign(rows.begin(), rows.end());
    blocks_.clear();
    if (file_.vectors != nullptr && !reads_neighbours) {
        nodes_.clear();
        for (const std::uint32_t row : rows) {
            nodes_.push_back(reinterpret_cast<const float*>(file_.vectors + row * file_.vectors_apart));
        }
        return;
    }
    for (const std::uint32_t row : rows) blocks_.push_back(row / file_.layout.nodes_per_block());
    std::sort(blocks_.begin(), blocks_.end());
    blocks_.erase(std::unique(blocks_.begin(), blocks_.end()), blocks_.end());
    nodes_.clear();
    if (blocks_.empty()) return;
    make_room(blocks_.size());
    if (file_.cached != nullptr) return;
    const std::size_t block_bytes = file_.layout.block_bytes;
    requests_.clear();
    for (std::size_t i = 0; i < blocks_.size(); ++i) {
        const bool follows = i > 0 && blocks_[i] == blocks_[i - 1] + 1 &&
                             requests_.back().length + block_bytes <= kRequestBytesMax;
        if (follows) {
            requests_.back().length += block_bytes;
        } else {
            requests_.push_back({file_.offset + blocks_[i] * block_bytes, block_bytes, buffer_ + i * block_bytes});
        }
    }
    counters_.reads += requests_.size();
    counters_.bytes += blocks_.size() * block_bytes;
    is_under_way_ = file_.reader->start(requests_);
}

void NodeReader::make_room(std::size_t blocks) {
    if (blocks * file_.layout.block_bytes <= buffer_bytes_) return;
    std::free(buffer_);
    buffer_bytes_ = 0;
    const std::size_t bytes = std::min(blocks_max_, std::max(2 * blocks, kBlocksAtFirst)) * file_.layout.block_bytes;
    buffer_ = static_cast<std::byte*>(std::aligned_alloc(kPageBytes, bytes));
    if (buffer_ == nullptr) throw std::bad_alloc();
    buffer_bytes_ = bytes;
}

void NodeReader::finish() {
    if (blocks_.empty()) return;
    if (file_.cached != nullptr) {
        copy_cached();
    } else {
        wait_and_check();
    }
    const std::size_t per_block = file_.layout.nodes_per_block();
    for (const std::uint32_t row : rows_) {
        const auto at = std::lower_bound(blocks_.begin(), blocks_.end(), row / per_block) - blocks_.begin();
        const std::byte* block = buffer_ + static_cast<std::size_t>(at) * file_.layout.block_bytes;
        nodes_.push_back(reinterpret_cast<const float*>(block + row % per_block * file_.layout.node_bytes()));
    }
}

void NodeReader::wait_and_check() {
    if (is_under_way_) {
        is_under_way_ = false;
        file_.reader->finish(requests_);
    } else {
        file_.reader->read(requests_);
    }
    for (const ReadRequest& request : requests_) {
        if (request.error) std::rethrow_exception(request.error);
    }
    const std::size_t block_bytes = file_.layout.block_bytes;
    for (std::size_t i = 0; i < blocks_.size(); ++i) {
        if (ends_in_its_crc32c(blocks_[i], {buffer_ + i * block_bytes, block_bytes})) continue;
        const std::uint64_t offset = file_.offset + blocks_[i] * block_bytes;
        throw CorruptionError(file_.reader->name() + ": section 'nodes', block " + std::to_string(blocks_[i]) +
                              " (bytes " + std::to_string(offset) + " to " + std::to_string(offset + block_bytes) +
                              ") fails its checksum");
    }
}

// Copied, and as many at a time as there is room for: who keeps hold of blocks while it waits for others may wait for
// somebody that waits for it.
void NodeReader::copy_cached() {
    const std::span<const std::uint64_t> blocks = blocks_;
    const std::size_t block_bytes = file_.layout.block_bytes;
    for (std::size_t done = 0; done < blocks.size();) {
        file_.cached->pin_some(blocks.subspan(done), pinned_);
        for (const PinnedBlock& pinned : pinned_) {
            std::memcpy(buffer_ + done++ * block_bytes, pinned.bytes().data(), block_bytes);
        }
        pinned_.clear();
    }
    counters_.reads += blocks.size();
    counters_.bytes += blocks.size() * block_bytes;
}

}  // namespace lutra
