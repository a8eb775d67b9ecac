// Codes over numpy arrays. All that takes longer than a call runs without the GIL.
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "bindings.h"
#include "deadline_python.h"
#include "code_ranking.h"
#include "code_reduction.h"
#include "codes.h"
#include "product_codes.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace lutra {

namespace {

using Matrix = nb::ndarray<const float, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Vector = nb::ndarray<const float, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Records = nb::ndarray<const std::uint8_t, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Mask = nb::ndarray<const bool, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Directions = nb::ndarray<const std::int16_t, nb::ndim<2>, nb::c_contig, nb::device::cpu>;

CodeLevel level_of(const std::optional<std::string>& wanted) {
    const std::vector<CodeLevel> levels = code_levels();
    if (!wanted) return levels.front();
    const auto found =
        std::find_if(levels.begin(), levels.end(), [&](CodeLevel level) { return name(level) == *wanted; });
    if (found != levels.end()) return *found;
    throw std::invalid_argument("this machine has no SIMD level '" + *wanted + "' for codes");
}

Metric metric_of(int metric) {
    if (metric < 0 || metric > 2) throw std::invalid_argument("there is no metric " + std::to_string(metric));
    return static_cast<Metric>(metric);
}

void check_dimension(std::int64_t dimension) {
    if (dimension < 1 || dimension > static_cast<std::int64_t>(kPaddedDimensionMax)) {
        throw std::invalid_argument("vectors have 1 to 4096 dimensions, not " + std::to_string(dimension));
    }
}

void check_bits(std::int64_t bits) {
    if (bits != 1 && bits != 2 && bits != 4 && bits != 8) {
        throw std::invalid_argument("a code has 1, 2, 4 or 8 bits a dimension, not " + std::to_string(bits));
    }
}

void check_same(const char* what, std::size_t found, std::size_t expected) {
    if (found != expected) {
        throw std::invalid_argument(std::string(what) + ": " + std::to_string(found) + " in place of " +
                                    std::to_string(expected));
    }
}

template <class T>
std::pair<nb::object, T*> new_array(std::initializer_list<std::size_t> shape) {
    std::size_t size = 1;
    for (const std::size_t length : shape) size *= length;
    T* data = new T[size];
    nb::capsule owner(data, [](void* place) noexcept { delete[] static_cast<T*>(place); });
    return {nb::ndarray<nb::numpy, T>(data, shape, owner).cast(), data};
}

void make_quantizer(Quantizer* place, std::int64_t dimension, std::int64_t bits, int metric,
                    const std::optional<Vector>& centroid, std::uint64_t seed,
                    const std::optional<std::string>& level) {
    check_dimension(dimension);
    check_bits(bits);
    if (centroid) check_same("dimensions of the centroid", centroid->shape(0), static_cast<std::size_t>(dimension));
    new (place) Quantizer(static_cast<std::size_t>(dimension), static_cast<unsigned>(bits), metric_of(metric),
                          centroid ? centroid->data() : nullptr, seed, level_of(level));
}

void make_quantizer_with_centres(Quantizer* place, std::int64_t bits, int metric, const Matrix& centres,
                                 std::uint64_t seed, const std::optional<std::string>& level) {
    check_dimension(static_cast<std::int64_t>(centres.shape(1)));
    check_bits(bits);
    if (centres.shape(0) < 1 || centres.shape(0) > kRowsMax) throw std::invalid_argument("there is at least one centre");
    new (place) Quantizer(centres.shape(1), static_cast<unsigned>(bits), metric_of(metric), centres.data(),
                          centres.shape(0), seed, level_of(level));
}

void check_part(unsigned bits, std::size_t dimensions, float step, unsigned bits_before) {
    if ((bits != 1 && bits != 2 && bits != 4 && bits != 8) || bits >= bits_before) {
        throw std::invalid_argument("parts have 8, 4, 2 and 1 bits a dimension, in this order");
    }
    if (dimensions == 0 || dimensions % kRotationMultiple != 0 || dimensions > kPaddedDimensionMax) {
        throw std::invalid_argument("a part has a multiple of 64 dimensions, at most 4096");
    }
    if (!(step >= kCodeStepMin) || !(step <= kCodeStepMax)) {
        throw std::invalid_argument("a step is a share of a length, 1e-7 to 1e6");
    }
}

void make_quantizer_with_basis(Quantizer* place, const Directions& directions,
                               const std::vector<std::tuple<unsigned, std::size_t, float>>& parts, float spread,
                               int metric, const Vector& centroid, std::uint64_t seed,
                               const std::optional<std::string>& level) {
    const std::size_t dimension = directions.shape(1);
    check_dimension(static_cast<std::int64_t>(dimension));
    check_same("dimensions of the centroid", centroid.shape(0), dimension);
    if (parts.empty()) throw std::invalid_argument("a basis has at least one part");
    if (!(spread > 0) || !(spread <= 1)) throw std::invalid_argument("a spread is above 0 and at most 1");
    std::vector<CodePart> made;
    std::size_t size = 0;
    for (const auto& [bits, dimensions, step] : parts) {
        check_part(bits, dimensions, step, made.empty() ? 9 : made.back().bits);
        made.push_back({bits, dimensions, step});
        size += dimensions;
    }
    if (size > kPaddedDimensionMax) throw std::invalid_argument("a basis has at most 4096 directions");
    check_same("directions of the basis", directions.shape(0), size);
    require_unit_directions(directions.data(), size, dimension);
    auto basis = std::make_shared<const CodeBasis>(dimension, directions.data(), std::move(made), spread, seed);
    new (place) Quantizer(dimension, std::move(basis), metric_of(metric), centroid.data(), level_of(level));
}

void make_product_quantizer(ProductQuantizer* place, const Matrix& vectors, std::int64_t groups, int metric,
                            std::uint64_t seed, unsigned threads, const std::optional<std::string>& level) {
    check_dimension(static_cast<std::int64_t>(vectors.shape(1)));
    if (groups < 1 || groups > static_cast<std::int64_t>(vectors.shape(1))) {
        throw std::invalid_argument("groups: 1 to the dimension, not " + std::to_string(groups));
    }
    const Metric checked_metric = metric_of(metric);
    const CodeLevel checked_level = level_of(level);
    nb::gil_scoped_release no_gil;
    new (place) ProductQuantizer(vectors.data(), vectors.shape(0), vectors.shape(1), static_cast<std::size_t>(groups),
                                 checked_metric, seed, threads, checked_level);
}

template <class AnyQuantizer>
nb::object encode(const AnyQuantizer& quantizer, const Matrix& vectors, unsigned threads) {
    check_same("dimensions of the vectors", vectors.shape(1), quantizer.dimension());
    auto [records, data] = new_array<std::uint8_t>({vectors.shape(0), quantizer.record_bytes()});
    nb::gil_scoped_release no_gil;
    quantizer.encode(vectors.data(), vectors.shape(0), data, threads);
    return records;
}

nb::tuple encode_described(const Quantizer& quantizer, const Matrix& vectors, unsigned threads) {
    check_same("dimensions of the vectors", vectors.shape(1), quantizer.dimension());
    auto [records, data] = new_array<std::uint8_t>({vectors.shape(0), quantizer.record_bytes()});
    auto [described, described_data] = new_array<std::uint8_t>({vectors.shape(0)});
    {
        nb::gil_scoped_release no_gil;
        quantizer.encode(vectors.data(), vectors.shape(0), data, threads, described_data);
    }
    return nb::make_tuple(records, described);
}

template <class Query>
void check_records(const Query& query, const Records& records) {
    check_same("bytes of a record", records.shape(1), query.record_bytes());
    if (records.shape(0) > kRowsMax) throw std::invalid_argument("more than 2^32 - 1 records in one scan");
}

template <class Query>
nb::object estimate(const Query& query, const Records& records) {
    check_records(query, records);
    auto [estimates, data] = new_array<float>({records.shape(0)});
    nb::gil_scoped_release no_gil;
    query.estimate_range(records.data(), records.shape(0), data);
    return estimates;
}

template <class Query>
nb::tuple bounds(const Query& query, const Records& records) {
    check_records(query, records);
    auto [lower, lower_data] = new_array<float>({records.shape(0)});
    auto [upper, upper_data] = new_array<float>({records.shape(0)});
    {
        nb::gil_scoped_release no_gil;
        for (std::size_t row = 0; row < records.shape(0); ++row) {
            const std::uint8_t* record = records.data() + row * query.record_bytes();
            const float estimate = query.estimate(record);
            lower_data[row] = query.lower_bound(record, estimate);
            upper_data[row] = query.upper_bound(record, estimate);
        }
    }
    return nb::make_tuple(lower, upper);
}

enum class Wanted { kNearest, kCandidates };

template <Wanted wanted, class Query>
nb::tuple scan(const Query& query, const Records& records, std::int64_t k, const std::optional<Mask>& mask,
               unsigned threads) {
    check_records(query, records);
    if (k < 1) throw std::invalid_argument("k is at least 1, not " + std::to_string(k));
    if (mask) check_same("elements of the mask", mask->shape(0), records.shape(0));
    std::vector<Estimated> found;
    {
        const TimelyUnlocked no_gil;
        std::optional<RowMask> counting;
        if (mask) counting.emplace(reinterpret_cast<const std::uint8_t*>(mask->data()), mask->shape(0));
        const CodeScan how{records.data(), records.shape(0), counting ? &*counting : nullptr, threads};
        found = wanted == Wanted::kNearest ? nearest_by_code(query, how, static_cast<std::size_t>(k))
                                           : candidates_by_code(query, how, static_cast<std::size_t>(k));
    }
    auto [ids, ids_data] = new_array<std::int64_t>({found.size()});
    auto [estimates, estimates_data] = new_array<float>({found.size()});
    auto [lower_bounds, lower_data] = new_array<float>({found.size()});
    for (std::size_t i = 0; i < found.size(); ++i) {
        ids_data[i] = found[i].row;
        estimates_data[i] = found[i].estimate;
        lower_data[i] = found[i].lower_bound;
    }
    return nb::make_tuple(ids, estimates, lower_bounds);
}

template <class Query>
void bind_query(nb::class_<Query>& query) {
    query.def("estimate", &estimate<Query>, "records"_a.noconvert())
        .def("bounds", &bounds<Query>, "records"_a.noconvert())
        .def("nearest", &scan<Wanted::kNearest, Query>, "records"_a.noconvert(), "k"_a, "mask"_a.noconvert().none(),
             "threads"_a)
        .def("candidates", &scan<Wanted::kCandidates, Query>, "records"_a.noconvert(), "k"_a,
             "mask"_a.noconvert().none(), "threads"_a);
}

QueryCode query_of(const Quantizer& quantizer, const Vector& vector, float bound_sigmas) {
    check_same("dimensions of the query", vector.shape(0), quantizer.dimension());
    if (!(bound_sigmas >= 0) || !std::isfinite(bound_sigmas)) {
        throw std::invalid_argument("bound_sigmas is a number of at least 0");
    }
    return QueryCode(quantizer, vector.data(), bound_sigmas);
}

ProductQuery product_query_of(const ProductQuantizer& quantizer, const Vector& vector) {
    check_same("dimensions of the query", vector.shape(0), quantizer.dimension());
    return ProductQuery(quantizer, vector.data());
}

nb::object reduce(const Records& records, unsigned bits, unsigned reduced_bits) {
    const auto is_width = [](unsigned width) { return width == 1 || width == 2 || width == 4 || width == 8; };
    if (!is_width(bits) || !is_width(reduced_bits) || reduced_bits >= bits) {
        throw std::invalid_argument("codes have 1, 2, 4 or 8 bits, and reduced ones fewer");
    }
    const std::size_t record_bytes = records.shape(1);
    const std::size_t code_bytes = record_bytes - std::min(record_bytes, kCodeFactorBytes);
    const std::size_t padded_dimension = code_bytes * 8 / bits;
    if (padded_dimension == 0 || padded_dimension % kRotationMultiple != 0) {
        throw std::invalid_argument("there are no records of " + std::to_string(record_bytes) + " bytes");
    }
    auto [reduced, data] =
        new_array<std::uint8_t>({records.shape(0), padded_dimension * reduced_bits / 8 + kCodeFactorBytes});
    nb::gil_scoped_release no_gil;
    reduce_codes(padded_dimension, bits, reduced_bits, records.data(), records.shape(0), data);
    return reduced;
}

std::vector<std::string> level_names() {
    std::vector<std::string> names;
    for (CodeLevel level : code_levels()) names.emplace_back(name(level));
    return names;
}

}  // namespace

