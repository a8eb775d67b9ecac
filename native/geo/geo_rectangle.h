// What lies between two latitudes, and east of one longitude and west of another, be it across the date line.
#pragma once

#include <vector>

#include "geo_shape.h"

namespace lutra::geo {

class Rectangle final : public Shape {
  public:
    // Across the date line where its west is east of its east. Throws std::invalid_argument where a corner is no point,
    // or the top is south of the bottom.
    Rectangle(const Point& top_left, const Point& bottom_right);

    bool contains(const Point& point) const override;
    Relation relation(const Box& box) const override;

  private:
    void add(double west, double east);

    double bottom_, top_;
    std::vector<Box> boxes_;
};

}  // namespace lutra::geo
