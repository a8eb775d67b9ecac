#include "geo_distance.h"

#include <algorithm>
#include <cmath>

namespace lutra::geo {

Origin::Origin(const Point& point) : point_(point), cos_lat_(std::cos(point.lat * kRadians)) {}

double Origin::haversine(const Point& to) const {
    const double lat = std::sin((to.lat - point_.lat) * kRadians / 2);
    const double lon = std::sin((to.lon - point_.lon) * kRadians / 2);
    return lat * lat + cos_lat_ * std::cos(to.lat * kRadians) * lon * lon;
}

double Origin::arc_m(const Point& to) const {
    return 2 * kEarthRadiusM * std::asin(std::min(1.0, std::sqrt(haversine(to))));
}

double Origin::plane_m(const Point& to) const {
    const double apart = std::abs(to.lon - point_.lon);
    const double lon = std::min(apart, kTurn - apart) * kRadians * std::cos((to.lat + point_.lat) / 2 * kRadians);
    const double lat = (to.lat - point_.lat) * kRadians;
    return kEarthRadiusM * std::sqrt(lat * lat + lon * lon);
}

}  // namespace lutra::geo
