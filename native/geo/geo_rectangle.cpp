#include "geo_rectangle.h"

#include <algorithm>
#include <stdexcept>

namespace lutra::geo {

Rectangle::Rectangle(const Point& top_left, const Point& bottom_right) : bottom_(bottom_right.lat), top_(top_left.lat) {
    if (!is_point(top_left) || !is_point(bottom_right)) throw std::invalid_argument("a corner is no point");
    if (top_ < bottom_) throw std::invalid_argument("the top is south of the bottom");
    const double west = top_left.lon, east = bottom_right.lon;
    if (west <= east) {
        add(west, east);
    } else {
        add(west, kDateLineLon);
        add(-kDateLineLon, east);
    }
    const auto reaches = [this](double lon) {
        return std::any_of(boxes_.begin(), boxes_.end(),
                           [lon](const Box& box) { return box.lon_min <= lon && lon <= box.lon_max; });
    };
    // The date line by its other name, and the poles by any longitude.
    const bool at_east = reaches(kDateLineLon), at_west = reaches(-kDateLineLon);
    if (at_east && !at_west) add(-kDateLineLon, -kDateLineLon);
    if (at_west && !at_east) add(kDateLineLon, kDateLineLon);
    if (top_ == kPoleLat) boxes_.push_back({kPoleLat, kPoleLat, -kDateLineLon, kDateLineLon});
    if (bottom_ == -kPoleLat) boxes_.push_back({-kPoleLat, -kPoleLat, -kDateLineLon, kDateLineLon});
}

void Rectangle::add(double west, double east) { boxes_.push_back({bottom_, top_, west, east}); }

bool Rectangle::contains(const Point& point) const {
    return std::any_of(boxes_.begin(), boxes_.end(), [&](const Box& box) { return box.contains(point); });
}

Relation Rectangle::relation(const Box& box) const {
    Relation relation = Relation::kOutside;
    for (const Box& own : boxes_) {
        if (own.contains(box)) return Relation::kInside;
        if (own.meets(box)) relation = Relation::kCrosses;
    }
    return relation;
}

}  // namespace lutra::geo
