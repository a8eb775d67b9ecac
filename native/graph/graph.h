// A Vamana graph (DiskANN, NeurIPS'19) over the rows of a float32 matrix, built by inserting batches of rows
// (ParlayANN, PPoPP'24): all rows of a batch search the graph as it was before it, so the result does not depend on the
// threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "graph_space.h"

namespace lutra {

inline constexpr std::uint32_t kNoRow = 0xffffffff;
// A beam keeps a bit beside a row's number, and room for kNoRow.
inline constexpr std::size_t kGraphRowsMax = 0x7fffffff;
inline constexpr std::size_t kDegreeMax = 1024;
inline constexpr std::size_t kBeamMax = 4096;

struct GraphOptions {
    std::size_t degree = 32;   // 1 to kDegreeMax
    std::size_t beam = 100;    // width of the search for a new row's neighbours; 1 to kBeamMax
    float alpha = 1.2f;        // at least 1: an edge is left out where a kept one is alpha times nearer (squared)
    unsigned threads = 1;      // at least 1
    std::uint64_t seed = 0;
    SimdLevel level = SimdLevel::kPortable;
    std::optional<Precision> precision;  // none: int8 where a sample agrees with float32
};

// A graph over rows [0, row_count) to go on from. Rows without any neighbour are inserted like new ones.
struct StartGraph {
    const std::uint32_t* neighbours;  // [row_count, degree], kNoRow where unused; others below row_count
    std::size_t row_count;
    std::size_t degree;
};

struct GraphCounters {
    std::uint64_t distances = 0;
    std::uint64_t repaired = 0;  // rows that were cut off from the entries, or hard to find, and got an edge
    std::size_t peak_bytes = 0;  // memory held at most, without the vectors given
    Precision precision = Precision::kFloat32;
};

struct Graph {
    std::vector<std::uint32_t> neighbours;  // [row_count, degree], nearest first, then kNoRow
    std::vector<std::uint32_t> entries;     // where walks start; every row can be reached from them. Empty: no rows
    GraphCounters counters;
};

// Rows inserted so far, of how many. False stops the build.
using Progress = std::function<bool(std::size_t done, std::size_t total)>;

// Nothing where `progress` stopped the build. Throws std::bad_alloc. The threads make no difference to the graph; nor
// does the level where the rows are compared by int8.
std::optional<Graph> build_graph(const GraphVectors& vectors, const GraphOptions& options, const StartGraph* start,
                                 const Progress& progress);

}  // namespace lutra
