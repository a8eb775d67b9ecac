// Distances on the earth, taken for a sphere. A distance is a function of the two points alone: wherever a point is
// kept, it comes out the same to the bit.
#pragma once

#include <cstdint>

#include "geo_point.h"

namespace lutra::geo {

enum class DistanceType : std::uint8_t {
    kArc = 0,    // along the great circle, by the haversine
    kPlane = 1,  // as if the earth were a plane, on which a degree of longitude is as long as halfway between both
};

// A point from which distances are measured.
class Origin {
  public:
    explicit Origin(const Point& point);

    const Point& point() const { return point_; }
    double distance_m(const Point& to, DistanceType type) const {
        return type == DistanceType::kArc ? arc_m(to) : plane_m(to);
    }
    double arc_m(const Point& to) const;
    // Across the date line where that is nearer.
    double plane_m(const Point& to) const;
    // Grows with the arc: the square of the sine of half of it. 0 to 1, or a little more.
    double haversine(const Point& to) const;

  private:
    Point point_;
    double cos_lat_;
};

}  // namespace lutra::geo
