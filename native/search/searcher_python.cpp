// Searching a segment for Python: one call answers many queries on several threads, without the GIL.
#include <nanobind/ndarray.h>
#include <nanobind/stl/array.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <functional>
#include <memory>
#include <numeric>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "bindings.h"
#include "block_cache_python.h"
#include "deadline_python.h"
#include "graph.h"
#include "helpers.h"
#include "parallel.h"
#include "searcher.h"
#include "segment_search.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace lutra {

namespace {

using Matrix = nb::ndarray<const float, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Records = nb::ndarray<const std::uint8_t, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Neighbours = nb::ndarray<const std::uint32_t, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Entries = nb::ndarray<const std::uint32_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

constexpr std::size_t kCounters = 7;
constexpr std::size_t kDimensionMax = 4096;

void require(bool holds, const std::string& message) {
    if (!holds) throw std::invalid_argument(message);
}

template <class T>
std::pair<nb::object, T*> new_array(std::size_t rows, std::size_t columns) {
    T* data = new T[rows * columns];
    nb::capsule owner(data, [](void* p) noexcept { delete[] static_cast<T*>(p); });
    return {nb::ndarray<nb::numpy, T, nb::ndim<2>>(data, {rows, columns}, owner).cast(), data};
}

// What a caller of `search` asks for, beside queries and mask.
struct Wanted {
    std::size_t k, beam, candidates, first;
    float bound_sigmas;
    std::uint64_t effort_max;
    bool deepens;
    bool scans_when_away;
    float within;
    float measured_within;
    std::size_t covers;
    float reach;
    float slack;
    float measured_beyond;
    float contrast_min;
    std::size_t wider_beam;
};

// Keeps the arrays alive; they must not change while it lives.
class PySearcher {
  public:
    PySearcher(const HeldSource& nodes, bool through_cache, std::size_t rows, std::size_t dimension, std::size_t degree,
               int metric, const Quantizer* quantizer, std::optional<Records> records,
               std::optional<Neighbours> neighbours, Entries entries, const Quantizer* fine_quantizer,
               std::optional<Records> fine_records, Entries apart, Entries exact_rows, Matrix exact_vectors,
               const Lists* lists, const LinkCodes* links, std::optional<Records> link_blocks, const FastCodes* fast,
               std::optional<Records> fast_blocks)
        : records_(std::move(records)),
          fine_records_(std::move(fine_records)),
          neighbours_(std::move(neighbours)),
          entries_(std::move(entries)),
          apart_(std::move(apart)),
          exact_rows_(std::move(exact_rows)),
          exact_vectors_(std::move(exact_vectors)),
          link_blocks_(std::move(link_blocks)),
          fast_blocks_(std::move(fast_blocks)) {
        require(dimension >= 1 && dimension <= kDimensionMax, "dimension is 1 to 4096");
        require(rows <= kGraphRowsMax, "more than 2^31 - 1 rows in a segment");
        require(metric >= 0 && metric <= 2, "there is no metric " + std::to_string(metric));
        require(degree <= kDegreeMax, "degree is at most 1024");
        SegmentParts parts{.nodes = {nodes->reader(), through_cache ? nodes.shared() : nullptr,
                                     {dimension, degree, nodes->section().block_bytes}, rows, nodes->section().offset},
                           .metric = static_cast<Metric>(metric),
                           .quantizer = quantizer,
                           .entries = {},
                           .level = simd_levels().front()};
        require(parts.nodes.layout.node_bytes() + 4 <= nodes->section().block_bytes, "a block holds no node");
        const std::size_t per_block = parts.nodes.layout.nodes_per_block();
        require((rows + per_block - 1) / per_block <= nodes->block_count(), "there are fewer blocks than rows need");
        require(quantizer == nullptr || (quantizer->dimension() == dimension && quantizer->metric() == parts.metric),
                "the quantizer has another dimension or metric");
        require(fine_quantizer == nullptr || (quantizer != nullptr && fine_quantizer->dimension() == dimension &&
                                              fine_quantizer->metric() == parts.metric),
                "the finer codes do not go with the others");
        require((fine_quantizer != nullptr) == fine_records_.has_value(), "finer codes are records and a quantizer");
        parts.fine_quantizer = fine_quantizer;
        require(lists == nullptr || (quantizer != nullptr && lists->row_count() == rows && lists->dimension() == dimension),
                "the lists do not fit the rows");
        parts.lists = lists;
        set_arrays(parts);
        set_links(parts, links);
        set_fast(parts, fast);
        searcher_.emplace(std::move(parts));
    }

