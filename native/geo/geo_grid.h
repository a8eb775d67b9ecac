// Cells of a grid of latitudes and longitudes, halved again and again: those of geohashes.
#pragma once

#include <cstdint>

#include "geo_point.h"

namespace lutra::geo {

// The number of the cell that a point is in, of 2^lat_bits by 2^lon_bits; up to 31 each. Row and column have a bit each
// by turns, a column's the highest. A cell holds its southern and its western border; the last ones hold the other too.
std::uint64_t cell_of(const Point& point, int lat_bits, int lon_bits);

}  // namespace lutra::geo
