// What lies no farther from a point than so many metres, along the great circle.
#pragma once

#include <vector>

#include "geo_distance.h"
#include "geo_shape.h"

namespace lutra::geo {

class Circle final : public Shape {
  public:
    // `radius_m` is more than 0, and finite. Throws std::invalid_argument.
    Circle(const Point& centre, double radius_m);

    bool contains(const Point& point) const override;
    Relation relation(const Box& box) const override;

  private:
    bool may_meet(const Box& box) const;
    double least_haversine(const Box& box) const;

    Origin centre_;
    double radius_m_;
    // Haversines of which it is clear, in spite of rounding, that what has them lies within and without.
    double within_, without_;
    std::vector<Box> around_;  // all of the circle lies in these
};

}  // namespace lutra::geo