void bind_codes(nb::module_& m) {
    nb::class_<QueryCode> query(m, "QueryCode");
    bind_query(query);
    nb::class_<ProductQuery> product_query(m, "ProductQuery");
    bind_query(product_query);
    nb::class_<Quantizer>(m, "Quantizer")
        .def("__init__", &make_quantizer, "dimension"_a, "bits"_a, "metric"_a, "centroid"_a.noconvert().none(),
             "seed"_a, "level"_a.none())
        .def("__init__", &make_quantizer_with_basis, "directions"_a.noconvert(), "parts"_a, "spread"_a, "metric"_a,
             "centroid"_a.noconvert(), "seed"_a, "level"_a.none())
        .def("__init__", &make_quantizer_with_centres, "bits"_a, "metric"_a, "centres"_a.noconvert(), "seed"_a,
             "level"_a.none())
        .def_prop_ro("record_bytes", &Quantizer::record_bytes)
        .def_prop_ro("coded_dimension", &Quantizer::coded_dimension)
        .def("encode", &encode<Quantizer>, "vectors"_a.noconvert(), "threads"_a)
        .def("encode_described", &encode_described, "vectors"_a.noconvert(), "threads"_a)
        .def("query", &query_of, "vector"_a.noconvert(), "bound_sigmas"_a, nb::keep_alive<0, 1>());
    nb::class_<ProductQuantizer>(m, "ProductQuantizer")
        .def("__init__", &make_product_quantizer, "vectors"_a.noconvert(), "groups"_a, "metric"_a, "seed"_a,
             "threads"_a, "level"_a.none())
        .def_prop_ro("record_bytes", &ProductQuantizer::record_bytes)
        .def("encode", &encode<ProductQuantizer>, "vectors"_a.noconvert(), "threads"_a)
        .def("query", &product_query_of, "vector"_a.noconvert());
    m.def("code_levels", &level_names);
    m.def("reduce_codes", &reduce, "records"_a.noconvert(), "bits"_a, "reduced_bits"_a);
}

}  // namespace lutra
