// Best-first walk over a graph whose rows have the codes of their neighbours beside them, and their vectors in memory:
// every row it comes to is compared exactly, and all its neighbours are estimated at once.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <span>
#include <vector>

#include "beam.h"
#include "exact_distance.h"
#include "link_codes.h"
#include "time_limit.h"

namespace lutra {

// What walks run over. Read by any number of threads at once; not to be changed meanwhile.
struct LinkGraph {
    const std::uint8_t* blocks;  // [row_count, block_bytes], of the layout
    std::size_t row_count;
    LinkLayout layout;
    std::size_t block_bytes;
    std::span<const std::uint32_t> entries;
    std::span<const std::uint32_t> apart;  // as of WalkGraph
};

// The nearest rows found, one taken in at a time; which of them are expanded is told by the highest bit of their numbers
// (kGraphRowsMax leaves it free).
class LinkBeam {
  public:
    void reset(std::size_t width) {
        items_.resize(width);
        size_ = next_ = 0;
    }

    // What is not below it is not taken.
    float limit() const {
        return size_ < items_.size() ? std::numeric_limits<float>::infinity() : items_[size_ - 1].distance;
    }

    double span() const { return size_ == 0 ? 0 : double{items_[size_ - 1].distance} - items_[0].distance; }

    void take(const Candidate& candidate) {
        if (!(candidate.distance < limit())) return;
        // Without a branch a step: each would be foretold wrongly half of the time.
        const Candidate* at = items_.data();
        for (std::size_t count = size_; count > 0;) {
            const std::size_t half = (count + 1) / 2;
            at += (at[half - 1].distance <= candidate.distance) * half;
            count -= half;
        }
        const auto begin = static_cast<std::size_t>(at - items_.data());
        size_ = std::min(size_ + 1, items_.size());
        std::memmove(items_.data() + begin + 1, items_.data() + begin, (size_ - begin - 1) * sizeof(Candidate));
        items_[begin] = candidate;
        next_ = std::min(next_, begin);
    }

    // Gives the nearest one not yet expanded, which counts as expanded from now on. False: there is none.
    bool expand(Candidate& next) {
        while (next_ < size_ && (items_[next_].row & kExpanded) != 0) ++next_;
        if (next_ == size_) return false;
        next = items_[next_];
        items_[next_++].row |= kExpanded;
        return true;
    }

    // Fills `rows` with those that `expand` would give next, at most `count`; returns how many there are.
    std::size_t peek(std::uint32_t* rows, std::size_t count) const {
        std::size_t found = 0;
        for (std::size_t at = next_; at < size_ && found < count; ++at) {
            if ((items_[at].row & kExpanded) == 0) rows[found++] = items_[at].row;
        }
        return found;
    }

  private:
    static constexpr std::uint32_t kExpanded = 0x80000000u;

    std::vector<Candidate> items_;  // [width], of which the first `size_` are there
    std::size_t size_ = 0;
    std::size_t next_ = 0;  // all before it are expanded
};

// A thread's memory for walks, used again by each.
class LinkWalk {
  public:
    // Walks until all of a beam is expanded, or the time is up; `left_out`: a row that is walked as if it were not there;
    // kNoRow: none.
    void run(const LinkGraph& graph, const LinkQuery& query, const ExactDistance& exact, std::size_t beam,
             std::uint32_t left_out);

    // Rows that were compared and their distances, in no order; each once.
    const std::vector<Candidate>& compared() const { return compared_; }

    // Whether estimates tell rows apart: what the beam held at last spans many times as much as they were off by.
    bool is_distinct() const;

    // Whether the time was up before that.
    bool is_late() const { return is_late_; }

    std::uint64_t hops() const { return hops_; }
    std::uint64_t estimates() const { return estimates_count_; }

  private:
    void compare_all(std::span<const std::uint32_t> rows);
    void begin_at(std::size_t most);
    void expand_all();
    void compare_next(const Candidate* next, std::size_t count, float* distances);
    void estimate_neighbours(std::uint32_t row, float distance);
    void prefetch(std::uint32_t row) const;
    LinkBlock block_of(std::uint32_t row) const { return {graph_->blocks + row * graph_->block_bytes, graph_->layout}; }

    const LinkGraph* graph_ = nullptr;
    const LinkQuery* query_ = nullptr;
    const ExactDistance* exact_ = nullptr;
    Pace pace_;
    bool is_late_ = false;
    std::uint64_t hops_ = 0;
    std::uint64_t estimates_count_ = 0;
    double error_sum_ = 0;  // of squares of distances less their estimates
    std::size_t error_count_ = 0;
    LinkBeam beam_;
    RowSet seen_;
    RowSet known_;  // rows that were compared
    std::vector<float> estimates_;
    std::vector<std::uint32_t> places_;
    std::vector<Candidate> fresh_;
    std::vector<Candidate> compared_;
};

}  // namespace lutra
