#include "geo_circle.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

namespace lutra::geo {

namespace {

// Angles differ by less than this, in degrees, for all that is rounded: a tenth of a millimetre. But near the opposite
// side of the earth: there nothing is left out by boxes.
constexpr double kSlack = 1e-9;
constexpr double kWideAngle = 170;

// Relative: of haversines, but for those near a pole, and of the longitudes that a circle reaches.
constexpr double kRounding = 1e-11;
constexpr double kPolarLat = 89.99;
constexpr double kWidening = 1e-6;

double haversine_of(double angle) {
    const double sine = std::sin(angle * kRadians / 2);
    return sine * sine;
}

// How far two longitudes are apart, the shorter way round.
double apart(double one, double other) {
    const double difference = std::abs(one - other);
    return std::min(difference, kTurn - difference);
}

std::vector<Box> boxes_around(const Point& centre, double angle) {
    const Box all{-kPoleLat, kPoleLat, -kDateLineLon, kDateLineLon};
    if (angle >= kWideAngle) return {all};
    const double lat_min = std::max(-kPoleLat, centre.lat - angle - kSlack);
    const double lat_max = std::min(kPoleLat, centre.lat + angle + kSlack);
    if (lat_min == -kPoleLat || lat_max == kPoleLat) return {{lat_min, lat_max, all.lon_min, all.lon_max}};
    const double ratio = std::sin(angle * kRadians) / std::cos(centre.lat * kRadians);
    // Where the circle all but touches a pole, it may reach any longitude.
    const double wide = ratio < 1 ? std::asin(ratio) / kRadians * (1 + kWidening) + kSlack : kDateLineLon;
    if (wide >= 89) return {{lat_min, lat_max, all.lon_min, all.lon_max}};
    const double west = centre.lon - wide, east = centre.lon + wide;
    std::vector<Box> boxes{{lat_min, lat_max, std::max(west, all.lon_min), std::min(east, all.lon_max)}};
    if (west <= all.lon_min) boxes.push_back({lat_min, lat_max, west + kTurn - kSlack, all.lon_max});
    if (east >= all.lon_max) boxes.push_back({lat_min, lat_max, all.lon_min, east - kTurn + kSlack});
    return boxes;
}

}  // namespace

Circle::Circle(const Point& centre, double radius_m) : centre_(centre), radius_m_(radius_m) {
    if (!is_point(centre)) throw std::invalid_argument("the centre is no point");
    if (!(radius_m > 0) || std::isinf(radius_m)) throw std::invalid_argument("the radius is more than 0, and finite");
    const double angle = radius_m / kEarthRadiusM / kRadians;
    around_ = boxes_around(centre, angle);
    if (angle < kWideAngle) {
        within_ = haversine_of(angle) * (1 - kRounding);
        without_ = haversine_of(angle) * (1 + kRounding);
    } else {
        within_ = haversine_of(kWideAngle) * (1 - kRounding);
        without_ = 2;
    }
}

bool Circle::contains(const Point& point) const {
    const bool near = std::any_of(around_.begin(), around_.end(), [&](const Box& box) { return box.contains(point); });
    if (!near) return false;
    const double haversine = centre_.haversine(point);
    if (haversine < within_) return true;
    return haversine <= without_ && centre_.arc_m(point) <= radius_m_;
}

bool Circle::may_meet(const Box& box) const {
    return std::any_of(around_.begin(), around_.end(), [&](const Box& around) { return around.meets(box); });
}

Relation Circle::relation(const Box& box) const {
    if (!may_meet(box)) return Relation::kOutside;
    if (box.lat_max > kPolarLat || box.lat_min < -kPolarLat) return Relation::kCrosses;
    if (least_haversine(box) > without_) return Relation::kOutside;
    const Point& centre = centre_.point();
    const bool reaches_round = box.lon_max - box.lon_min > 90 || apart(box.lon_min, centre.lon) > 90 ||
                               apart(box.lon_max, centre.lon) > 90;
    if (reaches_round) return Relation::kCrosses;
    // On a meridian less than 90 degrees away, and on a parallel, what is farthest is an end: in a box, a corner.
    const Point corners[] = {{box.lat_min, box.lon_min},
                             {box.lat_min, box.lon_max},
                             {box.lat_max, box.lon_min},
                             {box.lat_max, box.lon_max}};
    const bool all = std::all_of(std::begin(corners), std::end(corners),
                                 [&](const Point& corner) { return centre_.haversine(corner) < within_; });
    return all ? Relation::kInside : Relation::kCrosses;
}

// Of all points of the box, or a little less.
double Circle::least_haversine(const Box& box) const {
    const Point& centre = centre_.point();
    if (box.lon_min <= centre.lon && centre.lon <= box.lon_max) {
        const double lat = std::clamp(centre.lat, box.lat_min, box.lat_max);
        return haversine_of(lat - centre.lat) * (1 - kRounding);
    }
    // The nearest point lies on the meridian that bounds the box on the nearer side.
    double least = 2;
    for (const double lon : {box.lon_min, box.lon_max}) {
        const double nearest =
            std::atan2(std::sin(centre.lat * kRadians), std::cos(centre.lat * kRadians) *
                                                            std::cos((lon - centre.lon) * kRadians)) / kRadians;
        for (const double lat : {box.lat_min, box.lat_max, std::clamp(nearest, box.lat_min, box.lat_max)}) {
            least = std::min(least, centre_.haversine({lat, lon}));
        }
    }
    return least * (1 - kRounding);
}

}  // namespace lutra::geo
