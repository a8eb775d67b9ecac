// What a search makes of codes that leave much in doubt: whether more candidates help, or only reading all rows.
#include <algorithm>
#include <cmath>
#include <limits>

#include "search_slot.h"

namespace lutra {

namespace {

// Standard deviations of the codes' error that the candidates' estimates span at least, where codes tell rows apart
// (200k and 1 M x 960: 3.5 to 130 under filters by chance and by direction; 1.4 to 3 where the farthest half counts).
constexpr float kSpanMin = 3.5;
// Where more candidates than this, and for each answer wanted, may be as near as the last of those wanted, the bound is
// wider: by the one that was measured each is lost as often as one next to the query, but here others take its place.
constexpr std::size_t kCrowdedMin = 32;
constexpr std::size_t kCrowdedPerAnswer = 4;
// Rows that tell for what share of all codes leave in doubt; and the share of the blocks from which on all are read. One
// after the other they come in requests of many blocks, and nothing is put in order: a third by chance takes as long.
constexpr std::size_t kProbedRows = 256;
constexpr double kHopelessShare = 0.35;
constexpr double kHopelessAtOnceShare = 0.5;
// To scan fewer rows takes no longer than to ask some of them.
constexpr std::size_t kProbedAtOnceMin = 1'500;

}  // namespace

// Whether candidates lie so close together that as many others may be nearer: where a filter leaves only rows far from
// the query, thousands of them differ by less than the codes err. What was found is in order of its estimates.
bool SearchSlot::is_indistinct() const {
    if (!plan_->deepens || rows_.empty() || candidates_ >= std::min(kCandidatesMax, plan_->qualifying)) return false;
    const std::uint8_t* nearest = parts_.records + std::size_t{rows_.front()} * code_->record_bytes();
    const float bound = doubt(*code_, nearest, estimates_.front());
    return (estimates_.back() - estimates_.front()) * plan_->bound_sigmas < kSpanMin * bound;
}

// The same, where there is no plan yet, by a bound that holds for most rows.
bool SearchSlot::are_told_apart(const SegmentParts& parts, const float* query, const std::vector<Candidate>& candidates) {
    if (candidates.empty()) return true;
    const QueryCode code(*parts.quantizer, query, kDeepSigmas);
    const Candidate& nearest = candidates.front();
    const float bound = doubt(code, parts.records + std::size_t{nearest.row} * code.record_bytes(), nearest.distance);
    return (candidates.back().distance - nearest.distance) * kDeepSigmas >= kSpanMin * bound;
}

// Whether so many candidates lie about as far from the query as the last of those wanted that the bound, which was
// measured with rows next to a query, loses too many of them: under a filter, or far from all rows.
bool SearchSlot::is_crowded() const {
    const std::size_t most = kCrowdedMin + kCrowdedPerAnswer * plan_->k;
    if (!plan_->deepens || rows_.size() <= most) return false;
    const std::uint8_t* records = chosen_records();
    const float wanted = estimates_[plan_->k - 1];
    std::size_t count = 0;
    for (std::size_t i = 0; i < rows_.size() && count <= most; ++i) {
        const std::uint8_t* record = records + std::size_t{rows_[i]} * chosen_by_->record_bytes();
        const float error = doubt(*chosen_by_, record, estimates_[i]) / plan_->bound_sigmas;
        count += estimates_[i] - kDeepSigmas * error <= wanted ? 1 : 0;
    }
    return count > most;
}

// Of the best codes there are, with a bound that holds far from the query, too.
QueryCode SearchSlot::best_code() const {
    return {parts_.fine_records != nullptr ? *parts_.fine_quantizer : *parts_.quantizer, query_, kDeepSigmas};
}

const std::uint8_t* SearchSlot::best_records() const {
    return parts_.fine_records != nullptr ? parts_.fine_records : parts_.records;
}

// By those, estimates and lower bounds of some of the rows that count.
std::vector<SearchSlot::Probed> SearchSlot::probe() const {
    const QueryCode code = best_code();
    const std::uint8_t* records = best_records();
    std::vector<Probed> probed;
    const auto look_at = [&](std::size_t row) {
        const std::uint8_t* record = records + row * code.record_bytes();
        const float estimate = code.estimate(record);
        probed.push_back({estimate, code.lower_bound(record, estimate)});
    };
    if (plan_->mask == nullptr) {
        const std::size_t step = std::max<std::size_t>(1, parts_.nodes.row_count / kProbedRows);
        for (std::size_t row = 0; row < parts_.nodes.row_count; row += step) look_at(row);
    } else {
        for (const std::uint32_t row : evenly_spread(*plan_->mask, kProbedRows)) look_at(row);
    }
    return probed;
}

// Of the blocks that what counts lies in, the share with rows that may be nearer than `limit`: those in doubt are taken to
// be evenly spread, and are fewer blocks where they lie together.
double SearchSlot::blocks_in_doubt(const std::vector<Probed>& probed, float limit) const {
    if (probed.empty()) return 0;
    limit = std::min(limit, plan_->within);
    const auto in_doubt = std::count_if(probed.begin(), probed.end(), [&](const Probed& one) { return one.lower <= limit; });
    const auto blocks = [&](double of_rows) {
        return 1 - std::pow(1 - of_rows, static_cast<double>(parts_.nodes.layout.nodes_per_block()));
    };
    const double share = static_cast<double>(plan_->qualifying) / static_cast<double>(parts_.nodes.row_count);
    return blocks(share * static_cast<double>(in_doubt) / static_cast<double>(probed.size())) / blocks(share);
}

// Whether the bound leaves so many rows in doubt that reading all of them is as fast.
bool SearchSlot::is_hopeless() const {
    float limit = std::numeric_limits<float>::infinity();
    if (nearest_.size() == plan_->k) {
        limit = nearest_.back().distance;
    } else if (chosen_by_ != nullptr) {
        limit = estimates_[plan_->k - 1];
    } else if (rows_.size() >= plan_->k) {
        const QueryCode code = best_code();
        std::vector<float> highest;
        for (const std::uint32_t row : rows_) {
            const std::uint8_t* record = best_records() + std::size_t{row} * code.record_bytes();
            highest.push_back(code.upper_bound(record, code.estimate(record)));
        }
        const auto kth = highest.begin() + static_cast<std::ptrdiff_t>(plan_->k - 1);
        std::nth_element(highest.begin(), kth, highest.end());
        limit = *kth;
    }
    return blocks_in_doubt(probe(), limit) >= kHopelessShare;
}

// The same under a filter before all codes are scanned, which takes a tenth of reading all: by the nearest of some rows,
// which is farther than what is looked for, so that more has to be in doubt.
bool SearchSlot::is_hopeless_at_once() const {
    if (plan_->mask == nullptr || !plan_->deepens || plan_->qualifying < kProbedAtOnceMin) return false;
    const std::vector<Probed> probed = probe();
    float limit = std::numeric_limits<float>::infinity();
    for (const Probed& one : probed) limit = std::min(limit, one.estimate);
    return blocks_in_doubt(probed, limit) >= kHopelessAtOnceShare;
}

// How far a row may be off its estimate, as far as the code's bound holds. Of an estimate near 0, or below it, the lower
// bound is cut off at 0, and says little of that.
float SearchSlot::doubt(const QueryCode& code, const std::uint8_t* record, float estimate) {
    return std::max(estimate - code.lower_bound(record, estimate), code.upper_bound(record, estimate) - estimate);
}

}  // namespace lutra