    nb::tuple search(const Matrix& queries, std::int64_t k, int strategy, std::int64_t beam, std::int64_t candidates,
                     std::int64_t first, float bound_sigmas, std::uint64_t effort_max, bool deepens,
                     bool scans_when_away, float within, float measured_within, std::int64_t covers, float reach,
                     float slack, float measured_beyond, float contrast_min, std::int64_t wider_beam,
                     const RowMask* mask, const std::optional<Entries>& left_out, unsigned threads) const;

    nb::object meet(const Matrix& vectors, const Entries& rows, std::int64_t beam, unsigned threads) const;

    nb::tuple come_by(const Matrix& query, std::int64_t beam, std::int64_t count) const;

    std::size_t scratch_bytes() const { return searcher_->scratch_bytes(); }

    const Searcher& searcher() const { return *searcher_; }
    const SegmentParts& parts() const { return searcher_->parts(); }

    // Throws std::invalid_argument where queries, plan and mask do not go with the segment, or with each other.
    void check(const Matrix& queries, const Wanted& wanted, int strategy, const RowMask* mask) const;

    // Of what `check` passed.
    SearchPlan plan_of(const Wanted& wanted, int strategy, const RowMask* mask,
                       TimeLimit limit) const;

    // As Searcher::search; lists what of the mask the plan's strategy needs. Without the GIL.
    void answer(const Queries& queries, SearchPlan plan, unsigned threads, std::int64_t* ids, float* distances,
                SearchCounters* found) const;

  private:
    void set_arrays(SegmentParts& parts) {
        const std::size_t rows = parts.nodes.row_count;
        if (records_) {
            require(parts.quantizer != nullptr, "records without a quantizer");
            require(records_->shape(0) == rows && records_->shape(1) == parts.quantizer->record_bytes(),
                    "the records do not fit the rows");
            parts.records = records_->data();
        }
        if (fine_records_) {
            require(fine_records_->shape(0) == rows && fine_records_->shape(1) == parts.fine_quantizer->record_bytes(),
                    "the finer records do not fit the rows");
            parts.fine_records = fine_records_->data();
        }
        if (neighbours_) {
            require(neighbours_->shape(0) == rows && neighbours_->shape(1) == parts.nodes.layout.degree,
                    "the neighbours do not fit the rows");
            const std::uint32_t* end = neighbours_->data() + rows * parts.nodes.layout.degree;
            const bool inside = std::all_of(neighbours_->data(), end,
                                            [rows](std::uint32_t row) { return row < rows || row == kNoRow; });
            require(inside, "a neighbour is no row");
            parts.neighbours = neighbours_->data();
        }
        parts.entries = {entries_.data(), entries_.shape(0)};
        parts.apart = {apart_.data(), apart_.shape(0)};
        for (const auto& places : {parts.entries, parts.apart}) {
            require(std::all_of(places.begin(), places.end(), [rows](std::uint32_t row) { return row < rows; }),
                    "an entry is no row");
        }
        require(exact_vectors_.shape(0) == exact_rows_.shape(0) &&
                    exact_vectors_.shape(1) == parts.nodes.layout.dimension,
                "the exact vectors do not fit their rows");
        parts.exact_rows = {exact_rows_.data(), exact_rows_.shape(0)};
        parts.exact_vectors = exact_vectors_.data();
        const bool ascend = std::adjacent_find(parts.exact_rows.begin(), parts.exact_rows.end(),
                                               std::greater_equal<>()) == parts.exact_rows.end();
        require(ascend && (parts.exact_rows.empty() || parts.exact_rows.back() < rows), "exact rows are no ascending rows");
    }

