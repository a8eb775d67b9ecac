// What lies within a ring of points: its edges are straight on a map of latitudes and longitudes, each the shorter way
// round, so they may cross the date line. A ring that goes once round the earth holds the pole that it is nearer to.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "geo_orientation.h"
#include "geo_shape.h"

namespace lutra::geo {

enum class RingFault : std::uint8_t {
    kNone = 0,
    kFewPoints = 1,  // fewer than three that differ
    kCrosses = 2,    // two edges meet elsewhere than at the end that they share
};

// The ring of `points`, on a map that goes on beyond the date line; a point that comes twice in a row is one.
class Ring {
  public:
    explicit Ring(std::span<const Point> points);

    // Takes time by the square of the points.
    RingFault fault() const;

    std::size_t size() const { return points_.size(); }
    // How often it goes round the earth, eastwards.
    int turns() const { return turns_; }
    // Point `i`, so many turns farther east; point `size()` is the first again, where the ring comes back to it.
    Place place(std::size_t i, int turns = 0) const;

    struct Vertex {
        Point point;
        int turn;
    };

  private:
    void add(const Point& point);
    bool meet(std::size_t i, std::size_t j, int turns, std::span<const Place> places,
              std::span<const Place> moved) const;

    std::vector<Vertex> points_;
    int turns_ = 0;
    double x_min_ = 0, x_max_ = 0;
};

class Polygon final : public Shape {
  public:
    // Throws std::invalid_argument where a point is none, or the ring has a fault.
    explicit Polygon(std::span<const Point> points);

    bool contains(const Point& point) const override;
    Relation relation(const Box& box) const override;

  private:
    struct Edge {
        Place from, to;
    };
    void make_bands();
    std::size_t band_of(double y) const;
    bool holds(const Place& place) const;
    Relation relation_on_map(const Box& box) const;

    std::vector<Edge> edges_;
    Box bounds_;  // on the map
    bool has_north_pole_ = false, has_south_pole_ = false;
    int turn_min_ = 0, turn_max_ = 0;  // what a longitude may be on the map
    // The edges that each band of latitudes meets, so that a point is compared with few.
    std::vector<std::uint32_t> band_begins_, band_edges_;
    double bands_per_degree_ = 0;
};

}  // namespace lutra::geo
