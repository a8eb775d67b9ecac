#include "segment_search.h"

#include <algorithm>
#include <chrono>
#include <limits>
#include <numeric>

#include "helpers.h"

namespace lutra {

namespace {

constexpr std::size_t kSeedsMax = 64;  // rows that count where a walk under a mask starts, beside the entries
// Nanoseconds that choosing candidates takes, roughly: for each of a walk, and for each row of a scan.
constexpr double kWalkedNs = 4'000;
constexpr double kScannedNs = 3;
constexpr double kBytesPerNs = 16;
// What all but the largest share take together, from which on it is worth to wake a helper.
constexpr double kSharedNsMin = 150'000;

// Distances of the nearest so far: who is farther than the last of `count` is not among them.
class NearestSoFar {
  public:
    NearestSoFar(std::size_t count, std::span<const float> known) : count_(count) {
        for (const float distance : known) add(distance);
    }

    void add(float distance) {
        if (heap_.size() < count_) {
            heap_.push_back(distance);
            std::push_heap(heap_.begin(), heap_.end());
        } else if (distance < heap_.front()) {
            std::pop_heap(heap_.begin(), heap_.end());
            heap_.back() = distance;
            std::push_heap(heap_.begin(), heap_.end());
        }
    }

    float within() const {
        return heap_.size() < count_ ? std::numeric_limits<float>::infinity() : heap_.front();
    }

  private:
    std::size_t count_;
    std::vector<float> heap_;
};

double choosing_ns(const SegmentShare& share) {
    const SearchPlan& plan = share.plan;
    const SegmentParts& parts = share.searcher->parts();
    if (plan.k == 0) return 0;
    if (plan.strategy == Strategy::kWalk) {
        return kWalkedNs * static_cast<double>(std::max(plan.beam, plan.candidates));
    }
    if (plan.strategy != Strategy::kCodeScan && plan.strategy != Strategy::kListScan) return 0;
    const double row_ns = kScannedNs + static_cast<double>(parts.quantizer->record_bytes()) / kBytesPerNs;
    const std::size_t rows = plan.strategy == Strategy::kCodeScan ? plan.qualifying : plan.covers;
    return row_ns * static_cast<double>(std::min(rows, plan.qualifying));
}

// The search of one share.
class Asked {
  public:
    Asked(const SegmentShare& share, const float* query) : share_(share), plan_(share.plan), query_(query) {
        answer_.within = plan_.within;
        answer_.us = 0;
    }
    Asked(const Asked&) = delete;
    Asked& operator=(const Asked&) = delete;

    void choose() {
        if (plan_.k == 0 || is_late()) return;
        const auto began = Clock::now();
        list_rows(plan_, share_.searcher->parts().nodes.row_count, listed_);
        chosen_ = share_.searcher->choose(query_, plan_);
        count(began);
    }

    void compare(NearestSoFar& nearest) {
        if (!chosen_) return;
        const auto began = Clock::now();
        plan_.within = answer_.within = std::min(plan_.within, nearest.within());
        std::vector<std::int64_t> ids(plan_.k);
        std::vector<float> distances(plan_.k);
        share_.searcher->compare(std::move(chosen_), plan_, ids.data(), distances.data(), answer_.counters);
        for (std::size_t i = 0; i < plan_.k; ++i) {
            if (ids[i] < 0) continue;
            answer_.hits.emplace_back(distances[i], share_.docs[ids[i]]);
            nearest.add(distances[i]);
        }
        std::sort(answer_.hits.begin(), answer_.hits.end());
        count(began);
    }

    void bound(float within) { plan_.within = std::min(plan_.within, within); }
    SegmentAnswer take() { return std::move(answer_); }

  private:
    using Clock = std::chrono::steady_clock;

    bool is_late() {
        if (!plan_.limit.is_over()) return false;
        if (!plan_.answers_in_part) plan_.check_time();
        answer_.counters.is_partial = true;
        return true;
    }

    void count(Clock::time_point began) {
        answer_.us += std::chrono::duration<double, std::micro>(Clock::now() - began).count();
    }

    const SegmentShare& share_;
    SearchPlan plan_;
    const float* query_;
    std::vector<std::uint32_t> listed_;
    std::unique_ptr<ChosenSearch> chosen_;
    SegmentAnswer answer_;
};

// How many others are to help: none where there is little that they could do.
unsigned helpers_for(std::span<const SegmentShare> shares, unsigned most) {
    if (most == 0 || shares.size() < 2) return 0;
    double all = 0, largest = 0;
    for (const SegmentShare& share : shares) {
        const double ns = choosing_ns(share);
        all += ns;
        largest = std::max(largest, ns);
    }
    return all - largest < kSharedNsMin ? 0 : most;
}

}  // namespace

void list_rows(SearchPlan& plan, std::size_t row_count, std::vector<std::uint32_t>& listed) {
    if (plan.strategy == Strategy::kBruteForce) {
        listed.resize(plan.qualifying);
        if (plan.mask == nullptr) {
            std::iota(listed.begin(), listed.end(), 0u);
        } else {
            std::uint32_t* at = listed.data();
            plan.mask->each(0, row_count, [&at](std::size_t row) { *at++ = static_cast<std::uint32_t>(row); });
        }
        plan.rows = listed;
    } else if (plan.mask != nullptr && plan.strategy == Strategy::kWalk) {
        listed = evenly_spread(*plan.mask, kSeedsMax);
        plan.seeds = listed;
    }
}

std::vector<SegmentAnswer> search_shares(std::span<const SegmentShare> shares, const float* query, std::size_t top_k,
                                         std::span<const float> known, unsigned helpers) {
    NearestSoFar nearest(top_k, known);
    std::vector<std::unique_ptr<Asked>> asked;
    for (const SegmentShare& share : shares) asked.push_back(std::make_unique<Asked>(share, query));
    const unsigned helping = helpers_for(shares, helpers);
    if (helping > 0) Helpers::get().run(helping, asked.size(), [&](std::size_t i) { asked[i]->choose(); });
    std::vector<SegmentAnswer> answers;
    for (const auto& one : asked) {
        if (helping == 0) {
            one->bound(nearest.within());
            one->choose();
        }
        one->compare(nearest);
        answers.push_back(one->take());
    }
    return answers;
}

}  // namespace lutra
