// Graph build and walk without Python: shape, reachability and recall, the same on any number of threads. Meant to run
// under AddressSanitizer and UBSan (or ThreadSanitizer), with vectors, codes and masks in heap blocks of exactly their
// size.
#include "graph.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <random>
#include <set>
#include <thread>
#include <vector>

#include "check.h"
#include "graph_repair.h"
#include "walk.h"

namespace {

using namespace lutra;

using Random = std::mt19937_64;

struct Data {
    std::size_t rows;
    std::size_t dimension;
    std::unique_ptr<float[]> vectors;

    GraphVectors as(Metric metric) const { return {vectors.get(), rows, dimension, metric}; }
    const float* row(std::size_t number) const { return vectors.get() + number * dimension; }
};

Data random_data(Random& random, std::size_t rows, std::size_t dimension, std::size_t distinct) {
    std::normal_distribution<float> normal;
    Data data{rows, dimension, std::make_unique<float[]>(rows * dimension)};
    for (std::size_t row = 0; row < rows; ++row) {
        float* vector = data.vectors.get() + row * dimension;
        for (std::size_t i = 0; i < dimension; ++i) {
            vector[i] = row < distinct ? normal(random) : data.row(row % distinct)[i];
        }
    }
    return data;
}

GraphOptions options_of(unsigned threads, std::size_t degree, SimdLevel level, std::optional<Precision> precision) {
    GraphOptions options;
    options.degree = degree;
    options.beam = 40;
    options.threads = threads;
    options.level = level;
    options.precision = precision;
    return options;
}

bool go_on(std::size_t, std::size_t) { return true; }

void shape_is_right(const Graph& graph, std::size_t rows, std::size_t degree) {
    CHECK(graph.neighbours.size() == rows * degree);
    CHECK(graph.entries.empty() == (rows == 0));
    Links links(rows, degree);
    for (std::uint32_t row = 0; row < rows; ++row) {
        const std::uint32_t* begin = graph.neighbours.data() + row * degree;
        const std::uint32_t* end = std::find(begin, begin + degree, kNoRow);
        CHECK(std::all_of(end, begin + degree, [](std::uint32_t place) { return place == kNoRow; }));
        const std::set<std::uint32_t> distinct(begin, end);
        CHECK(distinct.size() == static_cast<std::size_t>(end - begin));
        CHECK(!distinct.contains(row));
        CHECK(std::all_of(begin, end, [&](std::uint32_t neighbour) { return neighbour < rows; }));
        links.set(row, {begin, end});
    }
    const std::vector<bool> found = reachable(links, graph.entries);
    CHECK(std::count(found.begin(), found.end(), true) == static_cast<std::ptrdiff_t>(rows));
}

void graphs_are_whole_and_the_same(Random& random) {
    for (const std::size_t rows : {0, 1, 2, 3, 7, 40, 400}) {
        for (const std::size_t distinct : {std::size_t{1}, std::size_t{5}, std::max<std::size_t>(1, rows)}) {
            const Data data = random_data(random, rows, 1 + random() % 70, distinct);
            for (const Metric metric : {Metric::kEuclidean, Metric::kCosine, Metric::kDotProduct}) {
                const std::size_t degree = 1 + random() % 16;
                std::vector<std::uint32_t> expected;
                for (const SimdLevel level : simd_levels()) {
                    const unsigned threads = level == SimdLevel::kPortable ? 1 : 3;
                    const auto codes = options_of(threads, degree, level, Precision::kInt8);
                    const auto graph = build_graph(data.as(metric), codes, nullptr, go_on);
                    shape_is_right(*graph, rows, degree);
                    if (level == simd_levels().front()) expected = graph->neighbours;
                    CHECK(graph->neighbours == expected);
                    const auto exact = options_of(2, degree, level, Precision::kFloat32);
                    shape_is_right(*build_graph(data.as(metric), exact, nullptr, go_on), rows, degree);
                }
            }
        }
    }
}

// Half of the dimensions, as directions to build along.
CodeBasis half_of(std::size_t dimension) {
    std::vector<std::int16_t> directions(64 * dimension, 0);
    for (std::size_t i = 0; i < std::min<std::size_t>(64, dimension / 2); ++i) directions[i * dimension + i] = 32767;
    return {dimension, directions.data(), {{8, 64, 1}}, 1, 5};
}

void directions_give_the_same_graph_at_every_level(Random& random) {
    for (const std::size_t dimension : {2, 130, 4096}) {
        const std::size_t rows = dimension > 200 ? 60 : 300;
        Data data = random_data(random, rows, dimension, rows);
        // Nothing along the directions, or next to nothing; lengths that no code has.
        std::fill_n(data.vectors.get() + 3 * dimension, dimension, 0.0f);
        std::fill_n(data.vectors.get() + 4 * dimension, dimension / 2, 0.0f);
        data.vectors[5 * dimension] = 1e30f;
        const CodeBasis basis = half_of(dimension);
        for (const Metric metric : {Metric::kEuclidean, Metric::kCosine}) {
            GraphVectors given = data.as(metric);
            given.basis = &basis;
            std::vector<std::uint32_t> expected;
            for (const SimdLevel level : simd_levels()) {
                for (const unsigned threads : {1u, 3u}) {
                    const auto options = options_of(threads, 9, level, Precision::kInt8);
                    const auto graph = build_graph(given, options, nullptr, go_on);
                    shape_is_right(*graph, rows, 9);
                    if (expected.empty()) expected = graph->neighbours;
                    CHECK(graph->neighbours == expected);
                }
            }
        }
    }
}

// Rows that differ only where no direction tells: a build finds out and goes by all dimensions.
void directions_that_tell_nothing_are_left(Random& random) {
    Data data = random_data(random, 400, 40, 400);
    for (std::size_t row = 0; row < data.rows; ++row) std::fill_n(data.vectors.get() + row * 40, 20, 1.0f);
    const CodeBasis basis = half_of(40);
    GraphVectors given = data.as(Metric::kEuclidean);
    const auto options = options_of(2, 12, simd_levels().front(), std::nullopt);
    const auto without = build_graph(given, options, nullptr, go_on);
    given.basis = &basis;
    CHECK(build_graph(given, options, nullptr, go_on)->neighbours == without->neighbours);
}

void tiny_residuals_project_to_nothing() {
    constexpr std::size_t kRows = 40;
    Data data{kRows, 3, std::make_unique<float[]>(kRows * 3)};
    for (std::size_t i = 0; i < kRows * 3; ++i) data.vectors[i] = static_cast<float>(i % 7) * 1e-44f;
    const CodeBasis basis = half_of(3);
    GraphVectors given = data.as(Metric::kEuclidean);
    given.basis = &basis;
    for (const auto precision : {std::optional(Precision::kInt8), std::optional<Precision>()}) {
        const auto options = options_of(2, 6, simd_levels().front(), precision);
        shape_is_right(*build_graph(given, options, nullptr, go_on), kRows, 6);
    }
}

void a_graph_is_gone_on_from(Random& random) {
    const Data data = random_data(random, 500, 24, 500);
    const auto options = options_of(2, 12, simd_levels().front(), std::nullopt);
    const GraphVectors first{data.vectors.get(), 300, 24, Metric::kEuclidean};
    auto graph = build_graph(first, options, nullptr, go_on);
    std::fill_n(graph->neighbours.data() + 17 * 12, 12, kNoRow);
    const StartGraph start{graph->neighbours.data(), 300, 12};
    shape_is_right(*build_graph(data.as(Metric::kEuclidean), options, &start, go_on), 500, 12);
}

void a_build_is_stopped(Random& random) {
    const Data data = random_data(random, 400, 8, 400);
    const auto options = options_of(2, 8, simd_levels().front(), std::nullopt);
    int reports = 0;
    const auto stop = [&](std::size_t done, std::size_t total) {
        CHECK(done <= total && total == 400);
        return ++reports < 3;
    };
    CHECK(!build_graph(data.as(Metric::kEuclidean), options, nullptr, stop));
    CHECK(reports == 3);
}

struct Walked {
    Data data;
    Graph graph;
    Quantizer quantizer;
    std::unique_ptr<std::uint8_t[]> records;

