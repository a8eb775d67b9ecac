// How a search goes by lists: the nearest ones first, until no other is likely, or able, to hold what is wanted.
#include <algorithm>

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
constexpr std::size_t kFastNs = 1;

// Whether all of a list's rows are looked at, of which so many count.
bool is_dense(std::size_t counting, std::size_t rows) {
    return static_cast<double>(counting) >= kDenseShare * static_cast<double>(rows);
}

}  // namespace

void SearchSlot::scan_lists() {
    const Lists& lists = *parts_.lists;
    ranking_.rank(lists, query_);
    counters_.distances += lists.count();
    prepare_fast();
    if (!is_fast_ && parts_.records == nullptr) {
        read_all_that_count();
        return;
    }
    const std::span<const std::uint32_t> order = ranking_.order();
    // Of the many rows that fast codes alone are asked of, some are estimated too near: their k-th is no k-th distance.
    const std::size_t answers = parts_.records != nullptr ? plan_->k : std::min(2 * plan_->k, plan_->candidates);
    Nearest candidates(plan_->candidates), wanted(answers);
    Pace pace;
    std::size_t covered = 0;
    for (std::size_t i = 0; i < order.size(); ++i) {
        const std::size_t list = order[i], rows = lists.end(list) - lists.begin(list);
        const float last = std::min(wanted.farthest(), plan_->within);
        if (covered >= plan_->covers && ranking_.cosine_least(list, last) > reach_) break;
        if (i + 1 < order.size()) prefetch_list(order[i + 1]);
        covered += rows;
        if (is_passed_over(list, covered - rows, last, candidates.farthest())) continue;
        const bool goes_by_fast = goes_fast(list);
        const std::size_t counted =
            goes_by_fast ? look_fast(list, wanted, candidates) : estimate_list(list, wanted, candidates);
        counters_.distances += counted;
        ++counters_.hops;
        if (pace.is_over(kListNs + (goes_by_fast ? kFastNs : kEstimateNs) * counted)) {
            cut();
            break;
        }
    }
    estimate_pending(wanted, candidates);
    ordered_.clear();
    for (const std::uint64_t key : candidates.keys()) {
        ordered_.push_back({distance_of(key), static_cast<std::uint32_t>(key)});
    }
    std::sort(ordered_.begin(), ordered_.end());
    for (const Candidate& one : ordered_) {
        rows_.push_back(one.row);
        estimates_.push_back(one.distance);
    }
    is_by_fast_ = parts_.records == nullptr;
    if (!is_by_fast_) take_chosen();
}

// What is looked at next, on its way into the processor's cache.
void SearchSlot::prefetch_list(std::size_t list) const {
    const std::size_t begin = parts_.lists->begin(list), end = parts_.lists->end(list);
    if (is_fast_) {
        const std::size_t bytes = parts_.fast->block_bytes(), first = begin / kFastRows;
        prefetch_lines(parts_.fast_blocks + first * bytes, (end / kFastRows - first + 1) * bytes);
        return;
    }
    const std::size_t record_bytes = code_->record_bytes();
    if (plan_->mask == nullptr || is_dense(plan_->mask->count_within(begin, end), end - begin)) {
        prefetch_lines(parts_.records + begin * record_bytes, (end - begin) * record_bytes);
        return;
    }
    plan_->mask->each(begin, end, [&](std::size_t row) {  // of which few count: no others are looked at
        const std::uint8_t* record = parts_.records + row * record_bytes;
        prefetch_lines(record, record_bytes);
        prefetch_lines(record + record_bytes - 1, 1);  // a code may end in a line more
    });
}

// Whether the list can hold no candidate, of which the last is as far as `farthest`, or is not likely to hold one as near
// as `last`. `covered`: rows in the lists before it.
bool SearchSlot::is_passed_over(std::size_t list, std::size_t covered, float last, float farthest) const {
    if (covered >= plan_->covers && ranking_.cosine(list, last) > reach_) return true;
    return ranking_.lower_bound(list) > farthest;
}

void SearchSlot::offer(std::size_t row, float estimate, Nearest& wanted, Nearest& candidates) const {
    if (row == left_out_) return;
    const std::uint64_t key = key_of(estimate, static_cast<std::uint32_t>(row));
    if (key >= candidates.worst()) return;
    candidates.offer(key);
    wanted.offer(key);
}

// Offers the list's rows that count; returns how many these are.
std::size_t SearchSlot::estimate_list(std::size_t list, Nearest& wanted, Nearest& candidates) {
    const std::size_t begin = parts_.lists->begin(list), end = parts_.lists->end(list), rows = end - begin;
    const std::size_t counting = plan_->mask == nullptr ? rows : plan_->mask->count_within(begin, end);
    if (counting == 0) return 0;
    const std::size_t record_bytes = code_->record_bytes();
    if (list_estimates_.size() < rows) list_estimates_.resize(rows);
    float* estimates = list_estimates_.data();
    if (is_dense(counting, rows)) {
        code_->estimate_range(parts_.records + begin * record_bytes, rows, estimates);
        const float most = candidates.farthest();
        for (std::size_t i = 0; i < rows; ++i) {
            if (estimates[i] > most || !counts(static_cast<std::uint32_t>(begin + i))) continue;
            offer(begin + i, estimates[i], wanted, candidates);
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
    for (std::size_t i = 0; i < counting; ++i) offer(list_rows_[i], estimates[i], wanted, candidates);
    return counting;
}

}  // namespace lutra
