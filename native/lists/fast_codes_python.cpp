// Fast codes over numpy arrays, made and looked at without the GIL.
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>

#include <algorithm>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "arrays_python.h"
#include "bindings.h"
#include "fast_codes.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace lutra {

namespace {

using Vector = nb::ndarray<const float, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Matrix = nb::ndarray<const float, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Centres = nb::ndarray<const float, nb::ndim<3>, nb::c_contig, nb::device::cpu>;
using Blocks = nb::ndarray<const std::uint8_t, nb::ndim<2>, nb::c_contig, nb::device::cpu>;

void require(bool holds, const char* message) {
    if (!holds) throw std::invalid_argument(message);
}

void make_fast_codes(FastCodes* place, const Lists& lists, const Matrix& directions, const Centres& centres,
                     float row_step, float squared_error, const std::optional<std::string>& level) {
    const std::size_t groups = centres.shape(0);
    require(centres.shape(1) == kFastCentres && centres.shape(2) == 2 && directions.shape(0) == 2 * groups,
            "each group has two directions, and 16 centres along them");
    require(directions.shape(1) == lists.coded_dimension(), "the directions do not lie where the lists do");
    const std::vector<CodeLevel> levels = code_levels();
    const auto found = std::find_if(levels.begin(), levels.end(),
                                    [&](CodeLevel one) { return !level || name(one) == *level; });
    require(found != levels.end(), "this machine has no such SIMD level for codes");
    new (place) FastCodes(lists, groups, directions.data(), centres.data(), row_step, squared_error, *found);
}

nb::object encode(const FastCodes& codes, const Matrix& vectors, std::size_t begin, unsigned threads) {
    require(vectors.shape(1) == codes.lists().dimension(), "the vectors have another dimension");
    const std::size_t blocks = (vectors.shape(0) + kFastRows - 1) / kFastRows;
    std::vector<std::uint8_t> found(blocks * codes.block_bytes());
    {
        const nb::gil_scoped_release no_gil;
        codes.encode(vectors.data(), begin, vectors.shape(0), found.data(), threads);
    }
    return array_of(std::move(found), {blocks, codes.block_bytes()});
}

// Of all rows; minus infinity where nothing is known, and of all of them where queries are such that nothing is.
nb::object estimate(const FastCodes& codes, const Vector& query, const Blocks& blocks) {
    const Lists& lists = codes.lists();
    const std::size_t rows = lists.row_count(), count = (rows + kFastRows - 1) / kFastRows;
    require(query.shape(0) == lists.dimension(), "the query has another dimension");
    require(blocks.shape(0) == count && blocks.shape(1) == codes.block_bytes(), "the blocks do not fit the rows");
    std::vector<float> estimates(count * kFastRows, -std::numeric_limits<float>::infinity());
    {
        const nb::gil_scoped_release no_gil;
        ListRanking ranking;
        ranking.rank(lists, query.data());
        if (ranking.is_squared()) {
            FastTables tables;
            const float offset = codes.prepare(ranking.placed(), tables);
            std::vector<std::uint16_t> unknown(count);
            codes.scan()(blocks.data(), count, tables, -std::numeric_limits<float>::infinity(), estimates.data(),
                         unknown.data());
            for (std::size_t list = 0; list < lists.count(); ++list) {
                for (std::size_t row = lists.begin(list); row < lists.end(list); ++row) {
                    const bool is_known = (unknown[row / kFastRows] >> row % kFastRows & 1) == 0;
                    estimates[row] = is_known ? estimates[row] + offset + ranking.squared(list)
                                              : -std::numeric_limits<float>::infinity();
                }
            }
        }
    }
    estimates.resize(rows);
    return array_of(std::move(estimates));
}

}  // namespace

void bind_fast_codes(nb::module_& m) {
    nb::class_<FastCodes>(m, "FastCodes")
        .def("__init__", &make_fast_codes, "lists"_a, "directions"_a.noconvert(), "centres"_a.noconvert(), "row_step"_a,
             "squared_error"_a, "level"_a.none(), nb::keep_alive<1, 2>())
        .def("encode", &encode, "vectors"_a.noconvert(), "begin"_a, "threads"_a)
        .def("estimate", &estimate, "query"_a.noconvert(), "blocks"_a.noconvert())
        .def_prop_ro("block_bytes", &FastCodes::block_bytes)
        .def_prop_ro("size_bytes", &FastCodes::size_bytes);
}

}  // namespace lutra
