// Points on the earth for Python: arrays of latitudes and longitudes, what lies in a shape, and how far they are.
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string_view.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string_view>
#include <utility>
#include <vector>

#include "arrays_python.h"
#include "bindings.h"
#include "geo_circle.h"
#include "geo_curve.h"
#include "geo_distance.h"
#include "geo_grid.h"
#include "geo_polygon.h"
#include "geo_rectangle.h"
#include "geo_text.h"
#include "row_mask.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace lutra {

namespace {

using Points = nb::ndarray<const double, nb::shape<-1, 2>, nb::c_contig, nb::device::cpu>;
using Boxes = nb::ndarray<const double, nb::shape<-1, 4>, nb::c_contig, nb::device::cpu>;
using Docs = nb::ndarray<const std::int32_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using ShapePtr = std::shared_ptr<const geo::Shape>;

static_assert(sizeof(geo::Point) == 2 * sizeof(double) && sizeof(geo::Box) == 4 * sizeof(double));

using Unlocked = MaybeUnlocked<512>;  // by points or boxes

// Nanoseconds that it takes, roughly, to ask a shape, and to measure a distance.
constexpr std::size_t kShapeNs = 100;
constexpr std::size_t kDistanceNs = 40;

struct PyShape {
    ShapePtr shape;
};

std::span<const geo::Point> points_of(const Points& points) {
    return {reinterpret_cast<const geo::Point*>(points.data()), points.shape(0)};
}

nb::object relations(const PyShape& self, const Boxes& boxes) {
    std::vector<std::uint8_t> found(boxes.shape(0));
    const auto* data = reinterpret_cast<const geo::Box*>(boxes.data());
    {
        const Unlocked unlocked(found.size());
        Pace pace;
        for (std::size_t i = 0; i < found.size(); ++i) {
            pace.step(kShapeNs);
            found[i] = static_cast<std::uint8_t>(self.shape->relation(data[i]));
        }
    }
    return array_of(std::move(found));
}

RowMask select(const PyShape& self, const Points& points, const std::optional<Docs>& docs, std::size_t size) {
    const std::span<const geo::Point> all = points_of(points);
    if (docs ? docs->shape(0) != all.size() : all.size() > size) {
        throw std::invalid_argument("there are not as many documents as points");
    }
    const Unlocked unlocked(all.size());
    std::vector<std::uint64_t> words((size + 63) / 64);
    Pace pace;
    for (std::size_t i = 0; i < all.size(); ++i) {
        pace.step(kShapeNs);
        const std::size_t doc = docs ? static_cast<std::size_t>(docs->data()[i]) : i;  // a negative one is too large
        if (doc >= size) throw std::out_of_range("there is no such document");
        std::uint64_t& word = words[doc / 64];
        if ((word >> doc % 64 & 1) == 0 && self.shape->contains(all[i])) word |= std::uint64_t{1} << doc % 64;
    }
    return RowMask(std::move(words), size);
}

// What becomes of the distances to several origins: the numbers are those of SortMode.
enum class Mode : int { kLeast = 0, kGreatest = 1, kAverage = 2 };

double distance_m(std::span<const geo::Origin> origins, const geo::Point& to, geo::DistanceType type, Mode mode) {
    double result = origins[0].distance_m(to, type);
    for (const geo::Origin& origin : origins.subspan(1)) {
        const double next = origin.distance_m(to, type);
        result = mode == Mode::kLeast      ? std::min(result, next)
                 : mode == Mode::kGreatest ? std::max(result, next)
                                           : result + next;
    }
    return mode == Mode::kAverage ? result / static_cast<double>(origins.size()) : result;
}

nb::object distances(const Points& points, const Points& from, int type, int mode) {
    const std::span<const geo::Point> all = points_of(points), starts = points_of(from);
    if (starts.empty() || !std::all_of(starts.begin(), starts.end(), geo::is_point)) {
        throw std::invalid_argument("distances are measured from points, one at least");
    }
    if (type < 0 || type > 1 || mode < 0 || mode > 2) throw std::invalid_argument("there is no such distance");
    const std::vector<geo::Origin> origins(starts.begin(), starts.end());
    std::vector<double> found(all.size());
    {
        const Unlocked unlocked(all.size());
        Pace pace;
        for (std::size_t i = 0; i < all.size(); ++i) {
            pace.step(kDistanceNs * origins.size());
            found[i] = distance_m(origins, all[i], static_cast<geo::DistanceType>(type), static_cast<Mode>(mode));
        }
    }
    return array_of(std::move(found));
}

nb::object places_on_curve(const Points& points) {
    const std::span<const geo::Point> all = points_of(points);
    if (!std::all_of(all.begin(), all.end(), geo::is_point)) throw std::invalid_argument("a point is none");
    std::vector<std::uint64_t> places(all.size());
    {
        const Unlocked unlocked(all.size());
        std::transform(all.begin(), all.end(), places.begin(), geo::place_on_curve);
    }
    return array_of(std::move(places));
}

nb::object cells(const Points& points, int lat_bits, int lon_bits) {
    const std::span<const geo::Point> all = points_of(points);
    if (lat_bits < 0 || lat_bits > 31 || lon_bits < 0 || lon_bits > 31) throw std::invalid_argument("there is no such grid");
    if (!std::all_of(all.begin(), all.end(), geo::is_point)) throw std::invalid_argument("a point is none");
    std::vector<std::int64_t> found(all.size());
    {
        const Unlocked unlocked(all.size());
        std::transform(all.begin(), all.end(), found.begin(), [=](const geo::Point& point) {
            return static_cast<std::int64_t>(geo::cell_of(point, lat_bits, lon_bits));
        });
    }
    return array_of(std::move(found));
}

std::optional<std::pair<double, double>> read_point(std::string_view text) {
    const std::optional<geo::Point> point = geo::read_point(text);
    if (!point) return std::nullopt;
    return std::pair{point->lat, point->lon};
}

}  // namespace

