// Graph building over numpy arrays, without the GIL but for the progress reports.
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "arrays_python.h"
#include "bindings.h"
#include "graph.h"
#include "threads.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace lutra {

namespace {

using Matrix = nb::ndarray<const float, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Neighbours = nb::ndarray<const std::uint32_t, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Directions = nb::ndarray<const std::int16_t, nb::ndim<2>, nb::c_contig, nb::device::cpu>;

constexpr std::size_t kDimensionMax = 4096;

SimdLevel level_of(const std::optional<std::string>& wanted) {
    const std::vector<SimdLevel> levels = simd_levels();
    if (!wanted) return levels.front();
    const auto found =
        std::find_if(levels.begin(), levels.end(), [&](SimdLevel level) { return name(level) == *wanted; });
    if (found == levels.end()) throw std::invalid_argument("this machine has no SIMD level '" + *wanted + "'");
    return *found;
}

std::optional<Precision> precision_of(const std::string& wanted) {
    if (wanted == "auto") return std::nullopt;
    if (wanted == "int8") return Precision::kInt8;
    if (wanted == "float32") return Precision::kFloat32;
    throw std::invalid_argument("precision is 'auto', 'int8' or 'float32', not '" + wanted + "'");
}

std::size_t between(const char* what, std::int64_t value, std::size_t least, std::size_t most) {
    if (value < static_cast<std::int64_t>(least) || value > static_cast<std::int64_t>(most)) {
        throw std::invalid_argument(std::string(what) + " is " + std::to_string(least) + " to " + std::to_string(most) +
                                    ", not " + std::to_string(value));
    }
    return static_cast<std::size_t>(value);
}

StartGraph start_of(const Neighbours& neighbours, std::size_t row_count) {
    const std::size_t rows = neighbours.shape(0);
    if (rows > row_count) {
        throw std::invalid_argument("the start has " + std::to_string(rows) + " rows, the vectors " +
                                    std::to_string(row_count));
    }
    const std::size_t size = rows * neighbours.shape(1);
    for (std::size_t i = 0; i < size; ++i) {
        if (neighbours.data()[i] >= rows && neighbours.data()[i] != kNoRow) {
            throw std::invalid_argument("row " + std::to_string(i / neighbours.shape(1)) +
                                        " of the start has neighbour " + std::to_string(neighbours.data()[i]) + " of " +
                                        std::to_string(rows) + " rows");
        }
    }
    return {neighbours.data(), rows, neighbours.shape(1)};
}

CodeBasis basis_of(const Directions& directions, std::size_t dimension, Metric metric, std::uint64_t seed) {
    const std::size_t count = directions.shape(0);
    if (metric == Metric::kDotProduct) throw std::invalid_argument("directions do not go with inner products");
    const bool is_multiple = count > 0 && count % kRotationMultiple == 0 && count <= kPaddedDimensionMax;
    if (directions.shape(1) != dimension || !is_multiple) {
        throw std::invalid_argument("directions are a multiple of 64, at most 4096, of the vectors' dimension");
    }
    require_unit_directions(directions.data(), count, dimension);
    return {dimension, directions.data(), {{8, count, 1}}, 1, seed};
}

// An exception of on_progress, or a signal's, stops the build and goes on to the caller.
nb::tuple py_build_graph(const Matrix& vectors, int metric, std::int64_t degree, std::int64_t beam, double alpha,
                          unsigned threads, std::uint64_t seed, const std::optional<Neighbours>& start,
                          const nb::object& on_progress, const std::string& precision,
                          const std::optional<std::string>& level, const std::optional<Directions>& directions) {
    between("dimension", static_cast<std::int64_t>(vectors.shape(1)), 1, kDimensionMax);
    between("the number of vectors", static_cast<std::int64_t>(vectors.shape(0)), 0, kGraphRowsMax);
    between("metric", metric, 0, 2);
    if (!(alpha >= 1) || !(alpha <= 10)) throw std::invalid_argument("alpha is 1 to 10, not " + std::to_string(alpha));
    std::optional<CodeBasis> basis;
    if (directions) basis.emplace(basis_of(*directions, vectors.shape(1), static_cast<Metric>(metric), seed));
    const GraphVectors given{vectors.data(), vectors.shape(0), vectors.shape(1), static_cast<Metric>(metric),
                             basis ? &*basis : nullptr};
    const GraphOptions options{
        .degree = between("degree", degree, 1, kDegreeMax),
        .beam = between("beam", beam, 1, kBeamMax),
        .alpha = static_cast<float>(alpha),
        .threads = threads != 0 ? threads : processors(),
        .seed = seed,
        .level = level_of(level),
        .precision = precision_of(precision),
    };
    const std::optional<StartGraph> start_graph =
        start ? std::optional(start_of(*start, given.row_count)) : std::nullopt;
    const auto progress = [&](std::size_t done, std::size_t total) {
        const nb::gil_scoped_acquire gil;
        if (PyErr_CheckSignals() != 0) throw nb::python_error();
        if (!on_progress.is_none()) on_progress(done, total);
        return true;
    };
    std::optional<Graph> graph;
    {
        const nb::gil_scoped_release no_gil;
        graph = build_graph(given, options, start_graph ? &*start_graph : nullptr, progress);
    }
    const GraphCounters& counters = graph->counters;
    const nb::tuple figures =
        nb::make_tuple(counters.distances, counters.repaired, counters.peak_bytes,
                       std::string(counters.precision == Precision::kInt8 ? "int8" : "float32"));
    const std::size_t entry_count = graph->entries.size();
    return nb::make_tuple(array_of(std::move(graph->neighbours), {given.row_count, options.degree}),
                          array_of(std::move(graph->entries), {entry_count}), figures);
}

}  // namespace

void bind_graph(nb::module_& m) {
    m.def("build_graph", &py_build_graph, "vectors"_a.noconvert(), "metric"_a, "degree"_a, "beam"_a, "alpha"_a,
          "threads"_a, "seed"_a, "start"_a.noconvert().none(), "on_progress"_a.none(), "precision"_a,
          "level"_a.none(), "directions"_a.noconvert().none());
    m.attr("NO_ROW") = kNoRow;
}

}  // namespace lutra
