// How lists are looked at by fast codes: few rows of many are worth a look at longer codes, or, where no others are in
// memory, at their vectors.
#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "prefetch.h"
#include "search_slot.h"

namespace lutra {

namespace {

// Of a list's rows that count, from which on looking at all of them takes less than longer codes of these would.
constexpr double kFastShare = 0.1;
// Rows whose longer codes are looked at together.
constexpr std::size_t kPendingMost = 16;
// Rows that are read at a time where what is found tells which of the others are: of more, many are read in vain.
constexpr std::size_t kReadAtOnce = 16;

// Of vectors of length 1 half the squared distance is 1 less their cosine.
float squares_per_distance(Metric metric) { return metric == Metric::kCosine ? 2.0f : 1.0f; }

}  // namespace

void SearchSlot::prepare_fast() {
    is_fast_ = parts_.fast != nullptr && ranking_.is_squared() && (plan_->slack > 0 || parts_.records == nullptr);
    if (is_fast_) fast_offset_ = parts_.fast->prepare(ranking_.placed(), fast_tables_);
    pending_.clear();
}

bool SearchSlot::goes_fast(std::size_t list) const {
    if (!is_fast_ || plan_->mask == nullptr || parts_.records == nullptr) return is_fast_;
    const std::size_t begin = parts_.lists->begin(list), end = parts_.lists->end(list);
    const auto rows = static_cast<double>(end - begin);
    return static_cast<double>(plan_->mask->count_within(begin, end)) >= kFastShare * rows;
}

// Up to where estimates by fast codes are of rows that may be as near as `distance`, both squared. A row that is the query
// itself is estimated two squared errors too far; of others that part falls as they are farther, and is mostly less.
float SearchSlot::fast_limit(float distance) const {
    if (std::isinf(distance)) return distance;
    const float squared = std::max(0.0f, distance * squares_per_distance(parts_.metric));
    const float error = parts_.fast->squared_error(), own = error > 0 ? 2 * error * (error / (error + squared)) : 0;
    return squared + plan_->slack * std::sqrt(squared) + own;
}

// Offers those of the list's rows that count and may be among the nearest; returns how many rows of it count.
std::size_t SearchSlot::look_fast(std::size_t list, Nearest& wanted, Nearest& candidates) {
    const std::size_t begin = parts_.lists->begin(list), end = parts_.lists->end(list);
    if (begin == end) return 0;
    const bool has_records = parts_.records != nullptr;
    const std::size_t first = begin / kFastRows, blocks = (end - 1) / kFastRows - first + 1;
    if (fast_within_.size() < blocks) {
        fast_within_.resize(blocks);
        fast_estimates_.resize(blocks * kFastRows);
    }
    const float last = std::min(wanted.farthest(), plan_->within), to_squares = squares_per_distance(parts_.metric);
    const float own = fast_offset_ + ranking_.squared(list);
    const float limit = has_records ? fast_limit(last) : candidates.farthest() * to_squares;
    parts_.fast->scan()(parts_.fast_blocks + first * parts_.fast->block_bytes(), blocks, fast_tables_, limit - own,
                        fast_estimates_.data(), fast_within_.data());
    std::size_t counted = 0;
    for (std::size_t block = 0; block < blocks; ++block) {
        const std::size_t at = (first + block) * kFastRows;
        unsigned here = 0xffff;
        if (at < begin) here &= 0xffffu << (begin - at);
        if (at + kFastRows > end) here &= 0xffffu >> (at + kFastRows - end);
        if (plan_->mask != nullptr) here &= static_cast<unsigned>(plan_->mask->words()[at / 64] >> at % 64);
        here &= 0xffff;
        counted += static_cast<std::size_t>(std::popcount(here));
        for (unsigned near = here & fast_within_[block]; near != 0; near &= near - 1) {
            const std::size_t row = at + static_cast<std::size_t>(std::countr_zero(near));
            if (!has_records) {
                offer(row, (fast_estimates_[row - first * kFastRows] + own) / to_squares, wanted, candidates);
                continue;
            }
            prefetch_lines(parts_.records + row * code_->record_bytes(), code_->record_bytes());
            pending_.push_back(static_cast<std::uint32_t>(row));
        }
    }
    if (pending_.size() >= kPendingMost || std::isinf(last)) estimate_pending(wanted, candidates);
    return counted;
}

void SearchSlot::estimate_pending(Nearest& wanted, Nearest& candidates) {
    if (pending_.empty()) return;
    records_.clear();
    for (const std::uint32_t row : pending_) records_.push_back(parts_.records + std::size_t{row} * code_->record_bytes());
    if (list_estimates_.size() < pending_.size()) list_estimates_.resize(pending_.size());
    code_->estimate_batch(records_.data(), pending_.size(), list_estimates_.data());
    for (std::size_t i = 0; i < pending_.size(); ++i) offer(pending_[i], list_estimates_[i], wanted, candidates);
    counters_.distances += pending_.size();
    pending_.clear();
}

// Where no longer codes are in memory: the plan's first rows, then all that may be as near as what was found so far.
void SearchSlot::choose_fast_round() {
    const float to_squares = squares_per_distance(parts_.metric);
    const bool is_told = next_ >= plan_->first && nearest_.size() == plan_->k;
    const float last = is_told ? std::min(nearest_.back().distance, plan_->within) : plan_->within;
    const float limit = fast_limit(last) / to_squares;
    for (; next_ < rows_.size() && round_.size() < std::min(kReadAtOnce, reader_.blocks_max()); ++next_) {
        if (is_exact(rows_[next_])) continue;  // compared before
        if (next_ >= plan_->first && !is_told && !round_.empty()) break;  // whether it is in doubt is known when these are
        if (estimates_[next_] > limit) {
            next_ = rows_.size();  // and so are all after it
            break;
        }
        round_.push_back(rows_[next_]);
        round_estimates_.push_back(estimates_[next_]);
    }
}

// What ends farther away than where effort was measured is not trusted: all lists are looked at.
bool SearchSlot::reach_for_all() {
    if (plan_->mask != nullptr || std::isinf(reach_) || !is_far()) return false;
    reach_ = std::numeric_limits<float>::infinity();
    forget();
    rows_.clear();
    estimates_.clear();
    next_ = 0;
    scan_lists();
    return true;
}

}  // namespace lutra
