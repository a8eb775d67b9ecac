// Walks over numpy arrays, many queries at once on several threads, without the GIL.
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>

#include <algorithm>
#include <limits>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "arrays_python.h"
#include "bindings.h"
#include "graph.h"
#include "parallel.h"
#include "walk.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace lutra {

namespace {

using Queries = nb::ndarray<const float, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Neighbours = nb::ndarray<const std::uint32_t, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Entries = nb::ndarray<const std::uint32_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Records = nb::ndarray<const std::uint8_t, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Mask = nb::ndarray<const bool, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

constexpr std::size_t kCounters = 6;
constexpr std::size_t kSeedsMax = 64;  // rows that count where a walk under a mask starts, beside the entries

void require(bool holds, const std::string& message) {
    if (!holds) throw std::invalid_argument(message);
}

// A graph and its codes, checked once, so that a walk need not. Keeps the arrays alive.
class Walker {
  public:
    Walker(Neighbours neighbours, Entries entries, Records records, const Quantizer& quantizer)
        : neighbours_(std::move(neighbours)), entries_(std::move(entries)), records_(std::move(records)),
          quantizer_(quantizer) {
        const std::size_t rows = neighbours_.shape(0);
        require(rows <= kGraphRowsMax, "more than 2^31 - 1 rows in a graph");
        require(records_.shape(0) == rows, "there are " + std::to_string(records_.shape(0)) + " records for " +
                                               std::to_string(rows) + " rows");
        require(records_.shape(1) == quantizer.record_bytes(),
                "records have " + std::to_string(records_.shape(1)) + " bytes, the quantizer's " +
                    std::to_string(quantizer.record_bytes()));
        require(rows == 0 || entries_.shape(0) > 0, "a graph with rows needs entries");
        const auto inside = [rows](std::uint32_t row) { return row < rows; };
        require(std::all_of(entries_.data(), entries_.data() + entries_.shape(0), inside), "an entry is no row");
        const std::uint32_t* end = neighbours_.data() + rows * neighbours_.shape(1);
        const std::uint32_t* bad = std::find_if(
            neighbours_.data(), end, [rows](std::uint32_t row) { return row >= rows && row != kNoRow; });
        require(bad == end, "a neighbour is no row");
    }

    nb::tuple walk(const Queries& queries, std::int64_t beam, std::int64_t count, std::int64_t least,
                   const std::optional<Mask>& mask, std::uint64_t effort_max, unsigned threads) const;

  private:
    WalkGraph graph() const {
        return {neighbours_.data(),   records_.data(),           neighbours_.shape(0),
                neighbours_.shape(1), quantizer_.record_bytes(), {entries_.data(), entries_.shape(0)}};
    }

    void check(const Queries& queries, std::int64_t beam, std::int64_t count, std::int64_t least,
               const std::optional<Mask>& mask) const;

    Neighbours neighbours_;
    Entries entries_;
    Records records_;
    const Quantizer& quantizer_;  // kept alive by Python
};

// What came of a call: [queries, count] each, then counters [queries, kCounters].
struct Answers {
    std::size_t count;
    std::vector<std::int64_t> rows;
    std::vector<float> estimates, lower_bounds, upper_bounds;
    std::vector<std::int64_t> counters;

    Answers(std::size_t queries, std::size_t count_wanted)
        : count(count_wanted),
          rows(queries * count, -1),
          estimates(queries * count, std::numeric_limits<float>::infinity()),
          lower_bounds(estimates),
          upper_bounds(estimates),
          counters(queries * kCounters) {}

