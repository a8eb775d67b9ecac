#include "geo_curve.h"

#include <cmath>

namespace lutra::geo {

namespace {

constexpr double kCells = 4294967296.0;

std::uint32_t cell_of(double share) {
    return share >= 1 ? 0xFFFFFFFFu : static_cast<std::uint32_t>(share * kCells);
}

}  // namespace

std::uint64_t place_on_curve(const Point& point) {
    std::uint32_t x = cell_of((point.lon + kDateLineLon) / kTurn), y = cell_of((point.lat + kPoleLat) / (2 * kPoleLat));
    std::uint64_t place = 0;
    for (int bit = 31; bit >= 0; --bit) {
        const std::uint32_t right = x >> bit & 1, upper = y >> bit & 1;
        place = place << 2 | ((3 * right) ^ upper);
        if (upper == 0) {  // the quarters below are turned
            if (right != 0) {
                x = ~x;
                y = ~y;
            }
            const std::uint32_t kept = x;
            x = y;
            y = kept;
        }
    }
    return place;
}

}  // namespace lutra::geo
