// Points on the earth, in degrees as clients give them, and boxes of latitudes and longitudes.
#pragma once

#include <cmath>

namespace lutra::geo {

inline constexpr double kPoleLat = 90;
inline constexpr double kDateLineLon = 180;
inline constexpr double kTurn = 360;

// Of a sphere with the mean radius of the earth (IUGG's R1), which Lucene and Elasticsearch measure on.
inline constexpr double kEarthRadiusM = 6371008.7714;

inline constexpr double kRadians = 3.14159265358979323846 / 180;

// Arrays of points for Python are arrays of these.
struct Point {
    double lat;  // -90 to 90
    double lon;  // -180 to 180
};

inline bool is_point(const Point& point) {
    return std::abs(point.lat) <= kPoleLat && std::abs(point.lon) <= kDateLineLon;  // neither is NaN, then
}

// All latitudes and longitudes between two of each, themselves included; it does not reach over the date line.
struct Box {
    double lat_min, lat_max, lon_min, lon_max;

    bool contains(const Point& point) const {
        return lat_min <= point.lat && point.lat <= lat_max && lon_min <= point.lon && point.lon <= lon_max;
    }
    bool contains(const Box& box) const {
        return lat_min <= box.lat_min && box.lat_max <= lat_max && lon_min <= box.lon_min && box.lon_max <= lon_max;
    }
    bool meets(const Box& box) const {
        return lat_min <= box.lat_max && box.lat_min <= lat_max && lon_min <= box.lon_max && box.lon_min <= lon_max;
    }
};

}  // namespace lutra::geo
