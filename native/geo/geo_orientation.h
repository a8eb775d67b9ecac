// On which side of a line a point lies, without an error: what is too near to tell is computed exactly.
#pragma once

namespace lutra::geo {

// On the map, where longitudes go on beyond the date line.
struct Place {
    double x, y;  // longitude, latitude

    bool operator==(const Place&) const = default;
};

// 1 where `c` lies to the left of the line from `a` to `b`, -1 where it lies to the right, 0 where it is on it.
// Exact for numbers whose products are not less than the least normal number; such are taken for 0.
int side_of(const Place& a, const Place& b, const Place& c);

}  // namespace lutra::geo
