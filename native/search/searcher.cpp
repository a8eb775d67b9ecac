#include "searcher.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <limits>
#include <utility>

#include "graph.h"
#include "parallel.h"
#include "search_slot.h"

namespace lutra {

namespace {

// Of all searchers: what may be kept for later searches, and what is.
std::atomic<std::size_t> scratch_max{std::size_t{64} << 20};
std::atomic<std::size_t> scratch_kept{0};

// Queries a thread has on their way at once: while reads of one are under way, it computes for another.
constexpr std::size_t kSlots = 3;
// Walks that a thread takes at once where rows are asked for by themselves.
constexpr std::size_t kMetAtOnce = 64;

// What a query found, as `Searcher::search` gives it.
void put(const SearchSlot& slot, const SearchPlan& plan, std::int64_t* ids, float* distances) {
    const std::vector<Candidate>& nearest = slot.nearest();
    const bool may_be_fewer = !std::isinf(plan.within) || slot.counters().is_partial;
    for (std::size_t i = 0; i < plan.k; ++i) {
        const bool is_left_out = i >= nearest.size() && may_be_fewer;
        ids[i] = is_left_out ? -1 : static_cast<std::int64_t>(nearest.at(i).row);
        distances[i] = is_left_out ? std::numeric_limits<float>::infinity() : nearest[i].distance;
    }
}

}  // namespace

void keep_scratch(std::size_t bytes) { scratch_max = bytes; }

// One thread's part of a search.
class SearchThread {
  public:
    explicit SearchThread(const SegmentParts& parts)
        : slots_{SearchSlot(parts, walk_, link_walk_), SearchSlot(parts, walk_, link_walk_),
                 SearchSlot(parts, walk_, link_walk_)} {}

    // Calls `answered(slot)` for each query it takes from the counter.
    template <class Answered>
    void run(const Queries& queries, std::size_t dimension, const SearchPlan& plan, std::atomic<std::size_t>& next,
             const Answered& answered) {
        for (std::size_t busy = kSlots; busy > 0;) {
            busy = 0;
            for (SearchSlot& slot : slots_) {
                if (slot.is_busy() && !goes_on(slot, plan)) answered(slot);
                while (!slot.is_busy()) {
                    const std::size_t query = next.fetch_add(1, std::memory_order_relaxed);
                    if (query >= queries.count) break;
                    if (!plan.answers_in_part) plan.check_time();
                    const std::uint32_t left_out = queries.left_out != nullptr ? queries.left_out[query] : kNoRow;
                    slot.begin(query, queries.vectors + query * dimension, left_out, plan);
                    if (!slot.is_busy()) answered(slot);
                }
                busy += slot.is_busy();
            }
        }
    }

    // To be used while no slot is busy.
    Walk& walk() { return walk_; }

    void choose(const float* query, const SearchPlan& plan) { slots_[0].choose_for(0, query, kNoRow, plan); }

    // Of what was chosen.
    const SearchSlot& compare(const SearchPlan& plan) {
        SearchSlot& slot = slots_[0];
        slot.start();
        while (slot.is_busy() && goes_on(slot, plan)) {
        }
        return slot;
    }

    ~SearchThread() { take(); }

    // Whether it may wait for the next search: then what it has counts as kept until it is taken.
    bool keep() {
        kept_bytes_ = size_bytes();
        if (scratch_kept.fetch_add(kept_bytes_) + kept_bytes_ <= scratch_max) return true;
        take();
        return false;
    }

    void take() { scratch_kept -= std::exchange(kept_bytes_, 0); }

    std::size_t size_bytes() const {
        std::size_t bytes = sizeof(*this);
        for (const SearchSlot& slot : slots_) bytes += slot.size_bytes();
        return bytes;
    }

  private:
    // Where the time is up the slot answers with what it has, or TooLateError is thrown.
    static bool goes_on(SearchSlot& slot, const SearchPlan& plan) {
        if (!plan.answers_in_part) {
            plan.check_time();
            return slot.go_on();
        }
        try {
            if (!plan.limit.is_over()) return slot.go_on();
        } catch (const TooLateError&) {  // while reads were waited for
        }
        slot.end_in_part();
        return false;
    }

