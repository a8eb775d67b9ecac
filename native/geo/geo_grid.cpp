#include "geo_grid.h"

#include <algorithm>
#include <cmath>

namespace lutra::geo {

namespace {

// Of `extent` degrees from `least` on, cut into 2^bits: borders are exact as doubles, so what is rounded is set right.
std::uint64_t part_of(double degrees, double least, double extent, int bits) {
    const double parts = std::ldexp(1.0, bits);
    double part = std::clamp(std::floor((degrees - least) / extent * parts), 0.0, parts - 1);
    const auto border = [=](double number) { return least + number * (extent / parts); };
    if (part > 0 && degrees < border(part)) --part;
    if (part < parts - 1 && degrees >= border(part + 1)) ++part;
    return static_cast<std::uint64_t>(part);
}

}  // namespace

std::uint64_t cell_of(const Point& point, int lat_bits, int lon_bits) {
    const std::uint64_t row = part_of(point.lat, -kPoleLat, 2 * kPoleLat, lat_bits);
    const std::uint64_t column = part_of(point.lon, -kDateLineLon, kTurn, lon_bits);
    std::uint64_t cell = 0;
    while (lat_bits > 0 || lon_bits > 0) {
        if (lon_bits > 0) cell = cell << 1 | (column >> --lon_bits & 1);
        if (lat_bits > 0) cell = cell << 1 | (row >> --lat_bits & 1);
    }
    return cell;
}

}  // namespace lutra::geo