    WalkGraph view(std::size_t degree) const {
        return {graph.neighbours.data(), records.get(),           data.rows, degree,
                quantizer.record_bytes(), graph.entries};
    }
};

constexpr std::size_t kDegree = 16;

Walked walked(Random& random, std::size_t rows, std::size_t dimension) {
    Data data = random_data(random, rows, dimension, rows);
    const auto options = options_of(2, kDegree, simd_levels().front(), std::nullopt);
    auto graph = build_graph(data.as(Metric::kEuclidean), options, nullptr, go_on);
    Quantizer quantizer(dimension, 8, Metric::kEuclidean, nullptr, 1);
    auto records = std::make_unique<std::uint8_t[]>(rows * quantizer.record_bytes());
    quantizer.encode(data.vectors.get(), rows, records.get(), 2);
    return {std::move(data), std::move(*graph), std::move(quantizer), std::move(records)};
}

// Every mask: what is returned counts, is in order, and there is as much of it as there can be.
void walks_find_what_counts(Random& random) {
    const Walked given = walked(random, 1500, 12);
    Walk walk;
    for (const double share : {1.0, 0.4, 0.1, 0.01, 0.002, 0.0}) {
        const auto mask = std::make_unique<std::uint8_t[]>(given.data.rows);
        std::bernoulli_distribution counts(share);
        for (std::size_t row = 0; row < given.data.rows; ++row) mask[row] = counts(random) ? 1 : 0;
        const auto total = static_cast<std::size_t>(std::count(mask.get(), mask.get() + given.data.rows, 1));
        const RowMask counting(mask.get(), given.data.rows);
        const auto seeds = evenly_spread(counting, 8);
        CHECK(seeds.empty() == (total == 0));
        for (int round = 0; round < 20; ++round) {
            const QueryCode query(given.quantizer, given.data.row(random() % given.data.rows));
            const std::size_t beam = 1 + random() % 60, count = 1 + random() % 30;
            const WalkOptions options{beam, count, count, 0, &counting, seeds};
            const std::vector<Candidate> found = walk.run(given.view(kDegree), query, options);
            CHECK(found.size() == std::min(count, total));
            CHECK((walk.counters().end == WalkEnd::kExhausted) == (total < count));
            CHECK(std::is_sorted(found.begin(), found.end()));
            for (const Candidate& candidate : found) CHECK(mask[candidate.row] == 1);
        }
    }
}

void a_walk_gives_up(Random& random) {
    const Walked given = walked(random, 1500, 12);
    const auto mask = std::make_unique<std::uint8_t[]>(given.data.rows);
    const QueryCode query(given.quantizer, given.data.row(3));
    const RowMask none(mask.get(), given.data.rows);
    const WalkOptions options{10, 10, 10, 200, &none, {}};
    Walk walk;
    CHECK(walk.run(given.view(kDegree), query, options).empty());
    CHECK(walk.counters().end == WalkEnd::kGaveUp);
    CHECK(walk.counters().distances + walk.counters().bridges < 600);
}

void walks_run_side_by_side(Random& random) {
    const Walked given = walked(random, 2000, 20);
    const WalkOptions options{50, 10, 0, 0, nullptr, {}};
    const auto run = [&](std::size_t begin, std::vector<std::vector<Candidate>>& found) {
        Walk walk;
        for (std::size_t row = begin; row < begin + 100; ++row) {
            found.push_back(walk.run(given.view(kDegree), QueryCode(given.quantizer, given.data.row(row)), options));
        }
    };
    std::vector<std::vector<Candidate>> first, second, alone;
    std::thread other([&] { run(0, first); });
    run(100, second);
    other.join();
    run(0, alone);
    int right = 0;
    for (std::size_t i = 0; i < 100; ++i) {
        right += first[i].front().row == i;  // a row is the nearest to itself
        right += second[i].front().row == i + 100;
        for (std::size_t j = 0; j < alone[i].size(); ++j) CHECK(alone[i][j].row == first[i][j].row);
    }
    CHECK(right >= 190);
}

}  // namespace

int main() {
    Random random(2019);
    graphs_are_whole_and_the_same(random);
    directions_give_the_same_graph_at_every_level(random);
    directions_that_tell_nothing_are_left(random);
    tiny_residuals_project_to_nothing();
    a_graph_is_gone_on_from(random);
    a_build_is_stopped(random);
    walks_find_what_counts(random);
    a_walk_gives_up(random);
    walks_run_side_by_side(random);
    return 0;
}
