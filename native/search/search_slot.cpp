#include "search_slot.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "code_ranking.h"
#include "graph.h"

namespace lutra {

namespace {

// So many times as many candidates are scanned for where those found cannot be told apart.
constexpr std::size_t kDeeper = 32;
// And so many where the last of them may be nearer than what was found, by a bound that one of 20 rows is beyond.
constexpr std::size_t kUnsettledDeeper = 8;
constexpr float kUnsettledSigmas = 1.65f;
// What is known to be near enough is told by a wider bound than what is in doubt: the nearest of all are asked here.
constexpr float kWithinSigmas = 2.5;
// Rows whose true distance tells how far off the others' estimates are.
constexpr std::size_t kLearnedMin = 2;
// Nanoseconds that asking the bound of a candidate takes, roughly.
constexpr std::size_t kAskNs = 30;
// Of one query, kept for the next.
constexpr std::size_t kRowsKept = 2 * kBeamMax;
// Of the time that is left, what choosing candidates may take where the answer may be in part: the rest is for comparing
// those that were found.
constexpr double kChoosingShare = 0.75;
// Places on in the order of estimates, from which on candidates that are still in doubt are taken for many.
constexpr std::size_t kGatheredMin = 48;
// Candidates that are read at once before any distance is known, at most.
constexpr std::size_t kAheadMax = 48;

}  // namespace

void SearchSlot::begin(std::size_t number, const float* query, std::uint32_t left_out, const SearchPlan& plan) {
    choose_for(number, query, left_out, plan);
    start();
}

void SearchSlot::choose_for(std::size_t number, const float* query, std::uint32_t left_out, const SearchPlan& plan) {
    number_ = number;
    query_ = query;
    plan_ = &plan;
    left_out_ = left_out;
    is_busy_ = true;
    counters_ = {};
    counters_.planned = counters_.used = plan.strategy;
    reader_.reset_counters();
    exact_.emplace(query, parts_.nodes.layout.dimension, parts_.metric, parts_.level);
    if (rows_.capacity() > kRowsKept) give_back_memory();
    forget();
    rows_.clear();
    estimates_.clear();
    chosen_by_ = nullptr;
    bias_sum_ = 0;
    bias_count_ = 0;
    next_ = 0;
    candidates_ = usual_candidates_ = plan.candidates;
    is_node_walking_ = false;
    is_by_fast_ = false;
    reach_ = plan.reach;
    is_gathered_ = false;
    is_crowded_ = false;
    is_cut_ = false;
    const TimeLimit choosing = plan.answers_in_part ? plan.limit.sooner(kChoosingShare) : plan.limit;
    const WorkingUntil working(choosing);
    choose(query);
}

// The time for what is under way is up. Throws TooLateError where nobody wants a part of the answer.
void SearchSlot::cut() {
    if (!plan_->answers_in_part) plan_->check_time();
    is_cut_ = true;
    counters_.is_partial = true;
}

void SearchSlot::end_in_part() {
    is_busy_ = false;
    counters_.is_partial = true;
    reader_.give_up();
}

// Begins anew, with those found that no code describes, whose vectors are at hand.
void SearchSlot::forget() {
    nearest_.clear();
    const std::size_t dimension = parts_.nodes.layout.dimension;
    for (std::size_t begin = 0; begin < parts_.exact_rows.size(); begin += kTileRows) {
        const std::size_t count = std::min(kTileRows, parts_.exact_rows.size() - begin);
        const float* vectors[kTileRows];
        float distances[kTileRows];
        for (std::size_t i = 0; i < count; ++i) vectors[i] = parts_.exact_vectors + (begin + i) * dimension;
        exact_->tile(vectors, count, distances);
        for (std::size_t i = 0; i < count; ++i) {
            const std::uint32_t row = parts_.exact_rows[begin + i];
            if (counts(row) && row != left_out_) take(row, distances[i]);
        }
    }
    counters_.distances += parts_.exact_rows.size();
    counters_.exact += parts_.exact_rows.size();
}

bool SearchSlot::is_exact(std::uint32_t row) const {
    return std::binary_search(parts_.exact_rows.begin(), parts_.exact_rows.end(), row);
}

void SearchSlot::choose(const float* query) {
    if (plan_->strategy == Strategy::kBruteForce) {
        rows_.assign(plan_->rows.begin(), plan_->rows.end());
        std::erase(rows_, left_out_);
        return;
    }
    code_.reset();
    fine_code_.reset();
    if (plan_->strategy == Strategy::kWalk && walk_links()) return;
    if (parts_.records != nullptr) code_.emplace(*parts_.quantizer, query, plan_->bound_sigmas);
    if (plan_->strategy == Strategy::kWalk) {
        walk();
    } else if (plan_->strategy == Strategy::kCodeScan) {
        scan();
    } else if (plan_->strategy == Strategy::kListScan) {
        scan_lists();
    } else {
        is_node_walking_ = true;
        node_walk_.begin(code_ ? &*code_ : nullptr, plan_->beam, left_out_);
    }
}

// Goes on with what was found by the codes in memory, or by all of them where they do not tell it apart.
void SearchSlot::take_chosen() {
    if (!is_cut_ && is_indistinct()) {
        scan();
        return;
    }
    chosen_by_ = &*code_;
    refine();
}

// Puts what was found in order by the longer codes, where they are in memory.
void SearchSlot::refine() {
    if (parts_.fine_records == nullptr) return;
    fine_code_.emplace(*parts_.fine_quantizer, query_, code_sigmas());
    const std::size_t record_bytes = fine_code_->record_bytes();
    records_.clear();
    for (const std::uint32_t row : rows_) records_.push_back(parts_.fine_records + std::size_t{row} * record_bytes);
    estimates_.resize(rows_.size());
    fine_code_->estimate_batch(records_.data(), records_.size(), estimates_.data());
    counters_.distances += rows_.size();
    ordered_.clear();
    for (std::size_t i = 0; i < rows_.size(); ++i) ordered_.push_back({estimates_[i], rows_[i]});
    std::sort(ordered_.begin(), ordered_.end());
    for (std::size_t i = 0; i < ordered_.size(); ++i) {
        rows_[i] = ordered_[i].row;
        estimates_[i] = ordered_[i].distance;
    }
    chosen_by_ = &*fine_code_;
}

// Of the code that candidates are chosen by.
const std::uint8_t* SearchSlot::chosen_records() const {
    return chosen_by_ != &*code_ ? parts_.fine_records : parts_.records;
}

// What a deep scan took, or all rows compared one by one: many times as much as other queries do.
void SearchSlot::give_back_memory() {
    rows_ = {};
    estimates_ = {};
    records_ = {};
    ordered_ = {};
}

// The row's estimate, set right by how far off those of rows read were. Codes along a basis leave out what rows near
// each other have in common beside it, and err for all of them by about as much. Where codes do not tell rows apart,
// those read first are the ones that are estimated too near: that says nothing of the others.
float SearchSlot::unbiased(std::size_t index) const {
    if (!parts_.quantizer->has_basis() || bias_count_ == 0) return estimates_[index];
    const auto bias = static_cast<float>(bias_sum_ / static_cast<double>(bias_count_));
    return estimates_[index] + (is_deep() ? std::min(0.0f, bias) : bias);
}

// The row's distance is not below it, as far as the code's bound holds.
float SearchSlot::lower_bound(std::size_t index) const {
    const std::uint8_t* record = chosen_records() + std::size_t{rows_[index]} * chosen_by_->record_bytes();
    return chosen_by_->lower_bound(record, unbiased(index));
}

// Whether the row is farther than what is wanted.
bool SearchSlot::is_beyond(std::size_t index) const {
    const std::uint8_t* record = chosen_records() + std::size_t{rows_[index]} * chosen_by_->record_bytes();
    const float error = doubt(*chosen_by_, record, unbiased(index)) / code_sigmas();
    return unbiased(index) - kWithinSigmas * error > plan_->within;
}

// Of the bounds in force.
float SearchSlot::code_sigmas() const {
    return is_deep() || is_crowded_ ? std::max(kDeepSigmas, plan_->bound_sigmas) : plan_->bound_sigmas;
}

// Whether rows are to be read before estimates can be held against a distance.
bool SearchSlot::is_learning() const { return parts_.quantizer->has_basis() && bias_count_ < kLearnedMin; }

void SearchSlot::scan() {
    counters_.used = Strategy::kCodeScan;
    is_crowded_ = false;
    if (rows_.empty() && !is_deep() && is_hopeless_at_once()) {
        read_all_that_count();
        return;
    }
    do {
        if (!plan_->answers_in_part) plan_->check_time();
        if (!rows_.empty()) {
            if (is_hopeless()) {
                read_all_that_count();
                return;
            }
            candidates_ = std::min({kDeeper * candidates_, kCandidatesMax, plan_->qualifying});
        }
        find_by_code(candidates_);
    } while (!is_cut_ && is_indistinct());
    if (is_deep()) code_.emplace(*parts_.quantizer, query_, code_sigmas());
    if (!rows_.empty()) last_ = {estimates_.back(), rows_.back()};
    chosen_by_ = &*code_;
    refine();
    if (is_cut_) return;
    if (are_in_doubt_unread() && is_hopeless()) {
        read_all_that_count();
        return;
    }
    if (!is_deep() && is_crowded()) widen_bound();
}

// Has bounds allow for rows beyond counting about as far away.
void SearchSlot::widen_bound() {
    is_crowded_ = true;
    code_.emplace(*parts_.quantizer, query_, code_sigmas());
    if (fine_code_) fine_code_.emplace(*parts_.fine_quantizer, query_, code_sigmas());
}

// The nearest by estimate; of more than the most that are kept in order, all that the bound leaves in doubt.
void SearchSlot::find_by_code(std::size_t candidates) {
    const CodeScan all{parts_.records, parts_.nodes.row_count, plan_->mask, 1, plan_->answers_in_part ? &is_cut_ : nullptr};
    rows_.clear();
    estimates_.clear();
    const std::vector<Estimated> found = candidates > kCandidatesMax ? candidates_by_code(*code_, all, plan_->k + 1)
                                                                     : nearest_by_code(*code_, all, candidates);
    for (const Estimated& one : found) {
        if (one.row == left_out_) continue;
        rows_.push_back(one.row);
        estimates_.push_back(one.estimate);
    }
    counters_.distances += plan_->qualifying;
    counters_.is_partial = counters_.is_partial || is_cut_;
}

bool SearchSlot::has_enough() const {
    if (nearest_.size() < plan_->k) return false;
    return plan_->mask == nullptr || node_walk_.has_looked_through(nearest_.back().distance);
}

bool SearchSlot::go_on_wider() {
    if (has_enough()) return false;
    const std::uint64_t effort = node_walk_.hops() + (code_ ? 0 : counters_.exact);
    if (plan_->effort_max != 0 && effort >= plan_->effort_max) return false;
    return node_walk_.widen();
}

void SearchSlot::end_node_walk() {
    is_node_walking_ = false;
    counters_.hops += node_walk_.hops();
    counters_.distances += node_walk_.estimates();
    if (has_enough()) return;
    forget();
    if (code_) {
        scan();
    } else {
        read_all_that_count();
    }
}

// After a walk that found too few, or where codes say next to nothing: what the plan was not made for, so it is read in
// order, all of it.
void SearchSlot::read_all_that_count() {
    counters_.used = Strategy::kBruteForce;
    is_by_fast_ = false;
    forget();
    rows_.clear();
    estimates_.clear();
    chosen_by_ = nullptr;
    rows_.reserve(plan_->qualifying);
    const auto take_in = [&](std::size_t row) {
        if (row != left_out_) rows_.push_back(static_cast<std::uint32_t>(row));
    };
    if (plan_->mask != nullptr) {
        plan_->mask->each(0, parts_.nodes.row_count, take_in);
    } else {
        for (std::size_t row = 0; row < parts_.nodes.row_count; ++row) take_in(row);
    }
}

// The first round takes the plan's first rows, the others all that the bound leaves in doubt, as many as fit.
bool SearchSlot::start_round() {
    if (is_node_walking_) {
        node_walk_.next(reader_.blocks_max(), round_);
        while (round_.empty() && go_on_wider()) node_walk_.next(reader_.blocks_max(), round_);
        if (round_.empty()) end_node_walk();
    }
    if (!is_node_walking_) choose_round();
    while (round_.empty() && go_on_deeper()) choose_round();
    is_busy_ = !round_.empty();
    if (is_busy_) reader_.start(round_, is_node_walking_);
    return is_busy_;
}

// Whether what does not look at all rows has ended farther from the query than where its effort was measured: nothing is
// known of how it fares there. Under a mask all that counts may be far away.
bool SearchSlot::is_unfamiliar() const {
    const bool is_partial = counters_.used != Strategy::kCodeScan && counters_.used != Strategy::kBruteForce;
    return is_partial && code_ && plan_->mask == nullptr && (is_far() || is_near());
}

// Whether lists have led nearer than where their effort was measured.
bool SearchSlot::is_near() const {
    if (counters_.used != Strategy::kListScan || nearest_.size() < plan_->k || std::isinf(plan_->measured_beyond)) return false;
    const float of = parts_.metric == Metric::kDotProduct ? length() : 1;
    return nearest_.back().distance < plan_->measured_beyond * of;
}

float SearchSlot::length() const {
    double squared = 0;
    for (std::size_t i = 0; i < parts_.nodes.layout.dimension; ++i) squared += double{query_[i]} * query_[i];
    return static_cast<float>(std::sqrt(squared));
}

// Whether what was found is farther than where effort was measured.
bool SearchSlot::is_far() const {
    if (nearest_.size() < plan_->k) return false;
    const float distance = nearest_.back().distance;
    if (parts_.metric != Metric::kDotProduct) return distance > plan_->measured_within;
    if (std::isinf(plan_->measured_within)) return false;
    return distance > plan_->measured_within * length();
}

// Whether a scan has stopped short: by the codes it went by, the last of its candidates may be nearer than the last of
// those found, and so may rows after it.
bool SearchSlot::is_unsettled() const {
    const bool is_scan = counters_.used == Strategy::kCodeScan && chosen_by_ != nullptr && plan_->deepens;
    if (!is_scan || candidates_ >= plan_->qualifying || nearest_.size() < plan_->k) return false;
    const std::uint8_t* record = parts_.records + std::size_t{last_.row} * code_->record_bytes();
    const float error = (last_.distance - code_->lower_bound(record, last_.distance)) / code_sigmas();
    return last_.distance - kUnsettledSigmas * error <= nearest_.back().distance;
}

// Looks for more candidates where those that were compared leave it open whether others are nearer.
bool SearchSlot::go_on_deeper() {
    if (is_cut_) return false;
    if (is_by_fast_) return reach_for_all();
    if (is_unfamiliar()) {
        scan_for(scanned());
    } else if (is_unsettled()) {
        if (is_hopeless()) {
            next_ = 0;
            read_all_that_count();
            return true;
        }
        const bool is_at_most = candidates_ >= kCandidatesMax;
        scan_for(is_at_most ? plan_->qualifying : std::min(kUnsettledDeeper * candidates_, kCandidatesMax));
    } else {
        return false;
    }
    return true;
}

// Begins again, with so many candidates.
void SearchSlot::scan_for(std::size_t candidates) {
    forget();
    rows_.clear();
    bias_sum_ = 0;
    bias_count_ = 0;
    next_ = 0;
    is_gathered_ = false;
    candidates_ = std::min(candidates, plan_->qualifying);
    scan();
}

// Whether so many candidates are in doubt that their blocks are better read in order.
bool SearchSlot::are_many_in_doubt() const {
    return rows_.size() > next_ + kGatheredMin && lower_bound(next_ + kGatheredMin) <= nearest_.back().distance;
}

// The same before any is read, by what the last of those wanted is estimated at: the nearest estimates are too near.
bool SearchSlot::are_in_doubt_unread() const {
    const std::size_t at = plan_->first + kGatheredMin;
    return plan_->deepens && rows_.size() > at && lower_bound(at) <= std::min(estimates_[plan_->k - 1], plan_->within);
}

// How many of the candidates, in order, are read at once where the store is far away, and asking again takes longer than
// reading some too many: up to the last that is in doubt if the last of those wanted is as far as it is estimated.
std::size_t SearchSlot::unread_in_doubt() const {
    if (rows_.size() <= plan_->first) return rows_.size();
    const float last = std::min(estimates_[plan_->k - 1], plan_->within);
    std::size_t count = std::min(std::max(kAheadMax, plan_->first), rows_.size());
    while (count > plan_->first && lower_bound(count - 1) > last) --count;
    return count;
}

// Has the many rows that are in doubt read in their own order: those of one block together. By estimate, which says
// next to nothing of them, a block would be read for each.
void SearchSlot::gather_in_doubt() {
    is_gathered_ = true;
    ordered_.clear();
    for (std::size_t i = next_; i < rows_.size(); ++i) {
        if (lower_bound(i) <= nearest_.back().distance) ordered_.push_back({estimates_[i], rows_[i]});
    }
    std::sort(ordered_.begin(), ordered_.end(), [](const Candidate& a, const Candidate& b) { return a.row < b.row; });
    rows_.resize(next_ + ordered_.size());
    estimates_.resize(rows_.size());
    for (std::size_t i = 0; i < ordered_.size(); ++i) {
        rows_[next_ + i] = ordered_[i].row;
        estimates_[next_ + i] = ordered_[i].distance;
    }
}

void SearchSlot::choose_round() {
    round_.clear();
    round_estimates_.clear();
    if (is_by_fast_) {
        choose_fast_round();
        return;
    }
    bool is_told = next_ >= plan_->first && nearest_.size() == plan_->k && chosen_by_ != nullptr;
    // Under a mask what counts may all be far away, and so may all rows be, where many are about as far. (A walk without a
    // mask that ends there is followed by a scan.)
    const bool is_asked = plan_->mask != nullptr || counters_.used == Strategy::kCodeScan;
    if (is_asked && plan_->deepens && is_told && !is_deep() && !is_crowded_ && is_far()) widen_bound();
    if (is_told && !is_gathered_ && (is_deep() || are_many_in_doubt())) {
        if (!is_cut_ && !is_deep() && is_unsettled() && is_hopeless()) {
            // What is left of the candidates would be read, and then all.
            next_ = 0;
            read_all_that_count();
            is_told = false;
        } else {
            gather_in_doubt();
        }
    }
    std::size_t without_asking = chosen_by_ == nullptr ? rows_.size() : plan_->first;
    const bool is_remote = parts_.nodes.reader->may_stall();
    if (is_remote && next_ == 0 && chosen_by_ != nullptr) without_asking = unread_in_doubt();
    const bool is_bounded = chosen_by_ != nullptr && !std::isinf(plan_->within);
    std::size_t blocks = 0;
    std::uint32_t last_block = kNoRow;
    Pace pace(plan_->limit);
    for (; next_ < rows_.size(); ++next_) {
        if (pace.is_over(kAskNs)) {
            cut();
            break;
        }
        if (is_exact(rows_[next_])) continue;  // compared before
        // Rows that are all compared come in order: those of one block are read together.
        const auto block = static_cast<std::uint32_t>(rows_[next_] / parts_.nodes.layout.nodes_per_block());
        if (block != last_block && blocks == reader_.blocks_max()) break;
        if (is_bounded) {
            if (is_learning()) {
                if (!is_remote && round_.size() == kLearnedMin) break;
            } else if (is_beyond(next_)) {
                continue;
            }
        }
        if (next_ >= without_asking) {
            if (nearest_.size() < plan_->k) {
                if (!round_.empty()) break;  // whether it is in doubt is known when these are
            } else if (lower_bound(next_) > nearest_.back().distance) {
                continue;
            }
        }
        blocks += block != last_block;
        last_block = block;
        round_.push_back(rows_[next_]);
        round_estimates_.push_back(chosen_by_ == nullptr ? 0 : estimates_[next_]);
    }
}

bool SearchSlot::go_on() {
    reader_.finish();
    counters_.distances += round_.size();
    counters_.exact += round_.size();
    for (std::size_t begin = 0; begin < round_.size(); begin += kTileRows) {
        const std::size_t count = std::min(kTileRows, round_.size() - begin);
        const float* vectors[kTileRows];
        float distances[kTileRows];
        for (std::size_t i = 0; i < count; ++i) vectors[i] = reader_.vector(begin + i);
        exact_->tile(vectors, count, distances);
        for (std::size_t i = 0; i < count; ++i) {
            const std::uint32_t row = round_[begin + i];
            if (!is_node_walking_) {
                learn(distances[i], round_estimates_[begin + i]);
                take(row, distances[i]);
                continue;
            }
            if (node_walk_.is_measuring() && counts(row) && !is_exact(row)) take(row, distances[i]);
            node_walk_.give(row, distances[i], reader_.neighbours(begin + i));
        }
    }
    if (is_node_walking_) node_walk_.end_round();
    const bool goes_on = start_round();
    counters_.reads = reader_.counters().reads;
    counters_.bytes = reader_.counters().bytes;
    return goes_on;
}

void SearchSlot::learn(float distance, float estimate) {
    const float bias = distance - estimate;
    if (!std::isfinite(bias)) return;
    bias_sum_ += bias;
    ++bias_count_;
}

void SearchSlot::take(std::uint32_t row, float distance) {
    const Candidate candidate{distance, row};
    if (nearest_.size() == plan_->k) {
        if (!(candidate < nearest_.back())) return;
        nearest_.pop_back();
    }
    nearest_.insert(std::upper_bound(nearest_.begin(), nearest_.end(), candidate), candidate);
}

std::size_t SearchSlot::size_bytes() const {
    return reader_.size_bytes() +
           (rows_.capacity() + round_.capacity()) * sizeof(std::uint32_t) +
           (estimates_.capacity() + round_estimates_.capacity()) * sizeof(float) +
           records_.capacity() * sizeof(const std::uint8_t*) + ranking_.size_bytes() +
           (list_rows_.capacity() + pending_.capacity()) * sizeof(std::uint32_t) +
           (list_estimates_.capacity() + fast_estimates_.capacity()) * sizeof(float) +
           fast_within_.capacity() * sizeof(std::uint16_t) +
           (ordered_.capacity() + nearest_.capacity()) * sizeof(Candidate);
}

}  // namespace lutra
