// Points on the earth: what is in a shape is so by its boxes too, distances, rings, and texts from strangers.
#include "geo_circle.h"
#include "geo_curve.h"
#include "geo_distance.h"
#include "geo_grid.h"
#include "geo_polygon.h"
#include "geo_rectangle.h"
#include "geo_text.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "check.h"

using namespace lutra::geo;

namespace {

std::mt19937_64 engine(7);

double uniform(double low, double high) { return std::uniform_real_distribution<double>(low, high)(engine); }

Point random_point() {
    static const double lats[] = {-90, 90, 0, 89.9999, 45}, lons[] = {-180, 180, 0, 179.9999, -90};
    const bool named = uniform(0, 1) < 0.3;
    return {named ? lats[engine() % 5] : uniform(-90, 90), named ? lons[engine() % 5] : uniform(-180, 180)};
}

template <class Make>
void refused(const Make& make) {
    bool was = false;
    try {
        make();
    } catch (const std::invalid_argument&) {
        was = true;
    }
    CHECK(was);
}

// No box says otherwise than its points.
void check_boxes(const Shape& shape, double from_pole = 0) {
    for (int round = 0; round < 300; ++round) {
        const double reach = from_pole > 0 ? from_pole * std::pow(10, uniform(-1, 1)) : std::pow(10, uniform(-4, 2));
        const Point centre = from_pole > 0 ? Point{90 - uniform(0, 3) * from_pole, uniform(-180, 180)} : random_point();
        Box box{90, -90, 180, -180};
        std::vector<Point> points;
        for (int i = 0; i < 12; ++i) {
            const double wide = from_pole > 0 ? 40 : reach;
            const Point point{std::min(90.0, std::max(-90.0, centre.lat + uniform(-reach, reach))),
                              std::min(180.0, std::max(-180.0, centre.lon + uniform(-wide, wide)))};
            points.push_back(point);
            box = {std::min(box.lat_min, point.lat), std::max(box.lat_max, point.lat),
                   std::min(box.lon_min, point.lon), std::max(box.lon_max, point.lon)};
        }
        const Relation relation = shape.relation(box);
        for (const Point& point : points) {
            CHECK(relation == Relation::kCrosses || shape.contains(point) == (relation == Relation::kInside));
        }
    }
}

void check_damaged(const Shape& shape) {
    for (const double wrong : {static_cast<double>(NAN), 1e300, -1e300, static_cast<double>(INFINITY)}) {
        for (const Point& point : {Point{wrong, 0}, Point{0, wrong}, Point{wrong, wrong}}) {
            CHECK(!shape.contains(point));
            shape.relation({point.lat, point.lat, point.lon, point.lon});
            shape.relation({-90, point.lat, point.lon, 180});
        }
    }
}

void test_circles() {
    for (int round = 0; round < 60; ++round) {
        const Point centre = random_point();
        const double radius_m = std::pow(10, uniform(-2, 7.4));
        const Circle circle(centre, radius_m);
        check_boxes(circle);
        check_damaged(circle);
        const Origin origin(centre);
        for (int i = 0; i < 50; ++i) {
            const Point point = random_point();
            CHECK(circle.contains(point) == (origin.arc_m(point) <= radius_m));
        }
        CHECK(circle.contains(centre));
    }
    // Its corners are within, but not what is on the other side of the earth.
    const double degree_m = kEarthRadiusM * kRadians;
    CHECK(Circle({0, 0}, 100 * degree_m).relation({-85, 85, -180, 180}) == Relation::kCrosses);
    for (int round = 0; round < 60; ++round) {  // where longitudes say little
        const double out = std::pow(10, uniform(-10, -1));
        check_boxes(Circle({90 - out, uniform(-180, 180)}, std::pow(10, uniform(-1, 1)) * out * degree_m), out);
    }
    refused([] { Circle({0, 0}, 0); });
    refused([] { Circle({0, 0}, INFINITY); });
    refused([] { Circle({0, 0}, NAN); });
    refused([] { Circle({NAN, 0}, 1); });
    refused([] { Circle({0, 181}, 1); });
}

void test_rectangles() {
    for (int round = 0; round < 60; ++round) {
        const Point one = random_point(), other = random_point();
        const Rectangle box({std::max(one.lat, other.lat), one.lon}, {std::min(one.lat, other.lat), other.lon});
        check_boxes(box);
        check_damaged(box);
        CHECK(box.contains({one.lat, one.lon}) && box.contains({one.lat, other.lon}));
    }
    const Rectangle across({10, 170}, {-10, -170});
    CHECK(across.contains({0, 180}) && across.contains({0, -180}) && !across.contains({0, 0}));
    CHECK(Rectangle({10, 170}, {-10, 180}).contains({0, -180}) && Rectangle({10, -180}, {-10, 0}).contains({0, 180}));
    CHECK(across.relation({-1, 1, 175, 180}) == Relation::kInside);
    CHECK(across.relation({11, 12, 175, 180}) == Relation::kOutside);
    refused([] { Rectangle({0, 0}, {1, 1}); });
    refused([] { Rectangle({91, 0}, {1, 1}); });
}

void test_polygons() {
    for (int round = 0; round < 60; ++round) {
        std::vector<Point> ring;
        const Point centre = random_point();
        const double reach = std::pow(10, uniform(-3, 2));
        const int count = 3 + static_cast<int>(engine() % 30);
        for (int i = 0; i < count; ++i) {
            const double angle = 6.283185307 * i / count, out = reach * uniform(0.2, 1);
            const double lon = std::fmod(centre.lon + out * std::cos(angle) + 900, 360) - 180;
            ring.push_back({std::min(90.0, std::max(-90.0, centre.lat + out * std::sin(angle))), lon});
        }
        if (Ring(ring).fault() == RingFault::kNone) {
            const Polygon polygon(ring);
            check_boxes(polygon);
            check_damaged(polygon);
        }
    }
    const std::vector<Point> pole{{60, 0}, {60, 120}, {60, -120}};
    CHECK(Ring(pole).turns() == 1);
    CHECK(Polygon(pole).contains({90, 55}) && Polygon(pole).contains({61, 180}) && !Polygon(pole).contains({-90, 55}));
    check_boxes(Polygon(pole));
    const Polygon fiji(std::vector<Point>{{-20, 175}, {-20, -175}, {-10, -175}, {-10, 175}});
    for (const double lon : {175.0, 180.0, -180.0, -175.0}) CHECK(fiji.contains({-15, lon}));
    CHECK(!fiji.contains({-15, 174}) && !fiji.contains({-15, -174}) && !fiji.contains({-15, 0}));
    CHECK(fiji.relation({-16, -15, -179, -178}) == Relation::kInside);
    CHECK(fiji.relation({-16, -15, 0, 1}) == Relation::kOutside);
    refused([] { Polygon(std::vector<Point>{}); });
    refused([] { Polygon(std::vector<Point>{{0, 0}, {1, 1}, {1, 0}, {0, 1}}); });
    refused([] { Polygon(std::vector<Point>{{0, 0}, {NAN, 1}, {1, 0}}); });
    CHECK(Ring(std::vector<Point>{}).fault() == RingFault::kFewPoints);
    CHECK(Ring(std::vector<Point>(5, {1, 1})).fault() == RingFault::kFewPoints);
}

void test_sides() {
    CHECK(side_of({0, 0}, {1, 1}, {0, 1}) == 1 && side_of({0, 0}, {1, 1}, {1, 0}) == -1);
    CHECK(side_of({0, 0}, {3, 1}, {0.3, 0.1}) == -side_of({3, 1}, {0, 0}, {0.3, 0.1}));
    for (int i = 0; i < 10000; ++i) {
        const Place a{uniform(-180, 180), uniform(-90, 90)}, b{2 * a.x, 2 * a.y};
        CHECK(side_of(a, b, {4 * a.x, 4 * a.y}) == 0);
        CHECK(side_of(a, b, {4 * a.x, std::nextafter(4 * a.y, 1e9)}) == (a.x > 0 ? 1 : -1));
    }
}

void test_distances() {
    const double half_round_m = 3.14159265358979323846 * kEarthRadiusM;
    CHECK(std::abs(Origin({0, 0}).arc_m({0, 180}) - half_round_m) < 1);
    CHECK(std::abs(Origin({90, 5}).arc_m({-90, 99}) - half_round_m) < 1);
    CHECK(Origin({90, 5}).arc_m({90, 99}) < 1e-6);
    CHECK(std::abs(Origin({10, 179.5}).arc_m({10, -179.5}) - Origin({10, 0}).arc_m({10, 1})) < 1e-6);
    CHECK(std::abs(Origin({10, 179.5}).plane_m({10, -179.5}) - Origin({10, 0}).plane_m({10, 1})) < 1e-6);
    for (int i = 0; i < 1000; ++i) {
        const Point one = random_point(), other = random_point();
        CHECK(std::abs(Origin(one).arc_m(other) - Origin(other).arc_m(one)) <= 1e-6);
        CHECK(Origin(one).arc_m(one) == 0 && Origin(one).plane_m(one) == 0);
    }
}

// Neighbours on the curve are neighbours on the map: of a grid whose cells are each met once.
void test_curve() {
    CHECK(place_on_curve({-90, -180}) == 0);
    std::vector<std::pair<std::uint64_t, std::pair<int, int>>> cells;
    for (int y = 0; y < 16; ++y) {
        for (int x = 0; x < 16; ++x) {
            cells.push_back({place_on_curve({-90 + (y + 0.5) * 180 / 16, -180 + (x + 0.5) * 360 / 16}), {x, y}});
        }
    }
    std::sort(cells.begin(), cells.end());
    for (std::size_t i = 1; i < cells.size(); ++i) {
        const auto [one, other] = std::pair(cells[i - 1].second, cells[i].second);
        CHECK(std::abs(one.first - other.first) + std::abs(one.second - other.second) == 1);
    }
    place_on_curve({90, 180});
}

// Cells hold their southern and western borders, and number rows and columns by turns.
void test_grid() {
    CHECK(cell_of({-90, -180}, 31, 31) == 0 && cell_of({90, 180}, 31, 31) == (std::uint64_t{1} << 62) - 1);
    CHECK(cell_of({0, 0}, 1, 1) == 3 && cell_of({-1, 0}, 1, 1) == 2 && cell_of({0, -1}, 1, 1) == 1);
    CHECK(cell_of({45, 90}, 0, 0) == 0 && cell_of({-10, 170}, 0, 3) == 7 && cell_of({80, -170}, 2, 0) == 3);
    for (int i = 0; i < 2000; ++i) {
        const int bits = 1 + static_cast<int>(engine() % 31);
        const double width = std::ldexp(360, -bits), border = -180 + width * std::floor(uniform(0, std::ldexp(1, bits)));
        const std::uint64_t cell = cell_of({0, border}, 0, bits);
        CHECK(static_cast<double>(cell) * width - 180 == border);
        CHECK(border == -180 || cell_of({0, std::nextafter(border, -181)}, 0, bits) == cell - 1);
    }
}

void test_texts() {
    const std::string signs = "0123456789.,+-eE nanif\t";
    for (int i = 0; i < 100000; ++i) {
        std::string text(engine() % 12, ' ');
        for (char& c : text) c = signs[engine() % signs.size()];
        const std::unique_ptr<char[]> exact(new char[text.size() + 1]);  // so that reading on is noticed
        text.copy(exact.get(), text.size());
        const std::optional<Point> point = read_point({exact.get(), text.size()});
        CHECK(!point || is_point(*point));
    }
    CHECK(read_point("1,2")->lon == 2 && !read_point("") && !read_point(",") && !read_point("1,"));
}

}  // namespace

int main() {
    test_circles();
    test_rectangles();
    test_polygons();
    test_sides();
    test_distances();
    test_curve();
    test_grid();
    test_texts();
    std::puts("ok");
    return 0;
}
