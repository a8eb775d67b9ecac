// Codes of neighbours over numpy arrays, made without the GIL.
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "arrays_python.h"
#include "bindings.h"
#include "link_codes.h"
#include "threads.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace lutra {

namespace {

using Vector = nb::ndarray<const float, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Neighbours = nb::ndarray<const std::uint32_t, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Blocks = nb::ndarray<std::uint8_t, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Block = nb::ndarray<const std::uint8_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

constexpr std::size_t kRowsAtOnce = 256;

void require(bool holds, const char* message) {
    if (!holds) throw std::invalid_argument(message);
}

void make_links(LinkCodes* place, int metric, const Vector& centroid, std::uint64_t seed,
                const std::optional<std::string>& level) {
    require(metric >= 0 && metric <= 2, "there is no such metric");
    require(centroid.size() >= 1 && centroid.size() <= kPaddedDimensionMax, "vectors have 1 to 4096 dimensions");
    require(std::all_of(centroid.data(), centroid.data() + centroid.size(), [](float x) { return std::isfinite(x); }),
            "the centroid has an element that is not finite");
    const std::vector<CodeLevel> levels = code_levels();
    const auto found = std::find_if(levels.begin(), levels.end(),
                                    [&](CodeLevel one) { return !level || name(one) == *level; });
    require(found != levels.end(), "this machine has no such SIMD level for codes");
    new (place) LinkCodes(centroid.size(), static_cast<Metric>(metric), centroid.data(), seed, *found);
}

// Whether all blocks could be made. Their vectors are there.
bool make_blocks(const LinkCodes& codes, const Neighbours& neighbours, const Blocks& blocks, unsigned threads) {
    const std::size_t rows = neighbours.shape(0), degree = neighbours.shape(1);
    const LinkLayout layout = codes.layout(degree);
    require(blocks.shape(0) == rows && blocks.shape(1) == layout.block_bytes(), "neighbours and blocks do not fit");
    require(reinterpret_cast<std::uintptr_t>(blocks.data()) % 64 == 0, "blocks begin at a multiple of 64 bytes");
    const std::uint32_t* end = neighbours.data() + rows * degree;
    require(std::all_of(neighbours.data(), end, [rows](auto one) { return one < rows || one == kNoNeighbour; }),
            "a neighbour is no row");
    std::atomic<bool> are_made{true};
    const nb::gil_scoped_release no_gil;
    in_blocks(rows, kRowsAtOnce, threads != 0 ? threads : processors(),
              [&](unsigned, std::size_t begin, std::size_t last) {
                  for (std::size_t row = begin; row < last && are_made.load(std::memory_order_relaxed); ++row) {
                      const std::uint32_t* of = neighbours.data() + row * degree;
                      const auto count = static_cast<std::size_t>(std::find(of, of + degree, kNoNeighbour) - of);
                      if (!codes.make(blocks.data(), static_cast<std::uint32_t>(row), of, count, layout)) are_made = false;
                  }
              });
    return are_made;
}

nb::object estimate(const LinkCodes& codes, const Vector& query, const Block& block, std::size_t degree,
                    float distance, float limit) {
    const LinkLayout layout = codes.layout(degree);
    require(query.size() == codes.dimension(), "the query has another dimension");
    require(block.size() == layout.block_bytes(), "the block is not of that degree");
    const LinkQuery prepared(codes, query.data());
    std::vector<float> estimates(layout.places(), std::nanf(""));
    if (prepared.is_plain()) {
        std::vector<std::uint32_t> places(layout.places());
        std::vector<float> chosen(layout.places());
        const std::size_t count =
            prepared.choose({block.data(), layout}, distance, limit, places.data(), chosen.data());
        for (std::size_t i = 0; i < count; ++i) estimates[places[i]] = chosen[i];
    }
    estimates.resize(degree);
    return array_of(std::move(estimates));
}

}  // namespace

void bind_link_codes(nb::module_& m) {
    nb::class_<LinkCodes>(m, "LinkCodes")
        .def("__init__", &make_links, "metric"_a, "centroid"_a.noconvert(), "seed"_a, "level"_a.none())
        .def("block_bytes", [](const LinkCodes& codes, std::size_t degree) { return codes.layout(degree).block_bytes(); },
             "degree"_a)
        .def("make", &make_blocks, "neighbours"_a.noconvert(), "blocks"_a.noconvert(),
             "threads"_a)
        .def("estimate", &estimate, "query"_a.noconvert(), "block"_a.noconvert(), "degree"_a, "distance"_a, "limit"_a);
}

}  // namespace lutra
