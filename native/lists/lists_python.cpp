// Lists over numpy arrays: building them without the GIL but for the progress reports, and how queries rank them.
#include <nanobind/ndarray.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "arrays_python.h"
#include "bindings.h"
#include "list_build.h"
#include "lists.h"
#include "parallel.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace lutra {

namespace {

using Matrix = nb::ndarray<const float, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Offsets = nb::ndarray<const std::uint32_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Centroids = nb::ndarray<const std::int8_t, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Radii = nb::ndarray<const float, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Rows = nb::ndarray<const std::int64_t, nb::ndim<2>, nb::c_contig, nb::device::cpu>;

constexpr std::size_t kRowsMax = 0x7fffffff;
constexpr std::int64_t kRowsPerListMax = 65'536;

void require(bool holds, const std::string& message) {
    if (!holds) throw std::invalid_argument(message);
}

nb::tuple py_build_lists(const Matrix& vectors, const Quantizer& quantizer, std::int64_t rows_per_list,
                         unsigned threads, const nb::object& on_progress) {
    require(vectors.shape(1) == quantizer.dimension(), "the vectors have another dimension than the quantizer");
    require(vectors.shape(0) <= kRowsMax, "more than 2^31 - 1 rows");
    require(rows_per_list >= 1 && rows_per_list <= kRowsPerListMax, "a list has 1 to 65,536 rows on average");
    const ListOptions options{static_cast<std::size_t>(rows_per_list), threads != 0 ? threads : processors(),
                              simd_levels().front()};
    const auto progress = [&](std::size_t done, std::size_t total) {
        const nb::gil_scoped_acquire gil;
        if (PyErr_CheckSignals() != 0) throw nb::python_error();
        if (!on_progress.is_none()) on_progress(done, total);
    };
    std::optional<BuiltLists> built;
    {
        const nb::gil_scoped_release no_gil;
        built = build_lists(vectors.data(), vectors.shape(0), quantizer, options, progress);
    }
    const std::size_t count = built->radii.size(), size = quantizer.coded_dimension();
    return nb::make_tuple(array_of(std::move(built->order)), array_of(std::move(built->offsets)),
                          array_of(std::move(built->centroids), {count, size}), array_of(std::move(built->radii)), array_of(std::move(built->spreads)),
                          built->step, built->peak_bytes);
}

void make_lists(Lists* place, const Quantizer& quantizer, const Offsets& offsets, const Centroids& centroids, float step,
                const Radii& radii, const Radii& spreads) {
    const std::size_t count = radii.shape(0);
    require(count >= 1 && offsets.shape(0) == count + 1 && centroids.shape(0) == count && spreads.shape(0) == count,
            "offsets, centroids, radii and spreads are not of as many lists");
    require(centroids.shape(1) == quantizer.coded_dimension(), "the centroids do not lie where the codes do");
    const std::span<const std::uint32_t> begins{offsets.data(), count + 1};
    require(begins[0] == 0 && std::is_sorted(begins.begin(), begins.end()) && begins[count] <= kRowsMax,
            "the lists' places do not ascend from 0");
    require(std::isfinite(step) && step >= 0, "the step is no length");
    const auto* bytes = centroids.data();
    require(std::find(bytes, bytes + count * centroids.shape(1), std::int8_t{-128}) == bytes + count * centroids.shape(1),
            "a centroid has an element below -127");
    for (const float* lengths : {radii.data(), spreads.data()}) {
        require(std::none_of(lengths, lengths + count, [](float length) { return !(length >= 0); }),
                "a radius or spread is no length");
    }
    new (place) Lists(quantizer, begins, bytes, step, radii.data(), spreads.data());
}

void check(const Lists& lists, const Matrix& queries, const Rows& rows) {
    require(queries.shape(1) == lists.dimension(), "the queries have another dimension");
    require(rows.shape(0) == queries.shape(0), "there is not a line of rows for each query");
    const auto none = static_cast<std::int64_t>(lists.row_count());
    const bool are_rows = std::all_of(rows.data(), rows.data() + rows.shape(0) * rows.shape(1),
                                      [none](std::int64_t row) { return row >= 0 && row < none; });
    require(are_rows, "there is no such row");
}

// Of each of `rows` [q, n], how many rows the lists have that a query looks at before it has looked at this one.
nb::object covered(const Lists& lists, const Matrix& queries, const Rows& rows, unsigned threads) {
    const std::size_t count = queries.shape(0), wanted = rows.shape(1);
    check(lists, queries, rows);
    std::vector<std::int64_t> found(count * wanted);
    {
        const nb::gil_scoped_release no_gil;
        parallel_for(threads != 0 ? threads : processors(), count, 16, [&](unsigned, std::size_t begin, std::size_t stop) {
            ListRanking ranking;
            std::vector<std::int64_t> until(lists.count());
            for (std::size_t q = begin; q < stop; ++q) {
                ranking.rank(lists, queries.data() + q * queries.shape(1));
                std::int64_t seen = 0;
                for (const std::uint32_t list : ranking.order()) {
                    seen += static_cast<std::int64_t>(lists.end(list) - lists.begin(list));
                    until[list] = seen;
                }
                for (std::size_t i = q * wanted; i < (q + 1) * wanted; ++i) {
                    found[i] = until[lists.of_row(static_cast<std::size_t>(rows.data()[i]))];
                }
            }
        });
    }
    return array_of(std::move(found), {count, wanted});
}

// Of each of `rows` [q, n] the cosine that its list takes to be looked at by a query whose last neighbour is as far as
// `distances` [q]; and, for each of `reaches` [m], how many rows the lists have that take no more.
nb::tuple reached(const Lists& lists, const Matrix& queries, const Rows& rows, const Radii& distances,
                  const Radii& reaches, unsigned threads) {
    const std::size_t count = queries.shape(0), wanted = rows.shape(1), tried = reaches.shape(0);
    check(lists, queries, rows);
    require(distances.shape(0) == count, "there is not a distance for each query");
    require(std::is_sorted(reaches.data(), reaches.data() + tried), "the reaches do not ascend");
    std::vector<float> cosines(count * wanted);
    std::vector<std::int64_t> within(count * tried);
    {
        const nb::gil_scoped_release no_gil;
        parallel_for(threads != 0 ? threads : processors(), count, 16, [&](unsigned, std::size_t begin, std::size_t stop) {
            ListRanking ranking;
            for (std::size_t q = begin; q < stop; ++q) {
                ranking.rank(lists, queries.data() + q * queries.shape(1));
                const float distance = distances.data()[q];
                for (std::size_t i = q * wanted; i < (q + 1) * wanted; ++i) {
                    cosines[i] = ranking.cosine(lists.of_row(static_cast<std::size_t>(rows.data()[i])), distance);
                }
                std::int64_t* sums = within.data() + q * tried;
                for (std::size_t list = 0; list < lists.count(); ++list) {
                    const float* end = reaches.data() + tried;
                    const float* at = std::lower_bound(reaches.data(), end, ranking.cosine(list, distance));
                    if (at != end) sums[at - reaches.data()] += static_cast<std::int64_t>(lists.end(list) - lists.begin(list));
                }
                for (std::size_t i = 1; i < tried; ++i) sums[i] += sums[i - 1];
            }
        });
    }
    return nb::make_tuple(array_of(std::move(cosines), {count, wanted}), array_of(std::move(within), {count, tried}));
}

// Where vectors [n, dimension] of `rows` [n, 1] lie among the centroids, less the centroid of their row's list.
nb::object residuals(const Lists& lists, const Matrix& vectors, const Rows& rows) {
    check(lists, vectors, rows);
    require(rows.shape(1) == 1, "there is not one row for each vector");
    const std::size_t size = lists.coded_dimension();
    std::vector<float> found(vectors.shape(0) * size);
    {
        const nb::gil_scoped_release no_gil;
        const auto placed = aligned_array<float>(size), centroid = aligned_array<float>(size);
        for (std::size_t i = 0; i < vectors.shape(0); ++i) {
            lists.place(vectors.data() + i * vectors.shape(1), placed.get());
            lists.centroid(lists.of_row(static_cast<std::size_t>(rows.data()[i])), centroid.get());
            for (std::size_t j = 0; j < size; ++j) found[i * size + j] = placed[j] - centroid[j];
        }
    }
    return array_of(std::move(found), {vectors.shape(0), size});
}

// The squared length of the longest centroid.
double longest(const Lists& lists) {
    std::vector<float> centroid(lists.coded_dimension());
    double most = 0;
    for (std::size_t list = 0; list < lists.count(); ++list) {
        lists.centroid(list, centroid.data());
        double squared = 0;
        for (const float value : centroid) squared += double{value} * value;
        most = std::max(most, squared);
    }
    return most;
}

// Lists nearest first, and the lower bounds of their rows' distances.
nb::tuple ranked(const Lists& lists, const Radii& query) {
    require(query.shape(0) == lists.dimension(), "the query has another dimension");
    ListRanking ranking;
    ranking.rank(lists, query.data());
    std::vector<std::int64_t> order(ranking.order().begin(), ranking.order().end());
    std::vector<float> bounds;
    for (const std::int64_t list : order) bounds.push_back(ranking.lower_bound(static_cast<std::size_t>(list)));
    return nb::make_tuple(array_of(std::move(order)), array_of(std::move(bounds)));
}

}  // namespace

void bind_lists(nb::module_& m) {
    m.def("build_lists", &py_build_lists, "vectors"_a.noconvert(), "quantizer"_a, "rows_per_list"_a, "threads"_a,
          "on_progress"_a.none());
    nb::class_<Lists>(m, "Lists")
        .def("__init__", &make_lists, "quantizer"_a, "offsets"_a.noconvert(), "centroids"_a.noconvert(), "step"_a,
             "radii"_a.noconvert(), "spreads"_a.noconvert(), nb::keep_alive<1, 2>())
        .def("covered", &covered, "queries"_a.noconvert(), "rows"_a.noconvert(), "threads"_a)
        .def("reached", &reached, "queries"_a.noconvert(), "rows"_a.noconvert(), "distances"_a.noconvert(),
             "reaches"_a.noconvert(), "threads"_a)
        .def("residuals", &residuals, "vectors"_a.noconvert(), "rows"_a.noconvert())
        .def_prop_ro("longest", &longest)
        .def("ranked", &ranked, "query"_a.noconvert())
        .def_prop_ro("size_bytes", &Lists::size_bytes)
        .def("__len__", &Lists::count);
}

}  // namespace lutra
