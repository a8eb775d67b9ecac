// How a search walks the graph, again and wider for a query that strays from the rows.
#include <algorithm>
#include <cmath>
#include <limits>

#include "graph.h"
#include "search_slot.h"

namespace lutra {

namespace {

// Candidates of a scan that a walk goes on by, at least and for each answer wanted.
constexpr std::size_t kScannedMin = 256;
constexpr std::size_t kScannedPerAnswer = 8;
// Candidates that are held against so many times as many; of fewer it is chance what they differ by.
constexpr std::size_t kContrasted = 10;
constexpr std::size_t kContrastFactor = 3;
constexpr double kContrastedMin = 1.25;

}  // namespace

// Answers by the codes of neighbours, where they are in memory and nothing speaks against what they found. Under a mask a
// walk by the rows' own codes reads lists through, which these do not allow.
bool SearchSlot::walk_links() {
    if (parts_.links == nullptr || plan_->mask != nullptr) return false;
    const LinkQuery query(*parts_.links, query_);
    if (!query.is_plain()) return false;
    const std::size_t beam = std::max(plan_->beam, plan_->k);
    if (walk_links_as_wide(query, beam)) return true;
    bool is_trusted = !stands_out_little();
    if (!is_trusted && plan_->wider_beam > beam) {
        forget();
        if (walk_links_as_wide(query, plan_->wider_beam)) return true;
        is_trusted = true;
    }
    const bool is_indistinct = plan_->deepens && !link_walk_.is_distinct();
    if (is_trusted && nearest_.size() == plan_->k && !is_indistinct && !is_far()) return true;
    forget();
    return false;
}

// Whether the time was up meanwhile.
bool SearchSlot::walk_links_as_wide(const LinkQuery& query, std::size_t beam) {
    link_walk_.run(link_graph(parts_), query, *exact_, beam, left_out_);
    const std::vector<Candidate>& compared = link_walk_.compared();
    counters_.hops += link_walk_.hops();
    counters_.distances += link_walk_.estimates() + compared.size();
    counters_.exact += compared.size();
    for (const Candidate& one : compared) {
        if (parts_.exact_rows.empty() || !is_exact(one.row)) take(one.row, one.distance);
    }
    if (link_walk_.is_late()) cut();
    return is_cut_;
}

void SearchSlot::walk() { walk_as_wide(plan_->beam); }

void SearchSlot::walk_as_wide(std::size_t beam) {
    const QueryCode& code = *code_;
    const WalkGraph graph = walk_graph(parts_);
    const WalkOptions options{.beam = beam,
                              .count = plan_->candidates,
                              .least = std::min(plan_->candidates, plan_->k),
                              .effort_max = plan_->effort_max,
                              .mask = plan_->mask,
                              .seeds = plan_->seeds,
                              .left_out = left_out_,
                              .leaves_when_away = plan_->scans_when_away};
    const std::vector<Candidate>& found = walk_.run(graph, code, options);
    const WalkCounters& walked = walk_.counters();
    counters_.hops += walked.hops;
    counters_.distances += walked.distances;
    if (walked.end == WalkEnd::kLate) {
        cut();
    } else if (walked.end == WalkEnd::kGaveUp || found.size() < plan_->k) {
        candidates_ = usual_candidates_ = scanned();
        scan();
        return;
    }
    for (const Candidate& candidate : found) {
        rows_.push_back(candidate.row);
        estimates_.push_back(candidate.distance);
    }
    if (!is_cut_ && beam == plan_->beam && plan_->mask == nullptr && plan_->contrast_min > 0 && !is_indistinct() &&
        estimated_contrast() < plan_->contrast_min) {
        if (plan_->wider_beam <= beam) {
            candidates_ = usual_candidates_ = scanned();
            scan();
            return;
        }
        rows_.clear();
        estimates_.clear();
        walk_as_wide(plan_->wider_beam);
        if (counters_.used == Strategy::kWalk) widen_bound();
        return;
    }
    take_chosen();
}

// Candidates of a scan that a walk is followed by: with a walk's few it would be repeated for more.
std::size_t SearchSlot::scanned() const {
    return std::min(std::max({plan_->candidates, kScannedMin, kScannedPerAnswer * plan_->k}), plan_->qualifying);
}

// How much farther three times as many rows reach than those wanted, as a share of how far these do; of a product, of
// the query's length. Where the intrinsic dimension is high it is small, whatever their number. `distances` ascend.
// Infinite where too few are known to tell.
template <class DistanceAt>
float SearchSlot::contrast(std::size_t count, DistanceAt distance_at) const {
    const std::size_t few = std::max(plan_->k, kContrasted), many = std::min(kContrastFactor * few, count);
    if (static_cast<double>(many) < kContrastedMin * static_cast<double>(few)) return std::numeric_limits<float>::infinity();
    const float nearer = distance_at(few - 1);
    const float by = parts_.metric == Metric::kDotProduct ? length() : nearer;
    if (by <= 0) return std::numeric_limits<float>::infinity();
    // Where there are fewer, what so many would reach: distances grow as a power of their number.
    const double whole = std::log(kContrastFactor) / std::log(static_cast<double>(many) / static_cast<double>(few));
    return static_cast<float>(whole * (distance_at(many - 1) - nearer) / by);
}

// Of what a walk found, by its codes.
float SearchSlot::estimated_contrast() const {
    return contrast(rows_.size(), [&](std::size_t at) { return estimates_[at]; });
}

// Of what a walk by links has compared.
bool SearchSlot::stands_out_little() {
    if (plan_->contrast_min <= 0) return false;
    ordered_ = link_walk_.compared();
    const std::size_t many = std::min(kContrastFactor * std::max(plan_->k, kContrasted), ordered_.size());
    std::partial_sort(ordered_.begin(), ordered_.begin() + static_cast<std::ptrdiff_t>(many), ordered_.end());
    return contrast(ordered_.size(), [&](std::size_t at) { return ordered_[at].distance; }) < plan_->contrast_min;
}

}  // namespace lutra
