// Nearest neighbours in one segment: choose candidates by their codes, compare exactly those the bound leaves in doubt.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "codes.h"
#include "distance.h"
#include "fast_codes.h"
#include "lists.h"
#include "link_walk.h"
#include "node_reader.h"
#include "search_plan.h"
#include "walk.h"

namespace lutra {

// A segment as far as it is in memory. All that is pointed to outlives the searcher and does not change.
struct SegmentParts {
    NodeFile nodes;
    Metric metric;
    const Quantizer* quantizer = nullptr;         // of the codes, in memory or not; nullptr: there are none
    const std::uint8_t* records = nullptr;       // [rows, record_bytes]; nullptr: not in memory
    const Quantizer* fine_quantizer = nullptr;   // of longer codes; nullptr: there are none in memory
    const std::uint8_t* fine_records = nullptr;  // [rows, record_bytes of those]
    const std::uint32_t* neighbours = nullptr;   // [rows, degree]; nullptr: not in memory
    std::span<const std::uint32_t> entries;
    const Lists* lists = nullptr;  // that the rows are in; nullptr: in none, or these are not in memory
    const FastCodes* fast = nullptr;           // of the rows in lists; nullptr: there are none in memory
    const std::uint8_t* fast_blocks = nullptr;  // of 16 rows each
    std::span<const std::uint32_t> apart;  // where walks go on, at last
    // Rows that codes do not describe, ascending, and their vectors [rows, dimension]: compared by every search.
    std::span<const std::uint32_t> exact_rows;
    const float* exact_vectors = nullptr;
    const LinkCodes* links = nullptr;            // of the neighbours; nullptr: there are none in memory
    const std::uint8_t* link_blocks = nullptr;   // [rows, block_bytes of their layout], with the vectors
    SimdLevel level;
};

// The graph and the codes, which are in memory.
inline WalkGraph walk_graph(const SegmentParts& parts) {
    return {parts.neighbours, parts.records, parts.nodes.row_count, parts.nodes.layout.degree,
            parts.quantizer->record_bytes(), parts.entries, parts.apart};
}

inline LinkGraph link_graph(const SegmentParts& parts) {
    const LinkLayout layout = parts.links->layout(parts.nodes.layout.degree);
    return {parts.link_blocks, parts.nodes.row_count, layout, layout.block_bytes(), parts.entries, parts.apart};
}

struct Queries {
    const float* vectors;  // [count, dimension], finite
    std::size_t count;
    const std::uint32_t* left_out;  // [count], a row each that does not count, kNoRow: none; nullptr: none for all
};

class SearchThread;

// One query on its way, whose candidates are chosen.
class ChosenSearch {
  public:
    explicit ChosenSearch(std::unique_ptr<SearchThread> thread);
    ~ChosenSearch();

  private:
    friend class Searcher;
    std::unique_ptr<SearchThread> thread_;
};

// Memory that searches of all segments of this process leave for those that follow, in bytes: with hundreds of segments
// it would be more than all their codes. What is beyond is given back at once.
void keep_scratch(std::size_t bytes);

// Thread-safe.
class Searcher {
  public:
    explicit Searcher(SegmentParts parts);
    ~Searcher();

    const SegmentParts& parts() const { return parts_; }

    // Fills ids and distances [queries, plan.k], nearest first and equals by id, and counters [queries]. On at most
    // `threads` threads. Throws TooLateError, StorageError, CorruptionError, what the source threw, or std::bad_alloc.
    void search(const Queries& queries, const SearchPlan& plan, unsigned threads, std::int64_t* ids, float* distances,
                SearchCounters* counters) const;

    // `search` of one query in two steps, of which the first computes only: it may be another thread's. `query` and
    // `plan` have to stay; its `within` may be less in the second step.
    std::unique_ptr<ChosenSearch> choose(const float* query, const SearchPlan& plan) const;
    void compare(std::unique_ptr<ChosenSearch> chosen, const SearchPlan& plan, std::int64_t* ids, float* distances,
                 SearchCounters& counters) const;

    // Fills `met` [count]: whether walks as wide as `beam`, over codes and a graph in memory, come by the row whose own
    // vector [count, dimension] is the query.
    void meet(const float* vectors, const std::uint32_t* rows, std::size_t count, std::size_t beam, unsigned threads,
              std::uint8_t* met) const;

    // The rows nearest to a query [dimension] by a walk over codes and a graph in memory that reads nothing, at most `count`
    // of them, nearest by estimate first; and what the walk took. None where codes do not tell so many apart: others may be
    // as near. Throws TooLateError.
    std::pair<std::vector<Candidate>, WalkCounters> come_by(const float* query, std::size_t beam, std::size_t count) const;

    // Memory of searches, kept for the next ones: as much as the most that ran at once needed.
    std::size_t scratch_bytes() const;

  private:
    std::unique_ptr<SearchThread> borrow() const;
    void give_back(std::unique_ptr<SearchThread> thread) const;

    const SegmentParts parts_;
    mutable std::mutex mutex_;
    mutable std::vector<std::unique_ptr<SearchThread>> idle_;
};

}  // namespace lutra
