// How one query is to be answered, and what doing so took.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>

#include "row_mask.h"
#include "time_limit.h"

namespace lutra {

// The numbers are those of lutra.vectors.strategies.Strategy.
enum class Strategy : std::uint8_t {
    kBruteForce = 0,  // the vectors of all rows that count
    kCodeScan = 1,    // the codes of all rows that count, then the vectors of those in doubt
    kWalk = 2,        // the graph and the codes in memory, then the vectors of those in doubt
    kNodeWalk = 3,    // the graph on disk: every row whose neighbours are looked at gives its vector too
    kListScan = 4,    // the codes of all rows that count in the lists nearest to the query, then vectors as in kCodeScan
};

struct SearchPlan {
    Strategy strategy;
    std::size_t k;           // answers wanted; at most the rows that count
    std::size_t beam;        // of a walk
    std::size_t candidates;  // rows, by estimate, that may be compared exactly at all; at least k
    std::size_t first;       // of these, so many without asking; at least k
    float bound_sigmas;      // of the bound that decides for the others
    std::uint64_t effort_max;  // distances (reads of a kNodeWalk) after which a walk under a mask ends; 0: never
    bool deepens;            // under a mask: goes on for more candidates where codes do not tell them apart
    bool scans_when_away = false;  // a walk is followed by a scan where the mask leaves out what is near the query
    // Rows farther than this may be left out, and answers then be fewer.
    float within = std::numeric_limits<float>::infinity();
    // How far a k-th neighbour was where a walk's effort was measured; of a product, for a query of length 1. A walk
    // that ends farther away is not trusted, but followed by a scan.
    float measured_within = std::numeric_limits<float>::infinity();
    // The same the other way: what goes by lists and ends nearer, as queries in the middle of all rows do, is not trusted.
    float measured_beyond = -std::numeric_limits<float>::infinity();
    // A walk without a mask whose candidates stand out less than this (SearchSlot::contrast) goes again, so wide; where
    // that is not wider, it is followed by a scan. Among rows that are about equally far more of the nearest are missed.
    float contrast_min = 0;
    std::size_t wider_beam = 0;
    // Of a kListScan: rows that the lists looked at have at least; and of the others, up to which cosine of what their rows
    // would have to be at to be among the nearest they are looked at (ListRanking::cosine).
    std::size_t covers = 0;
    float reach = 1;
    // Of a kListScan with fast codes: what is added to a distance, times its root, where these may be off so much; 0: they
    // are not gone by (SearchSlot::fast_limit).
    float slack = 0;
    std::size_t qualifying;  // rows that count
    const RowMask* mask;     // of all rows; nullptr: all count
    std::span<const std::uint32_t> seeds;  // rows that count, for a walk to start from
    std::span<const std::uint32_t> rows;   // kBruteForce: all rows that count
    TimeLimit limit = {};
    // Where the time is up the answer is of what was compared by then, and says so; else TooLateError is thrown.
    bool answers_in_part = false;

    // Throws TooLateError where the time is up.
    void check_time() const { limit.check(); }
};

struct SearchCounters {
    std::uint64_t distances = 0;  // estimates and exact ones
    std::uint64_t exact = 0;      // of these
    std::uint64_t hops = 0;  // rows whose neighbours were looked at, or lists whose rows were
    std::uint64_t reads = 0;
    std::uint64_t bytes = 0;
    Strategy planned = Strategy::kBruteForce;
    Strategy used = Strategy::kBruteForce;  // another one where the plan was changed on the way
    bool is_partial = false;  // the time was up before all was looked at that was to be
};

}  // namespace lutra