    std::size_t kept_bytes_ = 0;
    Walk walk_;
    LinkWalk link_walk_;
    std::array<SearchSlot, kSlots> slots_;
};

Searcher::Searcher(SegmentParts parts) : parts_(std::move(parts)) {}

Searcher::~Searcher() = default;

std::unique_ptr<SearchThread> Searcher::borrow() const {
    {
        const std::lock_guard lock(mutex_);
        if (!idle_.empty()) {
            std::unique_ptr<SearchThread> thread = std::move(idle_.back());
            idle_.pop_back();
            thread->take();
            return thread;
        }
    }
    return std::make_unique<SearchThread>(parts_);
}

void Searcher::give_back(std::unique_ptr<SearchThread> thread) const {
    if (!thread->keep()) return;
    const std::lock_guard lock(mutex_);
    idle_.push_back(std::move(thread));
}

std::size_t Searcher::scratch_bytes() const {
    const std::lock_guard lock(mutex_);
    std::size_t bytes = 0;
    for (const auto& thread : idle_) bytes += thread->size_bytes();
    return bytes;
}

void Searcher::search(const Queries& queries, const SearchPlan& plan, unsigned threads, std::int64_t* ids,
                      float* distances, SearchCounters* counters) const {
    const auto answered = [&](const SearchSlot& slot) {
        put(slot, plan, ids + slot.number() * plan.k, distances + slot.number() * plan.k);
        counters[slot.number()] = slot.counters();
    };
    std::atomic<std::size_t> next{0};
    const unsigned most = static_cast<unsigned>(std::min<std::size_t>(threads, queries.count));
    parallel_for(most, most, 1, [&](unsigned, std::size_t, std::size_t) {
        std::unique_ptr<SearchThread> thread = borrow();
        thread->run(queries, parts_.nodes.layout.dimension, plan, next, answered);
        give_back(std::move(thread));  // one that threw is not used again
    });
}

ChosenSearch::ChosenSearch(std::unique_ptr<SearchThread> thread) : thread_(std::move(thread)) {}

ChosenSearch::~ChosenSearch() = default;

std::unique_ptr<ChosenSearch> Searcher::choose(const float* query, const SearchPlan& plan) const {
    std::unique_ptr<SearchThread> thread = borrow();
    thread->choose(query, plan);
    return std::make_unique<ChosenSearch>(std::move(thread));
}

void Searcher::compare(std::unique_ptr<ChosenSearch> chosen, const SearchPlan& plan, std::int64_t* ids,
                       float* distances, SearchCounters& counters) const {
    const SearchSlot& slot = chosen->thread_->compare(plan);
    put(slot, plan, ids, distances);
    counters = slot.counters();
    give_back(std::move(chosen->thread_));
}

void Searcher::meet(const float* vectors, const std::uint32_t* rows, std::size_t count, std::size_t beam,
                    unsigned threads, std::uint8_t* met) const {
    const WalkGraph graph = walk_graph(parts_);
    std::vector<Walk> walks(std::min<std::size_t>(threads, count / kMetAtOnce + 1));
    parallel_for(static_cast<unsigned>(walks.size()), count, kMetAtOnce,
                 [&](unsigned thread, std::size_t begin, std::size_t end) {
                     for (std::size_t i = begin; i < end; ++i) {
                         const QueryCode code(*parts_.quantizer, vectors + i * parts_.nodes.layout.dimension);
                         met[i] = walks[thread].meets(graph, code, rows[i], beam) ? 1 : 0;
                     }
                 });
}

std::pair<std::vector<Candidate>, WalkCounters> Searcher::come_by(const float* query, std::size_t beam,
                                                                  std::size_t count) const {
    const WalkGraph graph = walk_graph(parts_);
    const QueryCode code(*parts_.quantizer, query);
    const WalkOptions options{.beam = beam, .count = count, .least = 0, .effort_max = 0, .mask = nullptr, .seeds = {}};
    std::unique_ptr<SearchThread> thread = borrow();
    std::pair<std::vector<Candidate>, WalkCounters> found{thread->walk().run(graph, code, options),
                                                          thread->walk().counters()};
    give_back(std::move(thread));
    if (found.second.end == WalkEnd::kLate) current_limit().check();
    const bool are_all = found.first.size() == parts_.nodes.row_count;
    if (!are_all && !SearchSlot::are_told_apart(parts_, query, found.first)) found.first.clear();
    return found;
}

}  // namespace lutra
