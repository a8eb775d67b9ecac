// How a search goes by lists: the nearest ones first, until no other is likely, or able, to hold what is wanted.
#include <algorithm>
#include <limits>

#include "prefetch.h"
#include "search_slot.h"
#include "time_limit.h"

namespace lutra {

namespace {

// Of a list's rows that count, from which on all are estimated: one after the other they take less than half as long.
constexpr double kDenseShare = 0.4;
// What a list and an estimate take, roughly.
constexpr std::size_t kListNs = 20;
constexpr std::size_t kEstimateNs = 6;

float worst(const Nearest& nearest) {
    if (nearest.worst() == std::numeric_limits<std::uint64_t>::max()) return std::numeric_limits<float>::infinity();
    return distance_of(nearest.worst());
}

}  // namespace

void SearchSlot::scan_lists() {
    const Lists& lists = *parts_.lists;
    ranking_.rank(lists, query_);
    counters_.distances += lists.count();
    const std::span<const std::uint32_t> order = ranking_.order();
    const std::size_t record_bytes = code_->record_bytes();
    Nearest candidates(plan_->candidates), wanted(plan_->k);
    Pace pace;
    std::size_t covered = 0;
    for (std::size_t i = 0; i < order.size(); ++i) {
        const std::size_t list = order[i], rows = lists.end(list) - lists.begin(list);
        const float last = std::min(worst(wanted), plan_->within);
        if (covered >= plan_->covers && ranking_.cosine_least(list, last) > plan_->reach) break;
        if (i + 1 < order.size()) {
            const std::size_t next = lists.begin(order[i + 1]);
            prefetch_lines(parts_.records + next * record_bytes, (lists.end(order[i + 1]) - next) * record_bytes);
        }
        covered += rows;
        if (is_passed_over(list, covered - rows, last, worst(candidates))) continue;
        const std::size_t counted = estimate_list(list, wanted, candidates);
        counters_.distances += counted;
        ++counters_.hops;
        if (pace.is_over(kListNs + kEstimateNs * counted)) {
            cut();
            break;
        }
    }
    ordered_.clear();
    for (const std::uint64_t key : candidates.keys()) {
        ordered_.push_back({distance_of(key), static_cast<std::uint32_t>(key)});
    }
    std::sort(ordered_.begin(), ordered_.end());
    for (const Candidate& one : ordered_) {
        rows_.push_back(one.row);
        estimates_.push_back(one.distance);
    }
    take_chosen();
}

// Whether the list can hold no candidate, of which the last is as far as `farthest`, or is not likely to hold one as near
// as `last`. `covered`: rows in the lists before it.
bool SearchSlot::is_passed_over(std::size_t list, std::size_t covered, float last, float farthest) const {
    if (covered >= plan_->covers && ranking_.cosine(list, last) > plan_->reach) return true;
    return ranking_.lower_bound(list) > farthest;
}

// Offers the list's rows that count; returns how many these are.
std::size_t SearchSlot::estimate_list(std::size_t list, Nearest& wanted, Nearest& candidates) {
    const std::size_t begin = parts_.lists->begin(list), end = parts_.lists->end(list), rows = end - begin;
    const std::size_t counting = plan_->mask == nullptr ? rows : plan_->mask->count_within(begin, end);
    if (counting == 0) return 0;
    const std::size_t record_bytes = code_->record_bytes();
    if (list_estimates_.size() < rows) list_estimates_.resize(rows);
    float* estimates = list_estimates_.data();
    const auto offer = [&](std::size_t row, float estimate) {
        if (row == left_out_) return;
        const std::uint64_t key = key_of(estimate, static_cast<std::uint32_t>(row));
        if (key >= candidates.worst()) return;
        candidates.offer(key);
        wanted.offer(key);
    };
    if (static_cast<double>(counting) >= kDenseShare * static_cast<double>(rows)) {
        code_->estimate_range(parts_.records + begin * record_bytes, rows, estimates);
        const float most = worst(candidates);
        for (std::size_t i = 0; i < rows; ++i) {
            if (estimates[i] <= most && counts(static_cast<std::uint32_t>(begin + i))) offer(begin + i, estimates[i]);
        }
        return counting;
    }
    list_rows_.clear();
    records_.clear();
    plan_->mask->each(begin, end, [&](std::size_t row) {
        list_rows_.push_back(static_cast<std::uint32_t>(row));
        records_.push_back(parts_.records + row * record_bytes);
    });
    code_->estimate_batch(records_.data(), counting, estimates);
    for (std::size_t i = 0; i < counting; ++i) offer(list_rows_[i], estimates[i]);
    return counting;
}

}  // namespace lutra
