#include "walk.h"

#include <algorithm>
#include <cmath>

#include "graph.h"
#include "prefetch.h"

namespace lutra {

namespace {

// Distances after which the pass rate seen is taken for that of the query's neighbourhood (DiskANN, 2026).
constexpr std::uint32_t kAdaptAfter = 500;
// The beam grows as the pass rate falls to this power: to keep as many rows that count as without a mask (1) finds more
// of them than that (200k x 960, half pass: .980 with 1, .971 with 0.6, .961 with 0.45, in 9,300 and 8,500 distances).
constexpr double kWidenPower = 0.5;
// At most so many times as many candidates are kept on the way as were asked for.
constexpr double kWidenMax = 16;
// Below this share of rows that count, those that do not are read through instead of being estimated (ACORN-1). Above
// it, estimating all of a list is faster than choosing from it, and finds more (1M x 960, 20 % pass: recall .978 of
// 7,500 estimates in 0.97 ms, in place of .944 of 5,300 in 1.06 ms).
constexpr double kBridgeBelow = 0.15;
// Reading through ends when so many rows were collected, as a share of the degree: more cost distances and find little
// (200k x 960, 30 % pass: recall .943, .98 and .98 for 1, 1.5 and no end, in 12k, 17k and 20k distances; 1M x 960, the
// half away from the query: .934 and .958 for 1.1 and 1.5, in 5,400 and 6,700).
constexpr double kBridgedShare = 1.5;
// The beam is then so many times as wide, where as few count among all rows: with nothing in it but what counts, the
// same width finds more than without a mask (1 M x 960, 5 and 10 % pass, by chance and away from the query: recall .986
// to .998, and .963 to .981 for three quarters of the distances). Where many count, but few near the query, what is
// wanted lies far from it, and takes more of the beam: all of it from this share on (the half away from the query: .962,
// and .906 with the narrower one).
constexpr double kBridgedBeam = 0.7;
constexpr double kWholeBeamFrom = 0.5;
// A mask leaves out what is near the query where rows there count so much more seldom than all do, and as many rows tell.
constexpr double kAwayShare = 0.5;
constexpr std::uint32_t kAwayLooked = 100;
// Of the rows to be expanded next, so many lists are fetched into the processor's cache.
constexpr std::size_t kListsAhead = 3;
// A walk to one row tries a beam that costs less to keep: what it comes by as long as it is not spent, wider ones do, too.
constexpr std::size_t kTriedBeam = 12;
// Nanoseconds that a hop takes, roughly.
constexpr std::size_t kHopNs = 1'500;
// Rows that do not count which stay in the beam then: the way to what counts nearby, where there is any.
constexpr std::size_t kLeadingOn = 16;

}  // namespace

std::span<const std::uint32_t> Walk::neighbours_of(std::uint32_t row) const {
    const std::uint32_t* begin = graph_->neighbours + std::size_t{row} * graph_->degree;
    std::size_t count = graph_->degree;
    while (count > 0 && begin[count - 1] == kNoRow) --count;  // most lists are full, or nearly
    return {begin, count};
}

void Walk::prefetch_neighbours(std::uint32_t row) const {
    prefetch_lines(graph_->neighbours + std::size_t{row} * graph_->degree, graph_->degree * sizeof(std::uint32_t));
}

// The lists that the next hops will most likely need, while this one is worked on. (Their records as well was no gain.)
void Walk::prefetch_ahead() const {
    std::uint32_t next[kListsAhead];
    const std::size_t count = beam_.peek(next, kListsAhead);
    for (std::size_t i = 0; i < count; ++i) prefetch_neighbours(next[i]);
}

void Walk::collect(std::uint32_t row) {
    const std::uint8_t* record = graph_->records + std::size_t{row} * graph_->record_bytes;
    __builtin_prefetch(record);  // the rest of a longer one follows, a few records ahead
    rows_.push_back(row);
    records_.push_back(record);
}

void Walk::estimate() {
    if (rows_.empty()) return;
    estimates_.resize(rows_.size());
    query_->estimate_batch(records_.data(), records_.size(), estimates_.data());
    counters_.distances += static_cast<std::uint32_t>(rows_.size());
    if (options_->mask == nullptr) {
        beam_.choose(rows_.data(), estimates_.data(), rows_.size(), fresh_);
        beam_.merge(fresh_);
    } else {
        keep_filtered();
    }
    rows_.clear();
    records_.clear();
}

// Under a mask, of what was estimated: the beam's, what falls off it, and the nearest that count.
void Walk::keep_filtered() {
    fresh_.clear();
    fresh_found_.clear();
    for (std::size_t i = 0; i < rows_.size(); ++i) {
        const Candidate candidate{estimates_[i], rows_[i]};
        (beam_.takes(candidate.distance) ? fresh_ : spilled_).push_back(candidate);
        if (found_.takes(candidate.distance) && counts(candidate.row)) fresh_found_.push_back(candidate);
    }
    beam_.merge(fresh_, &spilled_);
    found_.merge(fresh_found_);
}

void Walk::collect_all(std::span<const std::uint32_t> rows) {
    seen_.insert(rows, unseen_);
    if (options_->mask != nullptr && !adapted_) {  // the pass rate is not asked for again
        counters_.looked += static_cast<std::uint32_t>(unseen_.size());
        for (const std::uint32_t row : unseen_) counters_.qualified += counts(row) ? 1 : 0;
    }
    for (const std::uint32_t row : unseen_) collect(row);
}

void Walk::look_at_all(std::span<const std::uint32_t> rows) {
    collect_all(rows);
    estimate();
}

void Walk::look_through(std::span<const std::uint32_t> rows) {
    to_bridge_.clear();
    for (const std::uint32_t row : rows) {
        // Of all, seen or not: those seen before are mostly ones that count, found by reading through.
        const bool qualifies = counts(row);
        ++counters_.looked;
        counters_.qualified += qualifies ? 1 : 0;
        if (!seen_.insert(row)) continue;
        if (qualifies) {
            collect(row);
        } else {
            prefetch_neighbours(row);
            to_bridge_.push_back(row);
        }
    }
    bridge();
    estimate();
}

// Collects what counts among the neighbours of rows that do not.
void Walk::bridge() {
    bridged_.insert(bridged_.end(), to_bridge_.begin(), to_bridge_.end());
    for (const std::uint32_t row : to_bridge_) {
        if (static_cast<double>(rows_.size()) >= kBridgedShare * static_cast<double>(graph_->degree)) break;
        ++counters_.bridges;
        for (const std::uint32_t neighbour : neighbours_of(row)) {
            if (!counts(neighbour) || !seen_.insert(neighbour)) continue;
            collect(neighbour);
        }
    }
}

// Of the rows met while walking, the share that counts.
double Walk::pass_rate() const {
    return std::max(1.0, static_cast<double>(counters_.qualified)) / std::max(1u, counters_.looked);
}

// Whether the walk is to end as the mask leaves out what is near the query: how far it has to go is not known then, and
// of many rows about as far away it meets a part only.
bool Walk::is_away() const {
    if (options_->mask == nullptr || !options_->leaves_when_away || counters_.looked < kAwayLooked) return false;
    const double share = static_cast<double>(options_->mask->count()) / static_cast<double>(graph_->row_count);
    return pass_rate() < kAwayShare * share;
}

// Under a mask, once enough was seen: what share of rows counts near the query, and what that means for the walk.
void Walk::adapt() {
    adapted_ = true;
    const double rate = pass_rate();
    bridging_ = rate < kBridgeBelow;
    if (bridging_) {
        beam_.narrow(static_cast<std::size_t>(bridged_beam_share() * static_cast<double>(beam_.width())));
        keep_what_counts();
    } else {
        const double wider = std::min(kWidenMax, std::pow(rate, -kWidenPower));
        beam_.widen(static_cast<std::size_t>(static_cast<double>(beam_.width()) * wider));
    }
}

// Of the beam's width, for a walk that reads lists through.
double Walk::bridged_beam_share() const {
    const double share = static_cast<double>(options_->mask->count()) / static_cast<double>(graph_->row_count);
    const double many = std::clamp((share - kBridgeBelow) / (kWholeBeamFrom - kBridgeBelow), 0.0, 1.0);
    return kBridgedBeam + many * (1 - kBridgedBeam);
}

// Leaves the beam to rows that count, and to the nearest of those that do not, which lead to more. The rest waits.
void Walk::keep_what_counts() {
    fresh_.swap(spilled_);
    spilled_.clear();
    beam_.drop(kLeadingOn, [this](const Candidate& candidate) { return !counts(candidate.row); }, spilled_);
    const auto middle = std::partition(fresh_.begin(), fresh_.end(),
                                       [this](const Candidate& candidate) { return counts(candidate.row); });
    spilled_.insert(spilled_.end(), middle, fresh_.end());
    fresh_.erase(middle, fresh_.end());
    beam_.merge(fresh_, &spilled_);
}

bool Walk::is_late() {
    if (!pace_.is_over(kHopNs)) return false;
    counters_.end = WalkEnd::kLate;
    return true;
}

// Whether the walk has come to its end: nothing is left to expand. Else it gave up, or its time is up.
bool Walk::expand_all() {
    for (;;) {
        if (is_late()) return false;
        if (options_->effort_max != 0 && counters_.distances + counters_.bridges >= options_->effort_max) break;
        const Candidate* next = beam_.expand();
        if (next == nullptr) {
            if (!adapted_ && is_away()) break;
            return true;
        }
        if (is_over_when_spent()) return true;
        const std::uint32_t row = next->row;
        prefetch_ahead();
        ++counters_.hops;
        if (bridging_) {
            look_through(neighbours_of(row));
        } else {
            collect_all(neighbours_of(row));
            // One more at once: twice as many records on their way to the cache, for a few estimates more in all.
            const Candidate* second = beam_.expand();
            if (is_over_when_spent()) return true;
            if (second != nullptr) {
                ++counters_.hops;
                collect_all(neighbours_of(second->row));
            }
            estimate();
            if (has_met_sought()) return true;
        }
        if (options_->mask != nullptr && !adapted_ && counters_.distances >= kAdaptAfter) {
            if (is_away()) break;
            adapt();
        }
    }
    counters_.end = WalkEnd::kGaveUp;
    return false;
}

// Whether the rows wanted were found, and lie within what the walk has looked through: what is farther than the end of
// the beam was met by chance, and nearer ones may not have been.
bool Walk::is_enough() const {
    const std::size_t least = options_->least;
    if (found_.items().size() < least) return false;
    return least == 0 || !beam_.is_full() || !(beam_.items().back() < found_.items()[least - 1]);
}

// Under a mask, when too few rows were found: takes back what fell off the beam, or what was only read through.
bool Walk::go_on_wider() {
    if (is_enough()) return false;
    if (!spilled_.empty()) {
        beam_.widen(std::min(graph_->row_count, beam_.width() * 2));
        fresh_.swap(spilled_);
        spilled_.clear();
        beam_.merge(fresh_, &spilled_);
        return true;
    }
    if (bridged_.empty()) {
        counters_.end = WalkEnd::kExhausted;
        return false;
    }
    bridging_ = false;
    for (const std::uint32_t row : bridged_) collect(row);
    bridged_.clear();
    estimate();
    return true;
}

const std::vector<Candidate>& Walk::run(const WalkGraph& graph, const QueryCode& query, const WalkOptions& options) {
    graph_ = &graph;
    query_ = &query;
    options_ = &options;
    counters_ = {};
    pace_ = Pace();
    bridging_ = false;
    adapted_ = false;
    beam_.reset(std::max(options.beam, options.count));
    found_.reset(options.count);
    seen_.reset(graph.row_count);
    if (options.left_out < graph.row_count) seen_.insert(options.left_out);
    spilled_.clear();
    bridged_.clear();
    rows_.clear();  // a walk that is over early leaves some
    records_.clear();
    look_at_all(graph.entries);
    look_at_all(options.seeds);
    if (options.mask != nullptr) look_at_all(graph.apart);
    counters_.looked = counters_.qualified = 0;  // of neither is near the query
    while (expand_all() && options.mask != nullptr && go_on_wider()) {
    }
    const bool goes_on = counters_.end != WalkEnd::kLate && !has_met_sought() && !options.ends_when_spent;
    if (options.mask == nullptr && !graph.apart.empty() && goes_on) {
        look_at_all(graph.apart);
        expand_all();
    }
    const std::vector<Candidate>& items = options.mask != nullptr ? found_.items() : beam_.items();
    result_.assign(items.begin(), items.begin() + static_cast<std::ptrdiff_t>(std::min(items.size(), options.count)));
    return result_;
}

bool Walk::meets(const WalkGraph& graph, const QueryCode& query, std::uint32_t row, std::size_t beam) {
    WalkOptions options{
        .beam = beam, .count = 1, .least = 0, .effort_max = 0, .mask = nullptr, .seeds = {}, .sought = row};
    if (beam > kTriedBeam) {
        options.beam = kTriedBeam;
        options.ends_when_spent = true;
        run(graph, query, options);
        if (has_met_sought()) return true;
        options.beam = beam;
        options.ends_when_spent = false;
    }
    run(graph, query, options);
    return has_met_sought();
}

}  // namespace lutra
