// Where walks over a graph start.
#pragma once

#include <cstdint>
#include <vector>

#include "graph_space.h"

namespace lutra {

// How many entries a graph of so many rows has, at most: the square root of the rows, 1 to 256.
std::size_t entries_max(std::size_t row_count);

// A sample's medoid, then rows drawn with the chance of their squared distance from those drawn before (k-means++,
// SODA'07), so that each cluster a sample shows has one. Fewer than entries_max where all rows left equal one drawn.
std::vector<std::uint32_t> choose_entries(const RowSpace& space, std::uint64_t seed, unsigned threads);

}  // namespace lutra
