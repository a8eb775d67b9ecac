// Flat top-k without Python, at every SIMD level: against distances taken one by one in double. Meant to run under
// AddressSanitizer and UBSan (or ThreadSanitizer), with vectors, mask and results in heap blocks of exactly their size.
#include "topk.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <random>
#include <utility>
#include <vector>

#include "check.h"
#include "distance_range.h"
#include "exact_distance.h"

namespace {

using namespace lutra;

using Random = std::mt19937_64;

struct Case {
    std::size_t row_count;
    std::size_t dimension;
    std::size_t query_count;
    std::size_t k;
    double share;  // of the rows that count; above 1: no mask
    unsigned threads;
};

double plain_distance(Metric metric, const float* a, const float* b, std::size_t dimension) {
    double squared = 0, product = 0, a_norm = 0, b_norm = 0;
    for (std::size_t i = 0; i < dimension; ++i) {
        const double x = a[i], y = b[i];
        squared += (x - y) * (x - y);
        product += x * y;
        a_norm += x * x;
        b_norm += y * y;
    }
    if (metric == Metric::kEuclidean) return squared;
    if (metric == Metric::kDotProduct) return -product;
    return a_norm == 0 || b_norm == 0 ? 1 : 1 - product / std::sqrt(a_norm * b_norm);
}

bool close(double a, double b) { return std::abs(a - b) <= 1e-4 * std::max(1.0, std::abs(b)); }

std::unique_ptr<float[]> random_vectors(Random& random, std::size_t size) {
    std::normal_distribution<float> normal;
    auto vectors = std::make_unique<float[]>(size);
    for (std::size_t i = 0; i < size; ++i) vectors[i] = normal(random);
    return vectors;
}

struct Data {
    std::unique_ptr<float[]> vectors;
    std::unique_ptr<float[]> queries;
    std::unique_ptr<std::uint8_t[]> mask;
};

Data random_data(Random& random, const Case& given) {
    Data data{random_vectors(random, given.row_count * given.dimension),
              random_vectors(random, given.query_count * given.dimension), nullptr};
    if (given.share > 1) return data;
    data.mask = std::make_unique<std::uint8_t[]>(given.row_count);
    std::bernoulli_distribution counts(given.share);
    for (std::size_t row = 0; row < given.row_count; ++row) {
        data.mask[row] = counts(random) ? 1 : 0;
        // A row that does not count must not count by its content either.
        if (data.mask[row] == 0) data.vectors[row * given.dimension] = std::numeric_limits<float>::quiet_NaN();
    }
    return data;
}

// [query_count][row_count], infinite where the row does not count.
std::vector<std::vector<double>> plain_distances(const Case& given, const Data& data, Metric metric) {
    std::vector<std::vector<double>> distances(given.query_count);
    for (std::size_t q = 0; q < given.query_count; ++q) {
        for (std::size_t row = 0; row < given.row_count; ++row) {
            const bool counts = !data.mask || data.mask[row] == 1;
            distances[q].push_back(counts ? plain_distance(metric, data.queries.get() + q * given.dimension,
                                                           data.vectors.get() + row * given.dimension, given.dimension)
                                          : std::numeric_limits<double>::infinity());
        }
    }
    return distances;
}

// Every level finds distances that are right, in order, and those of the rows it names.
void scans_agree(Random& random, const Case& given, Metric metric) {
    const Data data = random_data(random, given);
    const std::size_t k = std::min(given.k, qualifying_rows(data.mask.get(), given.row_count));
    if (k == 0) return;
    const auto every = plain_distances(given, data, metric);
    for (SimdLevel level : simd_levels()) {
        const Scan scan{data.queries.get(), given.query_count, data.vectors.get(), given.row_count, given.dimension,
                        data.mask.get(),    metric,            level,              given.threads};
        const auto ids = std::make_unique<std::int64_t[]>(given.query_count * k);
        const auto distances = std::make_unique<float[]>(given.query_count * k);
        topk(scan, k, ids.get(), distances.get());
        for (std::size_t q = 0; q < given.query_count; ++q) {
            std::vector<double> expected = every[q];
            std::partial_sort(expected.begin(), expected.begin() + static_cast<std::ptrdiff_t>(k), expected.end());
            std::pair<float, std::int64_t> last{-std::numeric_limits<float>::infinity(), -1};
            for (std::size_t i = 0; i < k; ++i) {
                const std::pair<float, std::int64_t> found{distances[q * k + i], ids[q * k + i]};
                CHECK(last < found);
                CHECK(found.second >= 0 && found.second < static_cast<std::int64_t>(given.row_count));
                CHECK(close(found.first, expected[i]));
                CHECK(close(found.first, every[q][static_cast<std::size_t>(found.second)]));
                last = found;
            }
        }
    }
}

// Rows of any length: a scan and one query after the other give the same, and what is right.
void lengths_of_all_decades(Random& random, std::size_t dimension, Metric metric) {
    constexpr std::size_t kRows = 50;
    std::uniform_real_distribution<double> decade(-44, 37);
    const auto vectors = random_vectors(random, kRows * dimension);
    for (std::size_t row = 0; row < kRows; ++row) {
        const double factor = row % 10 == 9 ? 0 : std::pow(10.0, decade(random));
        for (std::size_t i = 0; i < dimension; ++i) {
            float& element = vectors[row * dimension + i];
            element = static_cast<float>(element * factor);
        }
    }
    for (SimdLevel level : simd_levels()) {
        for (std::size_t q = 0; q < kRows; ++q) {
            const float* query = vectors.get() + q * dimension;
            const Scan scan{query, 1, vectors.get(), kRows, dimension, nullptr, metric, level, 1};
            std::int64_t ids[kRows];
            float distances[kRows];
            topk(scan, kRows, ids, distances);
            const ExactDistance exact(query, dimension, metric, level);
            const double query_length = std::sqrt(-plain_distance(Metric::kDotProduct, query, query, dimension));
            for (std::size_t i = 0; i < kRows; ++i) {
                const float* row = vectors.get() + static_cast<std::size_t>(ids[i]) * dimension;
                float alone;
                exact.tile(&row, 1, &alone);
                CHECK(alone == distances[i]);
                const double expected = plain_distance(metric, query, row, dimension);
                const double row_length = std::sqrt(-plain_distance(Metric::kDotProduct, row, row, dimension));
                const double unit = metric == Metric::kEuclidean ? expected
                                    : metric == Metric::kCosine  ? 1
                                                                 : query_length * row_length;
                const double wrong = std::abs(unpack_distance(distances[i]) - expected);
                CHECK(wrong <= 1e-5 * unit || (metric == Metric::kDotProduct && wrong < 1e-40));
                CHECK(i == 0 || distances[i - 1] <= distances[i]);
            }
        }
    }
}

void packed_distances(Random& random) {
    std::uniform_real_distribution<double> exponent(-298, 272);
    double last = 0;
    float last_packed = 0;
    std::vector<double> values;
    for (int i = 0; i < 20'000; ++i) values.push_back(std::exp2(exponent(random)));
    std::sort(values.begin(), values.end());
    for (const double value : values) {
        const float packed = pack_distance(value);
        CHECK(std::isfinite(packed) && packed >= last_packed && (value == last || packed > 0));
        CHECK(std::abs(unpack_distance(packed) - value) <= 0x1p-21 * value);
        CHECK(pack_distance(-value) == -packed && unpack_distance(-packed) == -unpack_distance(packed));
        last = value;
        last_packed = packed;
    }
    CHECK(pack_distance(0) == 0 && unpack_distance(0) == 0);
    constexpr double kInfinity = std::numeric_limits<double>::infinity();
    CHECK(std::isfinite(pack_distance(kInfinity)) && pack_distance(-kInfinity) == -pack_distance(kInfinity));
    CHECK(pack_distance(1e-300) > 0 && pack_distance(1e300) >= last_packed);
}

void finite_rows(Random& random) {
    const auto vectors = random_vectors(random, 40 * 7);
    CHECK(first_not_finite(vectors.get(), 40, 7) == 40);
    CHECK(first_not_finite(vectors.get(), 0, 7) == 0);
    vectors[39 * 7 + 6] = std::numeric_limits<float>::infinity();
    CHECK(first_not_finite(vectors.get(), 40, 7) == 39);
    vectors[3 * 7] = std::numeric_limits<float>::quiet_NaN();
    CHECK(first_not_finite(vectors.get(), 40, 7) == 3);
}

}  // namespace

int main() {
    Random random(768);
    for (Metric metric : {Metric::kEuclidean, Metric::kCosine, Metric::kDotProduct}) {
        for (std::size_t dimension = 1; dimension <= 40; ++dimension) {
            scans_agree(random, {dimension * 3, dimension, 3, 5, 2, 1}, metric);
            scans_agree(random, {100, dimension, 2, 200, 0.4, 1}, metric);
        }
        scans_agree(random, {1, 5, 1, 1, 2, 0}, metric);
        scans_agree(random, {3000, 4, 1, 1, 0.01, 0}, metric);
        scans_agree(random, {5, 4096, 3, 5, 2, 0}, metric);
        scans_agree(random, {13000, 96, 7, 30, 2, 3}, metric);
        scans_agree(random, {19000, 96, 7, 3, 0.7, 4}, metric);
    }
    for (Metric metric : {Metric::kEuclidean, Metric::kCosine, Metric::kDotProduct}) {
        for (std::size_t dimension : {1, 7, 33}) lengths_of_all_decades(random, dimension, metric);
    }
    packed_distances(random);
    finite_rows(random);
    return 0;
}
