#include "search_slot.h"

#include <algorithm>
#include <limits>

#include "code_ranking.h"

namespace lutra {

void SearchSlot::begin(std::size_t number, const float* query, std::uint32_t left_out, const SearchPlan& plan) {
    number_ = number;
    plan_ = &plan;
    left_out_ = left_out;
    is_busy_ = true;
    counters_ = {};
    counters_.planned = counters_.used = plan.strategy;
    reader_.reset_counters();
    exact_.emplace(query, parts_.nodes.layout.dimension, parts_.metric, parts_.level);
    nearest_.clear();
    rows_.clear();
    lower_bounds_.clear();
    next_ = 0;
    choose(query);
    start_round();
}

void SearchSlot::choose(const float* query) {
    if (plan_->strategy == Strategy::kBruteForce) {
        rows_.assign(plan_->rows.begin(), plan_->rows.end());
        std::erase(rows_, left_out_);
        return;
    }
    const QueryCode code(*parts_.quantizer, query, plan_->bound_sigmas);
    if (plan_->strategy == Strategy::kWalk) {
        walk(code);
    } else {
        scan(code);
    }
}

void SearchSlot::walk(const QueryCode& code) {
    const WalkGraph graph{parts_.neighbours,
                          parts_.records,
                          parts_.nodes.row_count,
                          parts_.nodes.layout.degree,
                          code.record_bytes(),
                          parts_.entries};
    const WalkOptions options{.beam = plan_->beam,
                              .count = plan_->candidates,
                              .least = std::min(plan_->candidates, plan_->k),
                              .effort_max = plan_->effort_max,
                              .mask = plan_->mask,
                              .seeds = plan_->seeds,
                              .left_out = left_out_};
    const std::vector<Candidate>& found = walk_.run(graph, code, options);
    const WalkCounters& walked = walk_.counters();
    counters_.hops += walked.hops;
    counters_.distances += walked.distances;
    if (walked.end == WalkEnd::kGaveUp || found.size() < plan_->k) {
        scan(code);
        return;
    }
    for (const Candidate& candidate : found) {
        rows_.push_back(candidate.row);
        const std::uint8_t* record = parts_.records + std::size_t{candidate.row} * code.record_bytes();
        lower_bounds_.push_back(code.lower_bound(record, candidate.distance));
    }
}

void SearchSlot::scan(const QueryCode& code) {
    counters_.used = Strategy::kCodeScan;
    const CodeScan all{parts_.records, parts_.nodes.row_count, plan_->mask, 1};
    for (const Estimated& found : nearest_by_code(code, all, plan_->candidates)) {
        if (found.row == left_out_) continue;
        rows_.push_back(found.row);
        lower_bounds_.push_back(found.lower_bound);
    }
    counters_.distances += plan_->qualifying;
}

// The first round takes the plan's first rows, the others all that the bound leaves in doubt, as many as fit.
bool SearchSlot::start_round() {
    round_.clear();
    const std::size_t without_asking = lower_bounds_.empty() ? rows_.size() : plan_->first;
    for (; next_ < rows_.size() && round_.size() < reader_.rows_max(); ++next_) {
        if (next_ >= without_asking) {
            if (nearest_.size() < plan_->k) {
                if (!round_.empty()) break;  // whether it is in doubt is known when these are
            } else if (lower_bounds_[next_] > nearest_.back().distance) {
                continue;
            }
        }
        round_.push_back(rows_[next_]);
    }
    is_busy_ = !round_.empty();
    if (is_busy_) reader_.start(round_);
    return is_busy_;
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
        for (std::size_t i = 0; i < count; ++i) take(round_[begin + i], distances[i]);
    }
    const bool goes_on = start_round();
    counters_.reads = reader_.counters().reads;
    counters_.bytes = reader_.counters().bytes;
    return goes_on;
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
    return reader_.size_bytes() + rows_.capacity() * 4 + lower_bounds_.capacity() * 4 + round_.capacity() * 4 +
           nearest_.capacity() * sizeof(Candidate);
}

}  // namespace lutra