    void set_links(SegmentParts& parts, const LinkCodes* links) {
        const std::size_t rows = parts.nodes.row_count;
        require((links != nullptr) == link_blocks_.has_value(), "blocks of neighbours' codes go with what made them");
        if (links == nullptr) return;
        require(parts.records != nullptr && parts.neighbours != nullptr, "links need codes and graph in memory");
        require(links->dimension() == parts.nodes.layout.dimension && links->metric() == parts.metric,
                "the codes of neighbours have another dimension or metric");
        const LinkLayout layout = links->layout(parts.nodes.layout.degree);
        require(link_blocks_->shape(0) == rows && link_blocks_->shape(1) == layout.block_bytes(),
                "the blocks of neighbours' codes do not fit the rows");
        require(reinterpret_cast<std::uintptr_t>(link_blocks_->data()) % 64 == 0, "links begin at a multiple of 64 bytes");
        check_links(layout);
        parts.links = links;
        parts.link_blocks = link_blocks_->data();
        parts.nodes.vectors = link_blocks_->data();
        parts.nodes.vectors_apart = layout.block_bytes();
    }

    void set_fast(SegmentParts& parts, const FastCodes* fast) {
        require((fast != nullptr) == fast_blocks_.has_value(), "blocks of fast codes go with what made them");
        if (fast == nullptr) return;
        require(&fast->lists() == parts.lists, "the fast codes are of other lists");
        require(fast_blocks_->shape(0) == (parts.nodes.row_count + kFastRows - 1) / kFastRows &&
                    fast_blocks_->shape(1) == fast->block_bytes(),
                "the fast codes do not fit the rows");
        parts.fast = fast;
        parts.fast_blocks = fast_blocks_->data();
    }

    void check_links(const LinkLayout& layout) const {
        const std::size_t rows = link_blocks_->shape(0);
        for (std::size_t row = 0; row < rows; ++row) {
            const LinkBlock block{link_blocks_->data() + row * layout.block_bytes(), layout};
            require(std::all_of(block.neighbours(), block.neighbours() + layout.places(),
                                [rows](std::uint32_t one) { return one < rows; }),
                    "a neighbour of a block is no row");
        }
    }

