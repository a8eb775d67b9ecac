#include "geo_polygon.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

namespace lutra::geo {

namespace {

constexpr std::size_t kBandsMax = 1024;

double on_map(double lon, int turns) { return lon + turns * kTurn; }

// Whether `c`, which is on the line through `a` and `b`, is between them.
bool is_between(const Place& a, const Place& b, const Place& c) {
    return std::min(a.x, b.x) <= c.x && c.x <= std::max(a.x, b.x) && std::min(a.y, b.y) <= c.y &&
           c.y <= std::max(a.y, b.y);
}

bool segments_meet(const Place& a, const Place& b, const Place& c, const Place& d) {
    if (std::max(a.x, b.x) < std::min(c.x, d.x) || std::max(c.x, d.x) < std::min(a.x, b.x) ||
        std::max(a.y, b.y) < std::min(c.y, d.y) || std::max(c.y, d.y) < std::min(a.y, b.y)) {
        return false;
    }
    const int ab_c = side_of(a, b, c), ab_d = side_of(a, b, d), cd_a = side_of(c, d, a), cd_b = side_of(c, d, b);
    if (ab_c * ab_d < 0 && cd_a * cd_b < 0) return true;
    return (ab_c == 0 && is_between(a, b, c)) || (ab_d == 0 && is_between(a, b, d)) ||
           (cd_a == 0 && is_between(c, d, a)) || (cd_b == 0 && is_between(c, d, b));
}

bool has_three_points(const std::vector<Ring::Vertex>& vertices) {
    const auto differ = [](const Ring::Vertex& one, const Ring::Vertex& other) {
        const double turns = (one.point.lon - other.point.lon) / kTurn;
        return one.point.lat != other.point.lat || turns != std::floor(turns);
    };
    for (std::size_t i = 1; i < vertices.size(); ++i) {
        for (std::size_t j = 1; j < i && differ(vertices[0], vertices[i]); ++j) {
            if (differ(vertices[0], vertices[j]) && differ(vertices[i], vertices[j])) return true;
        }
    }
    return false;
}

// Whether the edges from `a` to `b` and from there to `c` share more than that end.
bool folds_back(const Place& a, const Place& b, const Place& c) {
    return side_of(a, b, c) == 0 && (is_between(a, b, c) || is_between(b, c, a));
}

}  // namespace

Ring::Ring(std::span<const Point> points) {
    if (points.empty()) return;
    for (std::size_t i = 0; i <= points.size(); ++i) add(points[i % points.size()]);
    const Vertex end = points_.back();
    points_.pop_back();
    if (points_.empty()) return;
    const double round = on_map(end.point.lon, end.turn) - on_map(points_[0].point.lon, points_[0].turn);
    turns_ = static_cast<int>(std::round(round / kTurn));
    for (std::size_t i = 0; i <= points_.size(); ++i) {
        const double x = place(i).x;
        x_min_ = i == 0 ? x : std::min(x_min_, x);
        x_max_ = i == 0 ? x : std::max(x_max_, x);
    }
}

// The shorter way from the last point; just half a turn as it is said. A place that has another name takes that, as the
// next point is reached from there.
void Ring::add(const Point& point) {
    if (points_.empty()) {
        points_.push_back({point, 0});
        return;
    }
    Vertex& last = points_.back();
    const double step = point.lon - last.point.lon;
    const int turn = step > kTurn / 2 ? last.turn - 1 : step < -kTurn / 2 ? last.turn + 1 : last.turn;
    const bool stays = last.point.lat == point.lat && on_map(last.point.lon, last.turn) == on_map(point.lon, turn);
    if (stays) {
        last = {point, turn};
    } else {
        points_.push_back({point, turn});
    }
}

Place Ring::place(std::size_t i, int turns) const {
    const Vertex& vertex = i < points_.size() ? points_[i] : points_[0];
    return {on_map(vertex.point.lon, vertex.turn + turns + (i < points_.size() ? 0 : turns_)), vertex.point.lat};
}

RingFault Ring::fault() const {
    if (!has_three_points(points_)) return RingFault::kFewPoints;
    if (std::abs(turns_) > 1) return RingFault::kCrosses;
    std::vector<Place> places, moved(size() + 1);
    for (std::size_t i = 0; i <= size(); ++i) places.push_back(place(i));
    // Only what is as wide as the earth can meet itself on the other side.
    const int farthest = static_cast<int>((x_max_ - x_min_) / kTurn + 1e-9);
    for (int turns = -farthest; turns <= farthest; ++turns) {
        for (std::size_t i = 0; i <= size(); ++i) moved[i] = place(i, turns);
        for (std::size_t i = 0; i < size(); ++i) {
            for (std::size_t j = i + 1; j < size(); ++j) {
                if (meet(i, j, turns, places, moved)) return RingFault::kCrosses;
            }
        }
    }
    return RingFault::kNone;
}

// Edges `i` < `j`, the latter so many turns farther east, meet elsewhere than at the end that they share.
bool Ring::meet(std::size_t i, std::size_t j, int turns, std::span<const Place> places,
                std::span<const Place> moved) const {
    const Place &a = places[i], &b = places[i + 1], &c = moved[j], &d = moved[j + 1];
    const bool follows = j == i + 1 && turns == 0;
    const bool precedes = i == 0 && j + 1 == size() && turns == -turns_;
    if (follows && folds_back(a, b, d)) return true;
    if (precedes && folds_back(c, d, b)) return true;
    return !follows && !precedes && segments_meet(a, b, c, d);
}

Polygon::Polygon(std::span<const Point> points) {
    if (!std::all_of(points.begin(), points.end(), is_point)) throw std::invalid_argument("a point is none");
    const Ring ring(points);
    if (ring.fault() != RingFault::kNone) throw std::invalid_argument("the ring has a fault");
    double weighed_lat = 0;
    for (std::size_t i = 0; i < ring.size(); ++i) {
        const Edge edge{ring.place(i), ring.place(i + 1)};
        weighed_lat += (edge.from.y + edge.to.y) * std::abs(edge.to.x - edge.from.x);
        edges_.push_back(edge);
    }
    if (ring.turns() != 0) {  // up to the pole, along it and back
        const double pole = weighed_lat < 0 ? -kPoleLat : kPoleLat;
        const Place first = ring.place(0), last = ring.place(ring.size());
        edges_.push_back({last, {last.x, pole}});
        edges_.push_back({{last.x, pole}, {first.x, pole}});
        edges_.push_back({{first.x, pole}, first});
    }
    bounds_ = {edges_[0].from.y, edges_[0].from.y, edges_[0].from.x, edges_[0].from.x};
    for (const Edge& edge : edges_) {
        bounds_.lat_min = std::min(bounds_.lat_min, edge.from.y);
        bounds_.lat_max = std::max(bounds_.lat_max, edge.from.y);
        bounds_.lon_min = std::min(bounds_.lon_min, edge.from.x);
        bounds_.lon_max = std::max(bounds_.lon_max, edge.from.x);
    }
    has_north_pole_ = bounds_.lat_max == kPoleLat;
    has_south_pole_ = bounds_.lat_min == -kPoleLat;
    turn_min_ = static_cast<int>(std::floor((bounds_.lon_min - kDateLineLon) / kTurn));
    turn_max_ = static_cast<int>(std::ceil((bounds_.lon_max + kDateLineLon) / kTurn));
    make_bands();
}

void Polygon::make_bands() {
    const std::size_t bands = std::clamp<std::size_t>(edges_.size() / 2, 1, kBandsMax);
    bands_per_degree_ = static_cast<double>(bands) / std::max(bounds_.lat_max - bounds_.lat_min, 1e-9);
    std::vector<std::vector<std::uint32_t>> of_bands(band_of(bounds_.lat_max) + 1);
    for (std::size_t i = 0; i < edges_.size(); ++i) {
        const auto [low, high] = std::minmax(edges_[i].from.y, edges_[i].to.y);
        for (std::size_t band = band_of(low); band <= band_of(high); ++band) {
            of_bands[band].push_back(static_cast<std::uint32_t>(i));
        }
    }
    for (const std::vector<std::uint32_t>& edges : of_bands) {
        band_begins_.push_back(static_cast<std::uint32_t>(band_edges_.size()));
        band_edges_.insert(band_edges_.end(), edges.begin(), edges.end());
    }
    band_begins_.push_back(static_cast<std::uint32_t>(band_edges_.size()));
}

// Never less of what lies farther north; `y` is within the bounds.
std::size_t Polygon::band_of(double y) const {
    return static_cast<std::size_t>((y - bounds_.lat_min) * bands_per_degree_);
}

bool Polygon::contains(const Point& point) const {
    if (point.lat == kPoleLat) return has_north_pole_;
    if (point.lat == -kPoleLat) return has_south_pole_;
    if (!(bounds_.lat_min <= point.lat && point.lat <= bounds_.lat_max)) return false;  // so where it is NaN
    for (int turns = turn_min_; turns <= turn_max_; ++turns) {
        const double x = on_map(point.lon, turns);
        if (bounds_.lon_min <= x && x <= bounds_.lon_max && holds({x, point.lat})) return true;
    }
    return false;
}

// Whether a place within the bounds lies on an edge, or a line eastwards from it crosses edges an odd number of times.
bool Polygon::holds(const Place& place) const {
    bool within = false;
    const std::size_t band = band_of(place.y);
    for (std::uint32_t i = band_begins_[band]; i < band_begins_[band + 1]; ++i) {
        const Edge& edge = edges_[band_edges_[i]];
        const bool from_above = edge.from.y > place.y, to_above = edge.to.y > place.y;
        if (from_above == to_above && edge.from.y != place.y && edge.to.y != place.y) continue;
        const int side = side_of(edge.from, edge.to, place);
        if (side == 0 && is_between(edge.from, edge.to, place)) return true;
        if (from_above != to_above && (side > 0) == to_above) within = !within;
    }
    return within;
}

Relation Polygon::relation(const Box& box) const {
    if (box.lat_max == kPoleLat || box.lat_min == -kPoleLat) return Relation::kCrosses;
    Relation relation = Relation::kOutside;
    for (int turns = turn_min_; turns <= turn_max_; ++turns) {
        const Relation there =
            relation_on_map({box.lat_min, box.lat_max, on_map(box.lon_min, turns), on_map(box.lon_max, turns)});
        if (there == Relation::kInside) return there;
        if (there == Relation::kCrosses) relation = there;
    }
    return relation;
}

Relation Polygon::relation_on_map(const Box& box) const {
    if (!bounds_.meets(box)) return Relation::kOutside;
    const Place corners[] = {{box.lon_min, box.lat_min},
                             {box.lon_min, box.lat_max},
                             {box.lon_max, box.lat_min},
                             {box.lon_max, box.lat_max}};
    for (const Edge& edge : edges_) {
        const auto [west, east] = std::minmax(edge.from.x, edge.to.x);
        const auto [south, north] = std::minmax(edge.from.y, edge.to.y);
        if (!box.meets({south, north, west, east})) continue;
        int sides = 0;
        for (const Place& corner : corners) sides += side_of(edge.from, edge.to, corner);
        if (std::abs(sides) < 4) return Relation::kCrosses;
    }
    return bounds_.contains(Point{corners[0].y, corners[0].x}) && holds(corners[0]) ? Relation::kInside
                                                                                      : Relation::kOutside;
}

}  // namespace lutra::geo
