// Best-first walk over a graph held in memory, on the codes of its rows; under a filter, one walk through rows that
// count and rows that only lead on.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "beam.h"
#include "codes.h"
#include "row_mask.h"
#include "time_limit.h"

namespace lutra {

// What walks run over. Read by any number of threads at once; not to be changed meanwhile.
struct WalkGraph {
    const std::uint32_t* neighbours;  // [row_count, degree], then kNoRow where unused
    const std::uint8_t* records;      // [row_count, record_bytes of the quantizer]
    std::size_t row_count;            // 1 to kGraphRowsMax
    std::size_t degree;
    std::size_t record_bytes;
    std::span<const std::uint32_t> entries;
    // Rows that walks do not come by. They are looked at where a walk ends, which then goes on: so it finds all that it
    // finds without them. Under a mask they are entries like others.
    std::span<const std::uint32_t> apart = {};
};

struct WalkOptions {
    std::size_t beam;             // candidates the walk keeps going with; 1 to kBeamMax
    std::size_t count;            // candidates wanted: 1 to kBeamMax; a beam is never narrower
    std::size_t least;            // under a mask the walk goes on until it has the nearest so many, at most `count`
    std::uint64_t effort_max;     // distances and lists read through at which the walk gives up; 0: none
    const RowMask* mask;          // of row_count rows; nullptr: all count
    std::span<const std::uint32_t> seeds;  // rows that count, looked at beside the entries
    std::uint32_t left_out = 0xffffffff;   // a row to walk as if it were not there: a query that is one of the rows
    std::uint32_t sought = 0xffffffff;      // the walk ends where it meets this row
    bool ends_when_spent = false;           // the walk ends where the beam comes to its last row
    bool leaves_when_away = false;  // under a mask: gives up where far fewer rows count near the query than elsewhere
};

enum class WalkEnd : std::uint8_t {
    kDone = 0,
    kExhausted = 1,  // under a mask: every row that can be reached was seen, and fewer than `least` count
    kGaveUp = 2,     // effort_max, or the mask leaves out what is near the query
    kLate = 3,       // the thread's time was up
};

struct WalkCounters {
    std::uint32_t hops = 0;        // rows whose neighbours were looked at
    std::uint32_t distances = 0;   // estimates taken
    std::uint32_t bridges = 0;     // rows that do not count whose lists were read through to find some that do
    std::uint32_t looked = 0;      // rows whose place in the mask was looked at while walking
    std::uint32_t qualified = 0;   // those of them that count: qualified / looked is the pass rate near the query
    WalkEnd end = WalkEnd::kDone;
};

// A thread's memory for walks, used again by each: about row_count / 4 bytes and what a beam needs.
class Walk {
  public:
    // The candidates nearest by estimate, nearest first, at most `count`. Where the thread's time is up: those that
    // were met by then.
    const std::vector<Candidate>& run(const WalkGraph& graph, const QueryCode& query, const WalkOptions& options);

    // Whether a walk comes by `row`, whose own vector is the query; it ends there.
    bool meets(const WalkGraph& graph, const QueryCode& query, std::uint32_t row, std::size_t beam);

    const WalkCounters& counters() const { return counters_; }

  private:
    bool has_met_sought() const { return options_->sought < graph_->row_count && seen_.contains(options_->sought); }
    bool is_over_when_spent() const { return options_->ends_when_spent && beam_.is_spent(); }
    void collect_all(std::span<const std::uint32_t> rows);
    void look_at_all(std::span<const std::uint32_t> rows);
    void look_through(std::span<const std::uint32_t> rows);
    void collect(std::uint32_t row);
    void bridge();
    void estimate();
    void keep_filtered();
    bool expand_all();
    bool is_late();
    void adapt();
    double pass_rate() const;
    bool is_away() const;
    double bridged_beam_share() const;
    void keep_what_counts();
    bool go_on_wider();
    bool is_enough() const;

    std::span<const std::uint32_t> neighbours_of(std::uint32_t row) const;
    void prefetch_neighbours(std::uint32_t row) const;
    void prefetch_ahead() const;
    bool counts(std::uint32_t row) const { return options_->mask == nullptr || options_->mask->contains(row); }

    const WalkGraph* graph_ = nullptr;
    const QueryCode* query_ = nullptr;
    const WalkOptions* options_ = nullptr;
    WalkCounters counters_;
    bool bridging_ = false;  // rows that do not count are not estimated but read through
    bool adapted_ = false;
    Pace pace_{TimeLimit{}};
    Beam beam_;
    Beam found_;  // under a mask: rows that count
    RowSet seen_;
    std::vector<std::uint32_t> unseen_;
    std::vector<std::uint32_t> rows_;
    std::vector<const std::uint8_t*> records_;
    std::vector<float> estimates_;
    std::vector<Candidate> fresh_;
    std::vector<Candidate> fresh_found_;
    std::vector<Candidate> spilled_;
    std::vector<std::uint32_t> to_bridge_;
    std::vector<std::uint32_t> bridged_;  // seen, but never estimated
    std::vector<Candidate> result_;
};

}  // namespace lutra