    std::optional<Records> records_;
    std::optional<Records> fine_records_;
    std::optional<Neighbours> neighbours_;
    Entries entries_;
    Entries apart_;
    Entries exact_rows_;
    Matrix exact_vectors_;
    std::optional<Records> link_blocks_;
    std::optional<Records> fast_blocks_;
    std::optional<Searcher> searcher_;
};

void PySearcher::check(const Matrix& queries, const Wanted& wanted, int strategy,
                       const RowMask* mask) const {
    const SegmentParts& of = parts();
    require(queries.shape(1) == of.nodes.layout.dimension,
            "queries have " + std::to_string(queries.shape(1)) + " dimensions, the vectors " +
                std::to_string(of.nodes.layout.dimension));
    require(mask == nullptr || mask->row_count() == of.nodes.row_count, "the mask has another number of rows");
    require(strategy >= 0 && strategy <= 4, "there is no strategy " + std::to_string(strategy));
    const auto wants = static_cast<Strategy>(strategy);
    const bool needs_codes = wants == Strategy::kCodeScan || wants == Strategy::kWalk ||
                             (wants == Strategy::kListScan && of.fast == nullptr);
    require(!needs_codes || of.records != nullptr, "this strategy needs codes in memory");
    require(wants != Strategy::kWalk || of.neighbours != nullptr, "a walk needs the graph in memory");
    require(wants != Strategy::kListScan || of.lists != nullptr, "there are no lists");
    require(wants != Strategy::kNodeWalk || of.nodes.layout.degree > 0, "a walk needs a graph");
    require(wanted.k >= 1 && wanted.candidates >= wanted.k && wanted.first >= wanted.k,
            "k is at least 1, and candidates and first at least k");
    if (wants == Strategy::kWalk || wants == Strategy::kNodeWalk) {
        require(wanted.beam >= 1 && wanted.beam <= kBeamMax && wanted.candidates <= kBeamMax &&
                    wanted.wider_beam <= kBeamMax,
                "beam and candidates of a walk are 1 to 4096");
    }
}

std::size_t positive(std::int64_t value, const char* what) {
    require(value >= 0, std::string(what) + " is negative");
    return static_cast<std::size_t>(value);
}

SearchPlan PySearcher::plan_of(const Wanted& wanted, int strategy, const RowMask* mask,
                               TimeLimit limit) const {
    const std::size_t qualifying = mask == nullptr ? parts().nodes.row_count : mask->count();
    return {.strategy = static_cast<Strategy>(strategy),
            .k = std::min(wanted.k, qualifying),
            .beam = wanted.beam,
            .candidates = wanted.candidates,
            .first = wanted.first,
            .bound_sigmas = wanted.bound_sigmas,
            .effort_max = wanted.effort_max,
            .deepens = wanted.deepens,
            .scans_when_away = wanted.scans_when_away,
            .within = wanted.within,
            .measured_within = wanted.measured_within,
            .measured_beyond = wanted.measured_beyond,
            .contrast_min = wanted.contrast_min,
            .wider_beam = wanted.wider_beam,
            .covers = wanted.covers,
            .reach = wanted.reach,
            .slack = wanted.slack,
            .qualifying = qualifying,
            .mask = mask,
            .seeds = {},
            .rows = {},
            .limit = limit};
}

void PySearcher::answer(const Queries& queries, SearchPlan plan, unsigned threads, std::int64_t* ids, float* distances,
                        SearchCounters* found) const {
    std::vector<std::uint32_t> listed;
    list_rows(plan, parts().nodes.row_count, listed);
    searcher_->search(queries, plan, threads, ids, distances, found);
}

std::array<std::int64_t, kCounters> figures_of(const SearchCounters& c) {
    return {static_cast<std::int64_t>(c.distances), static_cast<std::int64_t>(c.exact),
            static_cast<std::int64_t>(c.hops),      static_cast<std::int64_t>(c.reads),
            static_cast<std::int64_t>(c.bytes),     static_cast<std::int64_t>(c.planned),
            static_cast<std::int64_t>(c.used)};
}

nb::tuple PySearcher::search(const Matrix& queries, std::int64_t k, int strategy, std::int64_t beam,
                             std::int64_t candidates, std::int64_t first, float bound_sigmas, std::uint64_t effort_max,
                             bool deepens, bool scans_when_away, float within, float measured_within,
                             std::int64_t covers, float reach, float slack, float measured_beyond, float contrast_min,
                             std::int64_t wider_beam, const RowMask* mask,
                             const std::optional<Entries>& left_out, unsigned threads) const {
    const Wanted wanted{positive(k, "k"), positive(beam, "beam"), positive(candidates, "candidates"),
                        positive(first, "first"), bound_sigmas, effort_max, deepens,
                        scans_when_away, within, measured_within, positive(covers, "covers"), reach, slack,
                        measured_beyond, contrast_min, positive(wider_beam, "wider_beam")};
    check(queries, wanted, strategy, mask);
    require(!left_out || left_out->shape(0) == queries.shape(0), "left_out has another number of queries");
    const PythonDeadline deadline;
    const SearchPlan plan = plan_of(wanted, strategy, mask, deadline.limit());
    const std::size_t count = queries.shape(0);
    auto [ids, ids_data] = new_array<std::int64_t>(count, plan.k);
    auto [distances, distances_data] = new_array<float>(count, plan.k);
    auto [counters, counters_data] = new_array<std::int64_t>(count, kCounters);
    std::vector<SearchCounters> found(count);
    if (count > 0 && plan.k > 0) {
        const nb::gil_scoped_release no_gil;
        answer({queries.data(), count, left_out ? left_out->data() : nullptr}, plan,
               threads != 0 ? threads : processors(), ids_data, distances_data, found.data());
    }
    for (std::size_t i = 0; i < count; ++i) {
        const auto figures = figures_of(found[i]);
        std::copy(figures.begin(), figures.end(), counters_data + i * kCounters);
    }
    return nb::make_tuple(ids, distances, counters);
}

nb::object PySearcher::meet(const Matrix& vectors, const Entries& rows, std::int64_t beam, unsigned threads) const {
    const SegmentParts& of = parts();
    require(of.records != nullptr && of.neighbours != nullptr, "walks need codes and graph in memory");
    require(vectors.shape(1) == of.nodes.layout.dimension && vectors.shape(0) == rows.shape(0),
            "the vectors do not fit the rows, or the segment");
    require(beam >= 1 && beam <= static_cast<std::int64_t>(kBeamMax), "a beam is 1 to 4096");
    const bool are_rows = std::all_of(rows.data(), rows.data() + rows.shape(0),
                                      [&of](std::uint32_t row) { return row < of.nodes.row_count; });
    require(are_rows, "there is no such row");
    auto* data = new std::uint8_t[std::max<std::size_t>(rows.shape(0), 1)];
    nb::capsule owner(data, [](void* p) noexcept { delete[] static_cast<std::uint8_t*>(p); });
    {
        const nb::gil_scoped_release no_gil;
        searcher_->meet(vectors.data(), rows.data(), rows.shape(0), static_cast<std::size_t>(beam),
                        threads != 0 ? threads : processors(), data);
    }
    return nb::ndarray<nb::numpy, std::uint8_t, nb::ndim<1>>(data, {rows.shape(0)}, owner).cast();
}

using Docs = nb::ndarray<const std::int32_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Known = nb::ndarray<const float, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

template <class T>
nb::object array_of(const std::vector<std::pair<float, std::int64_t>>& hits,
                    T (*value)(const std::pair<float, std::int64_t>&)) {
    T* data = new T[std::max<std::size_t>(hits.size(), 1)];
    nb::capsule owner(data, [](void* p) noexcept { delete[] static_cast<T*>(p); });
    std::transform(hits.begin(), hits.end(), data, value);
    return nb::ndarray<nb::numpy, T, nb::ndim<1>>(data, {hits.size()}, owner).cast();
}

nb::tuple PySearcher::come_by(const Matrix& query, std::int64_t beam, std::int64_t count) const {
    const SegmentParts& of = parts();
    require(of.records != nullptr && of.neighbours != nullptr, "walks need codes and graph in memory");
    require(query.shape(0) == 1 && query.shape(1) == of.nodes.layout.dimension, "the query does not fit the segment");
    const auto most = static_cast<std::int64_t>(kBeamMax);
    require(beam >= 1 && beam <= most && count >= 1 && count <= most, "a beam, and what is kept of it, is 1 to 4096");
    std::vector<std::pair<float, std::int64_t>> found;
    std::uint64_t distances = 0;
    {
        const TimelyUnlocked unlocked;
        const auto [candidates, counters] =
            searcher_->come_by(query.data(), static_cast<std::size_t>(beam), static_cast<std::size_t>(count));
        for (const Candidate& one : candidates) found.emplace_back(one.distance, one.row);
        distances = counters.distances;
    }
    return nb::make_tuple(array_of<std::int64_t>(found, [](const auto& hit) { return hit.second; }),
                          array_of<float>(found, [](const auto& hit) { return hit.first; }), distances);
}

// What one of several segments is asked, and the array that it refers to.
struct Share {
    Docs docs;
    SegmentShare asked;
};

Share share_of(const nb::handle& item, const Matrix& queries, TimeLimit limit, bool in_part) {
    const auto fields = nb::cast<nb::tuple>(item);
    require(fields.size() == 20, "a share has 20 fields");
    Wanted wanted{positive(nb::cast<std::int64_t>(fields[2]), "k"),
                  positive(nb::cast<std::int64_t>(fields[4]), "beam"),
                  positive(nb::cast<std::int64_t>(fields[5]), "candidates"),
                  positive(nb::cast<std::int64_t>(fields[6]), "first"),
                  nb::cast<float>(fields[7]),
                  nb::cast<std::uint64_t>(fields[8]),
                  nb::cast<bool>(fields[9]),
                  nb::cast<bool>(fields[10]),
                  nb::cast<float>(fields[11]),
                  nb::cast<float>(fields[12]),
                  positive(nb::cast<std::int64_t>(fields[13]), "covers"),
                  nb::cast<float>(fields[14]),
                  nb::cast<float>(fields[15]),
                  nb::cast<float>(fields[16]),
                  nb::cast<float>(fields[17]),
                  positive(nb::cast<std::int64_t>(fields[18]), "wider_beam")};
    const auto* searcher = nb::cast<const PySearcher*>(fields[0]);
    const auto* mask = fields[19].is_none() ? nullptr : nb::cast<const RowMask*>(fields[19]);
    const int strategy = nb::cast<int>(fields[3]);
    searcher->check(queries, wanted, strategy, mask);
    Share share{nb::cast<Docs>(fields[1], false), {}};
    share.asked = {&searcher->searcher(), share.docs.data(), searcher->plan_of(wanted, strategy, mask, limit)};
    share.asked.plan.answers_in_part = in_part;
    require(share.docs.shape(0) == searcher->parts().nodes.row_count, "there is not a document for each row");
    return share;
}

nb::list listed(const std::vector<SegmentAnswer>& answers) {
    nb::list found;
    for (const SegmentAnswer& one : answers) {
        found.append(nb::make_tuple(array_of<std::int64_t>(one.hits, [](const auto& hit) { return hit.second; }),
                                    array_of<float>(one.hits, [](const auto& hit) { return hit.first; }),
                                    figures_of(one.counters), one.within, one.us,
                                    !one.counters.is_partial));
    }
    return found;
}

nb::list search_segments(const nb::sequence& items, const Matrix& queries, std::int64_t top_k,
                         const std::vector<Known>& known, unsigned threads, bool in_part) {
    require(top_k >= 1, "top_k is at least 1");
    require(known.size() == queries.shape(0), "known has another number of queries");
    const PythonDeadline deadline;
    std::vector<Share> kept;
    std::vector<SegmentShare> shares;
    for (const nb::handle item : items) {
        kept.push_back(share_of(item, queries, deadline.limit(), in_part));
        shares.push_back(kept.back().asked);
    }
    const std::size_t count = queries.shape(0), dimension = queries.shape(1);
    std::vector<std::vector<SegmentAnswer>> found(count);
    {
        const nb::gil_scoped_release no_gil;
        const unsigned most = threads != 0 ? threads : processors();
        parallel_for(most, count, 1, [&](unsigned, std::size_t begin, std::size_t end) {
            const Helpers::Busy busy;
            for (std::size_t i = begin; i < end; ++i) {
                const unsigned helpers = count == 1 ? std::min(most - 1, Helpers::get().idle()) : 0;
                found[i] = search_shares(shares, queries.data() + i * dimension, static_cast<std::size_t>(top_k),
                                         {known[i].data(), known[i].shape(0)}, helpers);
            }
        });
    }
    nb::list all;
    for (const auto& answers : found) all.append(listed(answers));
    return all;
}

}  // namespace

