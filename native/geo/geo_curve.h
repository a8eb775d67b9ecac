// Points in an order in which those that are near to each other tend to be near on the earth: Hilbert's curve.
#pragma once

#include <cstdint>

#include "geo_point.h"

namespace lutra::geo {

// Where a point is on the curve, of 2^64 places.
std::uint64_t place_on_curve(const Point& point);

}  // namespace lutra::geo
