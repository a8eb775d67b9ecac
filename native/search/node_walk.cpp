#include "node_walk.h"

#include <algorithm>
#include <cstring>
#include <string>

#include "graph.h"

namespace lutra {

namespace {

// Nodes expanded at once: more keep the disk busier, and are more often not needed (DiskANN's beam width).
constexpr std::size_t kExpandedAtOnce = 6;

}  // namespace

void NodeWalk::begin(const QueryCode* code, std::size_t beam, std::uint32_t left_out) {
    code_ = code;
    is_measuring_ = false;
    hops_ = 0;
    estimates_ = 0;
    beam_.reset(beam);
    seen_.reset(parts_.nodes.row_count);
    if (left_out < parts_.nodes.row_count) seen_.insert(left_out);
    met_.clear();
    fresh_.clear();
    spilled_.clear();
    for (const std::uint32_t entry : parts_.entries) meet(entry);
    for (const std::uint32_t row : parts_.apart) meet(row);
    if (code_ != nullptr) end_round();
}

void NodeWalk::meet(std::uint32_t row) {
    if (seen_.insert(row)) met_.push_back(row);
}

void NodeWalk::next(std::size_t most, std::vector<std::uint32_t>& rows) {
    rows.clear();
    is_measuring_ = !met_.empty();
    if (is_measuring_) {
        const std::size_t count = std::min(most, met_.size());
        rows.assign(met_.end() - static_cast<std::ptrdiff_t>(count), met_.end());
        met_.resize(met_.size() - count);
        return;
    }
    while (rows.size() < std::min(most, kExpandedAtOnce)) {
        const Candidate* nearest = beam_.expand();
        if (nearest == nullptr) return;
        rows.push_back(nearest->row);
        ++hops_;
    }
}

void NodeWalk::give(std::uint32_t row, float distance, const std::uint32_t* neighbours) {
    if (is_measuring_) {
        fresh_.push_back({distance, row});
        return;
    }
    for (std::size_t i = 0; i < parts_.nodes.layout.degree; ++i) {
        std::uint32_t neighbour;
        std::memcpy(&neighbour, neighbours + i, sizeof neighbour);
        if (neighbour == kNoRow) break;
        if (neighbour >= parts_.nodes.row_count) {
            throw CorruptionError(parts_.nodes.reader->name() + ": row " + std::to_string(row) + " has neighbour " +
                                  std::to_string(neighbour) + " of " + std::to_string(parts_.nodes.row_count) + " rows");
        }
        meet(neighbour);
    }
}

void NodeWalk::end_round() {
    if (code_ != nullptr && !met_.empty()) {
        records_.clear();
        for (const std::uint32_t row : met_) {
            records_.push_back(parts_.records + std::size_t{row} * code_->record_bytes());
        }
        distances_.resize(met_.size());
        code_->estimate_batch(records_.data(), records_.size(), distances_.data());
        estimates_ += met_.size();
        for (std::size_t i = 0; i < met_.size(); ++i) {
            fresh_.push_back({distances_[i], met_[i]});
        }
        met_.clear();
    }
    beam_.merge(fresh_, &spilled_);
    fresh_.clear();
}

bool NodeWalk::widen() {
    if (spilled_.empty()) return false;
    beam_.widen(2 * beam_.width());
    fresh_.swap(spilled_);
    spilled_.clear();
    beam_.merge(fresh_, &spilled_);
    fresh_.clear();
    return true;
}

}  // namespace lutra
