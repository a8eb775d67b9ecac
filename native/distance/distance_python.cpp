// Distances over numpy arrays. Scans run without the GIL: the caller keeps the arrays unchanged meanwhile.
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "bindings.h"
#include "deadline_python.h"
#include "topk.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace lutra {

namespace {

using Matrix = nb::ndarray<const float, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Mask = nb::ndarray<const bool, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

constexpr std::size_t kDimensionMax = 4096;

SimdLevel level_of(const std::optional<std::string>& wanted) {
    const std::vector<SimdLevel> levels = simd_levels();
    if (!wanted) return levels.front();
    const auto found = std::find_if(levels.begin(), levels.end(), [&](SimdLevel level) { return name(level) == *wanted; });
    if (found == levels.end()) throw std::invalid_argument("this machine has no SIMD level '" + *wanted + "'");
    return *found;
}

void check(const Matrix& queries, const Matrix& vectors, std::int64_t k, int metric, const std::optional<Mask>& mask) {
    const std::size_t dimension = vectors.shape(1);
    if (dimension < 1 || dimension > kDimensionMax) {
        throw std::invalid_argument("vectors have 1 to 4096 dimensions, not " + std::to_string(dimension));
    }
    if (queries.shape(1) != dimension) {
        throw std::invalid_argument("queries have " + std::to_string(queries.shape(1)) + " dimensions, vectors " +
                                    std::to_string(dimension));
    }
    if (vectors.shape(0) > kRowsMax) throw std::invalid_argument("more than 2^32 - 1 vectors in one scan");
    if (mask && mask->shape(0) != vectors.shape(0)) {
        throw std::invalid_argument("the mask has " + std::to_string(mask->shape(0)) + " elements for " +
                                    std::to_string(vectors.shape(0)) + " vectors");
    }
    if (k < 1) throw std::invalid_argument("k is at least 1, not " + std::to_string(k));
    if (metric < 0 || metric > 2) throw std::invalid_argument("there is no metric " + std::to_string(metric));
}

// A numpy array of [rows, columns], and the place of its elements.
template <class T>
std::pair<nb::object, T*> new_array(std::size_t rows, std::size_t columns) {
    T* data = new T[rows * columns];
    nb::capsule owner(data, [](void* p) noexcept { delete[] static_cast<T*>(p); });
    return {nb::ndarray<nb::numpy, T, nb::ndim<2>>(data, {rows, columns}, owner).cast(), data};
}

nb::tuple py_topk(const Matrix& queries, const Matrix& vectors, std::int64_t k, int metric,
                  const std::optional<Mask>& mask, unsigned threads, const std::optional<std::string>& level) {
    check(queries, vectors, k, metric, mask);
    const Scan scan{
        .queries = queries.data(),
        .query_count = queries.shape(0),
        .vectors = vectors.data(),
        .row_count = vectors.shape(0),
        .dimension = vectors.shape(1),
        .mask = mask ? reinterpret_cast<const std::uint8_t*>(mask->data()) : nullptr,
        .metric = static_cast<Metric>(metric),
        .level = level_of(level),
        .threads = threads,
    };
    const std::size_t found = std::min(static_cast<std::size_t>(k), qualifying_rows(scan.mask, scan.row_count));
    auto [ids, ids_data] = new_array<std::int64_t>(scan.query_count, found);
    auto [distances, distances_data] = new_array<float>(scan.query_count, found);
    if (found > 0 && scan.query_count > 0) {
        const TimelyUnlocked no_gil;
        topk(scan, found, ids_data, distances_data);
    }
    return nb::make_tuple(ids, distances);
}

std::int64_t py_first_not_finite(const Matrix& vectors) {
    nb::gil_scoped_release no_gil;
    const std::size_t row = first_not_finite(vectors.data(), vectors.shape(0), vectors.shape(1));
    return row == vectors.shape(0) ? -1 : static_cast<std::int64_t>(row);
}

std::vector<std::string> py_simd_levels() {
    std::vector<std::string> names;
    for (SimdLevel level : simd_levels()) names.emplace_back(name(level));
    return names;
}

}  // namespace

void bind_distance(nb::module_& m) {
    // noconvert: a copy of a matrix made in silence would cost more than the scan.
    m.def("topk", &py_topk, "queries"_a.noconvert(), "vectors"_a.noconvert(), "k"_a, "metric"_a,
          "mask"_a.noconvert().none() = nb::none(), "threads"_a = 0, "level"_a.none() = nb::none());
    m.def("first_not_finite", &py_first_not_finite, "vectors"_a.noconvert());
    m.def("simd_levels", &py_simd_levels);
}

}  // namespace lutra