    void set(std::size_t query, const std::vector<Candidate>& found, const WalkCounters& c, const WalkGraph& graph,
             const QueryCode& code) {
        for (std::size_t i = 0; i < found.size(); ++i) {
            const std::size_t at = query * count + i;
            const std::uint8_t* record = graph.records + std::size_t{found[i].row} * graph.record_bytes;
            rows[at] = found[i].row;
            estimates[at] = found[i].distance;
            lower_bounds[at] = code.lower_bound(record, found[i].distance);
            upper_bounds[at] = code.upper_bound(record, found[i].distance);
        }
        const std::int64_t figures[kCounters] = {c.hops, c.distances, c.bridges, c.looked, c.qualified,
                                                 static_cast<std::int64_t>(c.end)};
        std::copy(figures, figures + kCounters, counters.data() + query * kCounters);
    }
};

void Walker::check(const Queries& queries, std::int64_t beam, std::int64_t count, std::int64_t least,
                   const std::optional<Mask>& mask) const {
    require(queries.shape(1) == quantizer_.dimension(),
            "queries have " + std::to_string(queries.shape(1)) + " dimensions, the vectors " +
                std::to_string(quantizer_.dimension()));
    const auto most = static_cast<std::int64_t>(kBeamMax);
    require(beam >= 1 && beam <= most, "beam is 1 to 4096, not " + std::to_string(beam));
    require(count >= 1 && count <= most, "count is 1 to 4096, not " + std::to_string(count));
    require(least >= 0 && least <= count, "least is 0 to count, not " + std::to_string(least));
    require(!mask || mask->shape(0) == neighbours_.shape(0),
            "the mask has " + std::to_string(mask ? mask->shape(0) : 0) + " elements for " +
                std::to_string(neighbours_.shape(0)) + " rows");
}

nb::tuple Walker::walk(const Queries& queries, std::int64_t beam, std::int64_t count, std::int64_t least,
                       const std::optional<Mask>& mask, std::uint64_t effort_max, unsigned threads) const {
    check(queries, beam, count, least, mask);
    const std::size_t query_count = queries.shape(0);
    Answers answers(query_count, static_cast<std::size_t>(count));
    if (query_count > 0 && neighbours_.shape(0) > 0) {
        const nb::gil_scoped_release no_gil;
        const WalkGraph walked = graph();
        WalkOptions options{static_cast<std::size_t>(beam), static_cast<std::size_t>(count),
                            static_cast<std::size_t>(least), effort_max, nullptr, {}};
        std::vector<std::uint32_t> seeds;
        std::optional<RowMask> counting;
        if (mask) {
            options.mask = &counting.emplace(reinterpret_cast<const std::uint8_t*>(mask->data()), mask->shape(0));
            seeds = evenly_spread(*counting, kSeedsMax);
            options.seeds = seeds;
        }
        parallel_for(threads != 0 ? threads : processors(), query_count, 1,
                     [&](unsigned, std::size_t query, std::size_t) {
                         static thread_local Walk walk;
                         const QueryCode code(quantizer_, queries.data() + query * queries.shape(1));
                         const std::vector<Candidate>& found = walk.run(walked, code, options);
                         answers.set(query, found, walk.counters(), walked, code);
                     });
    }
    const auto columns = static_cast<std::size_t>(count);
    return nb::make_tuple(array_of(std::move(answers.rows), {query_count, columns}),
                          array_of(std::move(answers.estimates), {query_count, columns}),
                          array_of(std::move(answers.lower_bounds), {query_count, columns}),
                          array_of(std::move(answers.upper_bounds), {query_count, columns}),
                          array_of(std::move(answers.counters), {query_count, kCounters}));
}

}  // namespace

void bind_walk(nb::module_& m) {
    nb::class_<Walker>(m, "Walker")
        .def(nb::init<Neighbours, Entries, Records, const Quantizer&>(), "neighbours"_a.noconvert(),
             "entries"_a.noconvert(), "records"_a.noconvert(), "quantizer"_a, nb::keep_alive<1, 5>())
        .def("walk", &Walker::walk, "queries"_a.noconvert(), "beam"_a, "count"_a, "least"_a,
             "mask"_a.noconvert().none(), "effort_max"_a, "threads"_a);
}

}  // namespace lutra
