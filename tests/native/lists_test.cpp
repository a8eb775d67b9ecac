// Products with panels and lists without Python: the same at every SIMD level and on any number of threads, with all
// that is read in heap blocks of exactly its size.
#include <algorithm>
#include <cmath>
#include <random>
#include <set>
#include <vector>

#include "check.h"
#include "guarded.h"
#include "int8_panel.h"
#include "list_build.h"
#include "lists.h"

namespace {

using namespace lutra;

std::vector<std::int8_t> random_bytes(std::mt19937& random, std::size_t count) {
    std::uniform_int_distribution<int> any(-127, 127);
    std::vector<std::int8_t> bytes(count);
    for (std::int8_t& one : bytes) one = static_cast<std::int8_t>(any(random));
    return bytes;
}

void products_are_exact(std::size_t size, std::size_t count) {
    std::mt19937 random(3);
    const std::vector<std::int8_t> rows = random_bytes(random, count * size);
    std::vector<std::int8_t> extremes(size, 127);
    for (const std::vector<std::int8_t>& query : {random_bytes(random, size), extremes}) {
        BytePanels panels(size);
        for (std::size_t i = 0; i < count; ++i) panels.append(rows.data() + i * size);
        const std::size_t padded = (count + kPanelRows - 1) / kPanelRows * kPanelRows;
        Guarded guarded(padded * size), values(size);
        std::copy_n(panels.panel(0), padded * size, guarded.get());
        std::copy(query.begin(), query.end(), reinterpret_cast<std::int8_t*>(values.get()));
        const PanelQuery asked = panel_query(reinterpret_cast<const std::int8_t*>(values.get()), size);
        for (const SimdLevel level : simd_levels()) {
            std::vector<std::int32_t> products(padded);
            panel_products(level)(guarded.get(), padded / kPanelRows, asked, size, products.data());
            for (std::size_t i = 0; i < padded; ++i) {
                std::int32_t expected = 0;
                for (std::size_t j = 0; i < count && j < size; ++j) {
                    expected += std::int32_t{rows[i * size + j]} * query[j];
                }
                CHECK(products[i] == expected);
            }
        }
    }
}

BuiltLists build(const std::vector<float>& vectors, const Quantizer& quantizer, std::size_t per_list, unsigned threads,
                 SimdLevel level) {
    const std::size_t rows = vectors.size() / quantizer.dimension();
    std::size_t last = 0;
    BuiltLists built = build_lists(vectors.data(), rows, quantizer, {per_list, threads, level},
                                   [&](std::size_t done, std::size_t total) {
                                       CHECK(done >= last && done <= total && total == rows);
                                       last = done;
                                   });
    CHECK(last == rows);
    const std::set<std::uint32_t> distinct(built.order.begin(), built.order.end());
    CHECK(built.order.size() == rows && distinct.size() == rows && (rows == 0 || *distinct.rbegin() == rows - 1));
    CHECK(built.offsets.front() == 0 && built.offsets.back() == rows && built.offsets.size() == built.radii.size() + 1);
    for (std::size_t i = 0; i + 1 < built.offsets.size(); ++i) {
        CHECK(built.offsets[i + 1] - built.offsets[i] <= 2 * per_list);
    }
    return built;
}

void lists_are_the_same(const std::vector<float>& vectors, const Quantizer& quantizer, std::size_t per_list) {
    const BuiltLists expected = build(vectors, quantizer, per_list, 1, simd_levels().back());
    for (const SimdLevel level : simd_levels()) {
        const BuiltLists built = build(vectors, quantizer, per_list, 4, level);
        CHECK(built.order == expected.order && built.offsets == expected.offsets);
        CHECK(built.centroids == expected.centroids && built.radii == expected.radii && built.spreads == expected.spreads);
    }
}

// No row is nearer than its list's bound says, and the query's own list is among the first.
void bounds_hold(const std::vector<float>& vectors, const Quantizer& quantizer) {
    const std::size_t dimension = quantizer.dimension();
    const BuiltLists built = build(vectors, quantizer, 20, 2, simd_levels().front());
    const Lists lists(quantizer, built.offsets, built.centroids.data(), built.step, built.radii.data(),
                      built.spreads.data());
    ListRanking ranking;
    std::size_t firsts = 0;
    for (std::size_t q = 0; q < 40; ++q) {
        const float* query = vectors.data() + q * dimension;
        ranking.rank(lists, query);
        CHECK(ranking.order().size() == lists.count());
        for (std::size_t list = 0; list < lists.count(); ++list) {
            for (std::size_t at = lists.begin(list); at < lists.end(list); ++at) {
                CHECK(lists.of_row(at) == list);
                const float* row = vectors.data() + built.order[at] * dimension;
                double squared = 0;
                for (std::size_t i = 0; i < dimension; ++i) {
                    squared += (static_cast<double>(query[i]) - row[i]) * (static_cast<double>(query[i]) - row[i]);
                }
                CHECK(ranking.lower_bound(list) <= squared * 1.0001 + 1e-6);
                CHECK(ranking.cosine_least(list, static_cast<float>(squared)) <=
                      ranking.cosine(list, static_cast<float>(squared)) + 1e-5f);
                if (built.order[at] != q) continue;
                const auto begin = ranking.order().begin();
                firsts += std::find(begin, begin + 5, list) != begin + 5 ? 1 : 0;
            }
        }
    }
    CHECK(firsts >= 36);
}

}  // namespace

int main() {
    products_are_exact(64, 1);
    products_are_exact(64, 16);
    products_are_exact(192, 37);
    products_are_exact(4096, 3);
    std::mt19937 random(5);
    std::normal_distribution<float> normal;
    constexpr std::size_t kDimension = 20;
    const Quantizer quantizer(kDimension, 2, Metric::kEuclidean, nullptr, 1);
    std::vector<float> vectors(900 * kDimension);
    for (float& element : vectors) element = normal(random);
    lists_are_the_same(vectors, quantizer, 16);
    bounds_hold(vectors, quantizer);
    lists_are_the_same(std::vector<float>(500 * kDimension, 1.5f), quantizer, 16);  // all equal
    lists_are_the_same(std::vector<float>(vectors.begin(), vectors.begin() + kDimension), quantizer, 16);
    lists_are_the_same({}, quantizer, 16);
    vectors[3] = 1e30f;  // lengths that float32 does not square
    for (std::size_t i = 0; i < kDimension; ++i) vectors[kDimension + i] = 1e-30f;
    lists_are_the_same(vectors, quantizer, 16);
}