void bind_searcher(nb::module_& m) {
    nb::class_<PySearcher>(m, "Searcher")
        .def(nb::init<const HeldSource&, bool, std::size_t, std::size_t, std::size_t, int, const Quantizer*,
                      std::optional<Records>, std::optional<Neighbours>, Entries, const Quantizer*,
                      std::optional<Records>, Entries, Entries, Matrix, const Lists*, const LinkCodes*,
                      std::optional<Records>, const FastCodes*, std::optional<Records>>(),
             "nodes"_a, "through_cache"_a, "rows"_a, "dimension"_a, "degree"_a, "metric"_a, "quantizer"_a.none(),
             "records"_a.noconvert().none(), "neighbours"_a.noconvert().none(), "entries"_a.noconvert(),
             "fine_quantizer"_a.none(), "fine_records"_a.noconvert().none(), "apart"_a.noconvert(), "exact_rows"_a.noconvert(),
             "exact_vectors"_a.noconvert(), "lists"_a.none(), "links"_a.none(), "link_blocks"_a.noconvert().none(),
             "fast"_a.none(), "fast_blocks"_a.noconvert().none(), nb::keep_alive<1, 8>(), nb::keep_alive<1, 12>(),
             nb::keep_alive<1, 17>(), nb::keep_alive<1, 18>(), nb::keep_alive<1, 20>())
        .def("meet", &PySearcher::meet, "vectors"_a.noconvert(), "rows"_a.noconvert(), "beam"_a, "threads"_a)
        .def("come_by", &PySearcher::come_by, "query"_a.noconvert(), "beam"_a, "count"_a)
        .def("search", &PySearcher::search, "queries"_a.noconvert(), "k"_a, "strategy"_a, "beam"_a, "candidates"_a,
             "first"_a, "bound_sigmas"_a, "effort_max"_a, "deepens"_a, "scans_when_away"_a, "within"_a,
             "measured_within"_a, "covers"_a, "reach"_a, "slack"_a, "measured_beyond"_a, "contrast_min"_a, "wider_beam"_a,
             "mask"_a.none(), "left_out"_a.noconvert().none(), "threads"_a)
        .def_prop_ro("scratch_bytes", &PySearcher::scratch_bytes);
    m.def("keep_scratch", &keep_scratch, "bytes"_a);
    m.def("search_segments", &search_segments, "shares"_a, "queries"_a.noconvert(), "top_k"_a, "known"_a, "threads"_a,
          "in_part"_a);
}

}  // namespace lutra
