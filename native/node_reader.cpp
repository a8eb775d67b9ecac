#include "node_reader.h"

#include <algorithm>
#include <cstdlib>
#include <new>
#include <string>

namespace lutra {

namespace {

// A batch: enough for a disk's full rate, little enough that a thread's memory for it does not matter.
constexpr std::size_t kBatchBytes = 512 * 1024;
constexpr std::size_t kBatchBlocksMax = 64;
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

void NodeReader::start(std::span<const std::uint32_t> rows) {
    abandon();
    rows_.assign(rows.begin(), rows.end());
    blocks_.clear();
    for (const std::uint32_t row : rows) blocks_.push_back(row / file_.layout.nodes_per_block());
    std::sort(blocks_.begin(), blocks_.end());
    blocks_.erase(std::unique(blocks_.begin(), blocks_.end()), blocks_.end());
    nodes_.clear();
    if (file_.cached != nullptr || blocks_.empty()) return;
    if (buffer_ == nullptr) {
        buffer_bytes_ = blocks_max_ * file_.layout.block_bytes;
        buffer_ = static_cast<std::byte*>(std::aligned_alloc(kPageBytes, buffer_bytes_));
        if (buffer_ == nullptr) throw std::bad_alloc();
    }
    const std::size_t block_bytes = file_.layout.block_bytes;
    requests_.clear();
    for (std::size_t i = 0; i < blocks_.size(); ++i) {
        const bool follows = i > 0 && blocks_[i] == blocks_[i - 1] + 1 &&
                             requests_.back().length + block_bytes <= kRequestBytesMax;
        if (follows) {
            requests_.back().length += block_bytes;
        } else {
            requests_.push_back({blocks_[i] * block_bytes, block_bytes, buffer_ + i * block_bytes});
        }
    }
    counters_.reads += requests_.size();
    counters_.bytes += blocks_.size() * block_bytes;
    is_under_way_ = file_.reader->start(requests_);
}

void NodeReader::finish() {
    if (blocks_.empty()) return;
    if (file_.cached != nullptr) {
        finish_cached();
    } else {
        finish_direct();
    }
}

void NodeReader::finish_direct() {
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
        throw CorruptionError(file_.reader->name() + ": section 'nodes', block " + std::to_string(blocks_[i]) +
                              " (bytes " + std::to_string(blocks_[i] * block_bytes) + " to " +
                              std::to_string((blocks_[i] + 1) * block_bytes) + ") fails its checksum");
    }
    for (const std::uint32_t row : rows_) {
        const std::size_t per_block = file_.layout.nodes_per_block();
        const auto at = std::lower_bound(blocks_.begin(), blocks_.end(), row / per_block) - blocks_.begin();
        const std::byte* block = buffer_ + static_cast<std::size_t>(at) * block_bytes;
        nodes_.push_back(reinterpret_cast<const float*>(block + row % per_block * file_.layout.node_bytes()));
    }
}

void NodeReader::finish_cached() {
    const std::size_t per_block = file_.layout.nodes_per_block();
    file_.cached->pin(blocks_, pinned_);
    counters_.reads += blocks_.size();
    counters_.bytes += blocks_.size() * file_.layout.block_bytes;
    for (const std::uint32_t row : rows_) {
        const auto at = std::lower_bound(blocks_.begin(), blocks_.end(), row / per_block) - blocks_.begin();
        const std::byte* block = pinned_[static_cast<std::size_t>(at)].bytes().data();
        nodes_.push_back(reinterpret_cast<const float*>(block + row % per_block * file_.layout.node_bytes()));
    }
}

}  // namespace lutra