void bind_geo(nb::module_& m) {
    nb::class_<PyShape>(m, "GeoShape")
        .def_static(
            "circle",
            [](double lat, double lon, double radius_m) {
                return PyShape{std::make_shared<geo::Circle>(geo::Point{lat, lon}, radius_m)};
            },
            "lat"_a, "lon"_a, "radius_m"_a)
        .def_static(
            "rectangle",
            [](double top, double left, double bottom, double right) {
                return PyShape{std::make_shared<geo::Rectangle>(geo::Point{top, left}, geo::Point{bottom, right})};
            },
            "top"_a, "left"_a, "bottom"_a, "right"_a)
        .def_static(
            "polygon",
            [](const Points& points) {
                const Unlocked unlocked(points.shape(0));
                return PyShape{std::make_shared<geo::Polygon>(points_of(points))};
            },
            "points"_a.noconvert())
        .def("relations", &relations, "boxes"_a.noconvert())
        .def("select", &select, "points"_a.noconvert(), "docs"_a.noconvert().none(), "size"_a);
    m.def(
        "geo_ring_fault",
        [](const Points& points) {
            const Unlocked unlocked(points.shape(0));
            return static_cast<int>(geo::Ring(points_of(points)).fault());
        },
        "points"_a.noconvert());
    m.def("geo_distances", &distances, "points"_a.noconvert(), "origins"_a.noconvert(), "type"_a, "mode"_a);
    m.def("geo_places_on_curve", &places_on_curve, "points"_a.noconvert());
    m.def("geo_cells", &cells, "points"_a.noconvert(), "lat_bits"_a, "lon_bits"_a);
    m.def("geo_read_point", &read_point, "text"_a);
    m.attr("GEO_EARTH_RADIUS_M") = geo::kEarthRadiusM;
}

}  // namespace lutra
