// One query on its way: candidates are chosen at once, their vectors come in rounds of reads others may compute during.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "beam.h"
#include "exact_distance.h"
#include "lists.h"
#include "node_reader.h"
#include "nearest.h"
#include "node_walk.h"
#include "search_plan.h"
#include "searcher.h"
#include "walk.h"

namespace lutra {

// Candidates that are kept in order at most.
inline constexpr std::size_t kCandidatesMax = 65'536;
// Standard deviations that bounds allow where thousands of rows are about as far away: by fewer most of the nearest are lost.
inline constexpr float kDeepSigmas = 2.5;

class SearchSlot {
  public:
    // Walks may be shared with other slots of the thread: none needs it while it waits for reads.
    SearchSlot(const SegmentParts& parts, Walk& walk, LinkWalk& link_walk)
        : parts_(parts), walk_(walk), link_walk_(link_walk), node_walk_(parts), reader_(parts.nodes) {}

    // Chooses candidates and sets the first reads going. `query` and `plan` have to stay until it is done. `left_out`:
    // a row that does not count; kNoRow: none.
    void begin(std::size_t number, const float* query, std::uint32_t left_out, const SearchPlan& plan);
    // The same in two steps, of which the first reads nothing: it may be another thread's.
    void choose_for(std::size_t number, const float* query, std::uint32_t left_out, const SearchPlan& plan);
    void start() { start_round(); }
    // Takes in what was read, and sets further reads going where doubt remains. False: the answer is complete.
    bool go_on();
    // Has the answer be what was compared so far. Reads under way are waited for where they write to memory of this.
    void end_in_part();

    bool is_busy() const { return is_busy_; }
    std::size_t number() const { return number_; }
    // Nearest first; as many as the plan's k where so many rows count.
    const std::vector<Candidate>& nearest() const { return nearest_; }
    const SearchCounters& counters() const { return counters_; }
    std::size_t size_bytes() const;

    // Whether codes tell candidates apart that are in order of their estimates.
    static bool are_told_apart(const SegmentParts& parts, const float* query, const std::vector<Candidate>& candidates);

  private:
    void forget();
    void cut();
    bool is_exact(std::uint32_t row) const;
    void choose(const float* query);
    bool walk_links();
    bool walk_links_as_wide(const LinkQuery& query, std::size_t beam);
    void walk();
    void walk_as_wide(std::size_t beam);
    std::size_t scanned() const;
    template <class DistanceAt>
    float contrast(std::size_t count, DistanceAt distance_at) const;
    float estimated_contrast() const;
    bool stands_out_little();
    float length() const;
    void scan();
    void scan_lists();
    bool is_passed_over(std::size_t list, std::size_t covered, float last, float farthest) const;
    std::size_t estimate_list(std::size_t list, Nearest& wanted, Nearest& candidates);
    void offer(std::size_t row, float estimate, Nearest& wanted, Nearest& candidates) const;
    bool goes_fast(std::size_t list) const;
    void prefetch_list(std::size_t list) const;
    void prepare_fast();
    float fast_limit(float distance) const;
    std::size_t look_fast(std::size_t list, Nearest& wanted, Nearest& candidates);
    void estimate_pending(Nearest& wanted, Nearest& candidates);
    void choose_fast_round();
    bool reach_for_all();
    void take_chosen();
    void refine();
    bool is_indistinct() const;
    bool is_crowded() const;
    // What the codes say of one row.
    struct Probed {
        float estimate;
        float lower;
    };
    QueryCode best_code() const;
    const std::uint8_t* best_records() const;
    std::vector<Probed> probe() const;
    double blocks_in_doubt(const std::vector<Probed>& probed, float limit) const;
    bool is_hopeless() const;
    bool is_hopeless_at_once() const;
    static float doubt(const QueryCode& code, const std::uint8_t* record, float estimate);
    const std::uint8_t* chosen_records() const;
    bool is_deep() const { return candidates_ > usual_candidates_; }
    float code_sigmas() const;
    void give_back_memory();
    float lower_bound(std::size_t index) const;
    float unbiased(std::size_t index) const;
    bool is_beyond(std::size_t index) const;
    bool is_unfamiliar() const;
    bool is_far() const;
    bool is_near() const;
    void widen_bound();
    bool is_unsettled() const;
    bool go_on_deeper();
    void scan_for(std::size_t candidates);
    void find_by_code(std::size_t candidates);
    bool are_many_in_doubt() const;
    bool are_in_doubt_unread() const;
    void gather_in_doubt();
    std::size_t unread_in_doubt() const;
    bool is_learning() const;
    void read_all_that_count();
    bool counts(std::uint32_t row) const { return plan_->mask == nullptr || plan_->mask->contains(row); }
    bool start_round();
    void choose_round();
    bool has_enough() const;
    bool go_on_wider();
    void end_node_walk();
    // How far a row really is, against its estimate.
    void learn(float distance, float estimate);
    void take(std::uint32_t row, float distance);

    const SegmentParts& parts_;
    Walk& walk_;
    LinkWalk& link_walk_;
    NodeWalk node_walk_;
    bool is_node_walking_ = false;
    bool is_cut_ = false;  // candidates were to be chosen for longer than there was time
    bool is_gathered_ = false;  // whether rows_ still to be read are in their own order
    bool is_crowded_ = false;   // whether more candidates are in doubt than its bound was measured for
    Candidate last_{};          // of what a scan found, the farthest by estimate
    std::optional<QueryCode> code_;
    std::optional<QueryCode> fine_code_;
    NodeReader reader_;
    const SearchPlan* plan_ = nullptr;
    std::size_t number_ = 0;
    const float* query_ = nullptr;
    std::uint32_t left_out_ = 0;
    bool is_busy_ = false;
    std::optional<ExactDistance> exact_;
    std::vector<std::uint32_t> rows_;   // still to be compared, those nearest by estimate first
    std::vector<float> estimates_;      // of these, by a code
    const QueryCode* chosen_by_ = nullptr;  // that code; nullptr: none, and they are compared anyway
    double bias_sum_ = 0;                   // of exact distances less their estimates
    std::size_t bias_count_ = 0;            // of those
    std::vector<float> round_estimates_;    // of the rows being read
    std::size_t next_ = 0;
    std::size_t candidates_ = 0;  // rows_ are at most so many of those that count
    std::size_t usual_candidates_ = 0;  // with more of them codes were found to tell too little
    std::vector<const std::uint8_t*> records_;  // scratch of refine, and of lists
    std::vector<std::uint32_t> list_rows_;      // of lists
    std::vector<float> list_estimates_;
    ListRanking ranking_;
    bool is_fast_ = false;     // whether lists are gone by fast codes
    bool is_by_fast_ = false;  // whether rows_ are in the order of these alone, as no others are in memory
    float reach_ = 1;          // the plan's, or infinite
    FastTables fast_tables_;
    float fast_offset_ = 0;
    std::vector<float> fast_estimates_;     // of a list's blocks
    std::vector<std::uint16_t> fast_within_;
    std::vector<std::uint32_t> pending_;    // rows to look at by longer codes, on their way into the cache
    std::vector<Candidate> ordered_;
    std::vector<std::uint32_t> round_;  // being read
    std::vector<Candidate> nearest_;
    SearchCounters counters_;
};

}  // namespace lutra
