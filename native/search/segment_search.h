// One query in several segments: candidates of all of them at once where processors are idle, then compared in order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "search_plan.h"
#include "searcher.h"

namespace lutra {

// What one of several segments is asked, whatever the query.
struct SegmentShare {
    const Searcher* searcher;
    const std::int32_t* docs;  // [rows], the document of each
    SearchPlan plan;           // its rows and seeds are found here
};

// What one segment answers one query: documents at their distances, equals by document.
struct SegmentAnswer {
    std::vector<std::pair<float, std::int64_t>> hits;
    SearchCounters counters;
    float within;  // farther rows were left out
    double us;     // of all threads
};

// What of a mask a plan's strategy needs to be listed: its rows where all are compared, some for a walk to start from.
// The plan refers to `listed` then, which has to stay.
void list_rows(SearchPlan& plan, std::size_t row_count, std::vector<std::uint32_t>& listed);

// Asks the shares, in their order; each is read only for what may be nearer than the `top_k`-th nearest of what is
// `known` and of what those before it found. Choosing candidates, which is computing alone, is shared out to at most
// `helpers` idle threads: what is found does not depend on that. Throws as Searcher::search.
std::vector<SegmentAnswer> search_shares(std::span<const SegmentShare> shares, const float* query, std::size_t top_k,
                                         std::span<const float> known, unsigned helpers);

}  // namespace lutra
