#include "link_walk.h"

#include <algorithm>
#include <cmath>

#include "graph.h"
#include "prefetch.h"

namespace lutra {

namespace {

// Standard deviations of the estimates' error that what the beam holds spans, where estimates tell rows apart.
constexpr double kSpanMin = 3.5;
// Rows that are expanded at once: the bytes of as many more are on their way from memory. Nearly all that a beam holds gets
// expanded in the end, in whatever order.
constexpr std::size_t kTogether = 2;
static_assert(kTogether <= kTileRows);
// Of the entries, the nearest so many are walked from.
constexpr std::size_t kBegunMax = 32;
// Nanoseconds that a hop takes, roughly.
constexpr std::size_t kHopNs = 1'500;

}  // namespace

// What expanding the row needs, on its way into the processor's cache.
void LinkWalk::prefetch(std::uint32_t row) const {
    prefetch_lines(block_of(row).begin, graph_->block_bytes);
}

// Fills `fresh_` with those of the rows that are new to the beam; the distances of all become known.
void LinkWalk::compare_all(std::span<const std::uint32_t> rows) {
    fresh_.clear();
    const float* vectors[kTileRows];
    std::uint32_t of[kTileRows];
    std::size_t count = 0;
    const auto compare = [&] {
        float distances[kTileRows];
        exact_->tile(vectors, count, distances);
        for (std::size_t i = 0; i < count; ++i) {
            compared_.push_back({distances[i], of[i]});
            if (!seen_.contains(of[i])) fresh_.push_back(compared_.back());  // else it fell off the beam
        }
        count = 0;
    };
    for (const std::uint32_t row : rows) {
        if (!known_.insert(row)) continue;
        of[count] = row;
        vectors[count++] = block_of(row).vector();
        if (count == kTileRows) compare();
    }
    if (count > 0) compare();
}

// Walks from rows whose distances are known: the nearest of them, `most` at most.
void LinkWalk::begin_at(std::size_t most) {
    if (fresh_.size() > most) {
        std::nth_element(fresh_.begin(), fresh_.begin() + static_cast<std::ptrdiff_t>(most), fresh_.end());
        fresh_.resize(most);
    }
    for (const Candidate& one : fresh_) {
        if (seen_.insert(one.row)) beam_.take(one);
    }
}

// Of rows taken from the beam, the distances: those not known yet are compared.
void LinkWalk::compare_next(const Candidate* next, std::size_t count, float* distances) {
    const float* vectors[kTileRows];
    std::size_t places[kTileRows];
    std::size_t unknown = 0;
    for (std::size_t i = 0; i < count; ++i) {
        distances[i] = next[i].distance;
        if (!known_.insert(next[i].row)) continue;
        places[unknown] = i;
        vectors[unknown++] = block_of(next[i].row).vector();
    }
    if (unknown == 0) return;
    float found[kTileRows];
    exact_->tile(vectors, unknown, found);
    for (std::size_t i = 0; i < unknown; ++i) {
        const Candidate& of = next[places[i]];
        distances[places[i]] = found[i];
        compared_.push_back({found[i], of.row});
        const double error = double{found[i]} - of.distance;
        error_sum_ += error * error;
    }
    error_count_ += unknown;
}

// Has the beam take the neighbours of a row at `distance`.
void LinkWalk::estimate_neighbours(std::uint32_t row, float distance) {
    const LinkBlock block = block_of(row);
    const std::size_t count =
        query_->choose(block, distance, beam_.limit(), places_.data(), estimates_.data());
    estimates_count_ += graph_->layout.degree;
    // A row that the beam does not take may be met again: from another row it is estimated anew.
    for (std::size_t i = 0; i < count; ++i) {
        const std::uint32_t one = block.neighbours()[places_[i]];
        if (seen_.insert(one)) beam_.take({estimates_[i], one});
    }
}

void LinkWalk::expand_all() {
    for (;;) {
        Candidate next[kTogether];
        std::size_t count = 0;
        while (count < kTogether && beam_.expand(next[count])) ++count;
        if (count == 0) return;
        is_late_ = pace_.is_over(count * kHopNs);
        if (is_late_) return;
        std::uint32_t ahead[kTogether];
        const std::size_t known = beam_.peek(ahead, kTogether);
        for (std::size_t i = 0; i < known; ++i) prefetch(ahead[i]);
        float distances[kTogether];
        compare_next(next, count, distances);
        hops_ += count;
        for (std::size_t i = 0; i < count; ++i) estimate_neighbours(next[i].row, distances[i]);
    }
}

void LinkWalk::run(const LinkGraph& graph, const LinkQuery& query, const ExactDistance& exact, std::size_t beam,
                   std::uint32_t left_out) {
    graph_ = &graph;
    query_ = &query;
    exact_ = &exact;
    pace_ = Pace();
    is_late_ = false;
    hops_ = estimates_count_ = 0;
    error_sum_ = 0;
    error_count_ = 0;
    beam_.reset(beam);
    seen_.reset(graph.row_count);
    known_.reset(graph.row_count);
    compared_.clear();
    estimates_.resize(graph.layout.places());
    places_.resize(graph.layout.places());
    if (left_out < graph.row_count) {
        seen_.insert(left_out);
        known_.insert(left_out);
    }
    compare_all(graph.entries);
    begin_at(kBegunMax);
    expand_all();
    if (is_late_ || graph.apart.empty()) return;
    compare_all(graph.apart);
    begin_at(graph.apart.size());
    expand_all();
}

bool LinkWalk::is_distinct() const {
    return error_count_ == 0 || beam_.span() >= kSpanMin * std::sqrt(error_sum_ / static_cast<double>(error_count_));
}

}  // namespace lutra
