// What points are looked for in. A shape says of a box how its points lie to it, so that most are not looked at.
#pragma once

#include <cstdint>

#include "geo_point.h"

namespace lutra::geo {

enum class Relation : std::uint8_t {
    kOutside = 0,  // no point of the box is in the shape
    kInside = 1,   // all are
    kCrosses = 2,  // each has to be asked about
};

// Unchanging and thread-safe. The date line is one meridian, be it called 180 or -180, and a pole one point, whatever
// its longitude is said to be.
class Shape {
  public:
    virtual ~Shape() = default;

    // No shape has what is no point: a damaged one.
    virtual bool contains(const Point& point) const = 0;
    // Never says other than `contains` does of the points of the box.
    virtual Relation relation(const Box& box) const = 0;
};

}  // namespace lutra::geo
