// Codes of neighbours and walks over them without Python, with blocks at the very end of what may be read.
#include <algorithm>
#include <cmath>
#include <optional>
#include <random>
#include <thread>
#include <vector>

#include "check.h"
#include "graph.h"
#include "guarded.h"
#include "link_walk.h"

namespace {

using namespace lutra;

struct Linked {
    std::size_t rows, dimension;
    std::vector<float> vectors;
    Graph graph;
    LinkLayout layout;
    Guarded blocks;

    LinkGraph walked() const {
        return {blocks.get(), rows, layout, layout.block_bytes(), graph.entries, {}};
    }
};

Linked linked(const LinkCodes& codes, std::size_t rows, std::size_t degree, Metric metric) {
    std::mt19937_64 random(rows);
    std::normal_distribution<float> normal;
    const std::size_t dimension = codes.dimension();
    std::vector<float> vectors(rows * dimension);
    for (float& one : vectors) one = normal(random);
    GraphOptions options;
    options.degree = degree;
    options.beam = 40;
    options.threads = 2;
    options.level = simd_levels().front();
    std::optional<Graph> graph = build_graph({vectors.data(), rows, dimension, metric}, options, nullptr,
                                             [](std::size_t, std::size_t) { return true; });
    CHECK(graph);
    const LinkLayout layout = codes.layout(degree);
    Guarded blocks(rows * layout.block_bytes());
    for (std::size_t row = 0; row < rows; ++row) {
        std::copy_n(vectors.data() + row * dimension, dimension,
                    reinterpret_cast<float*>(blocks.get() + row * layout.block_bytes()));
    }
    for (std::size_t row = 0; row < rows; ++row) {
        const std::uint32_t* of = graph->neighbours.data() + row * degree;
        const auto count = static_cast<std::size_t>(std::find(of, of + degree, kNoNeighbour) - of);
        CHECK(codes.make(blocks.get(), static_cast<std::uint32_t>(row), of, count, layout));
    }
    return {rows, dimension, std::move(vectors), std::move(*graph), layout, std::move(blocks)};
}

// All that a wide walk compares has the distance of a scan; the row that is the query is found, unless it is left out.
void walks_find_rows(std::size_t rows, std::size_t dimension, std::size_t degree, Metric metric) {
    const std::vector<float> centroid(dimension);
    std::vector<std::vector<Candidate>> found;
    for (const CodeLevel level : code_levels()) {
        const LinkCodes codes(dimension, metric, centroid.data(), 1, level);
        const Linked of = linked(codes, rows, degree, metric);
        const LinkGraph graph = of.walked();
        const auto ask = [&](LinkWalk& walk, std::uint32_t row, std::uint32_t left_out) {
            const float* query = of.vectors.data() + row * dimension;
            const LinkQuery prepared(codes, query);
            CHECK(prepared.is_plain());
            const ExactDistance exact(query, dimension, metric, simd_levels().front());
            walk.run(graph, prepared, exact, 60, left_out);
            std::vector<Candidate> compared = walk.compared();
            std::sort(compared.begin(), compared.end());
            return compared;
        };
        LinkWalk walk;
        std::vector<Candidate> first;
        for (std::uint32_t row = 0; row < rows; row += 7) {
            first = ask(walk, row, kNoRow);
            const bool is_itself = std::any_of(first.begin(), first.end(), [&](auto& one) { return one.row == row; });
            CHECK(is_itself || metric == Metric::kDotProduct);
            const std::vector<Candidate> others = ask(walk, row, row);
            CHECK(std::none_of(others.begin(), others.end(), [&](auto& one) { return one.row == row; }));
            CHECK(std::adjacent_find(first.begin(), first.end(), [](auto& a, auto& b) { return a.row == b.row; }) ==
                  first.end());
        }
        found.push_back(first);
        std::thread beside([&] {
            LinkWalk own;
            ask(own, 0, kNoRow);
        });
        ask(walk, 1 % static_cast<std::uint32_t>(rows), kNoRow);
        beside.join();
    }
    for (const auto& one : found) {
        CHECK(one.size() == found.front().size());
        CHECK(std::equal(one.begin(), one.end(), found.front().begin(),
                         [](auto& a, auto& b) { return a.row == b.row && a.distance == b.distance; }));
    }
}

// A walk whose time is up ends with what it has compared, and the next one has time again.
void walks_end_when_time_is_up() {
    constexpr std::size_t kDimension = 64, kRows = 3'000;
    const std::vector<float> centroid(kDimension);
    const LinkCodes codes(kDimension, Metric::kEuclidean, centroid.data(), 1, code_levels().front());
    const Linked of = linked(codes, kRows, 16, Metric::kEuclidean);
    const LinkQuery prepared(codes, of.vectors.data());
    const ExactDistance exact(of.vectors.data(), kDimension, Metric::kEuclidean, simd_levels().front());
    LinkWalk walk;
    const auto compared = [&] {
        walk.run(of.walked(), prepared, exact, 1'000, kNoRow);
        return walk.compared().size();
    };
    const std::size_t all = compared();
    CHECK(!walk.is_late() && all >= 1'000);
    {
        const TimeLimit over{TimeLimit::Clock::now(), nullptr};
        const WorkingUntil working(over);
        const std::size_t some = compared();
        CHECK(walk.is_late() && some > 0 && some < all / 2);
    }
    CHECK(compared() == all && !walk.is_late());
}

}  // namespace

int main() {
    walks_end_when_time_is_up();
    for (const Metric metric : {Metric::kEuclidean, Metric::kCosine, Metric::kDotProduct}) {
        walks_find_rows(1, 64, 16, metric);
        walks_find_rows(300, 64, 16, metric);
        walks_find_rows(300, 100, 33, metric);
        walks_find_rows(200, 320, 20, metric);
    }
}
