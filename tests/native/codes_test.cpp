// Codes without Python, at every SIMD level: the same records, estimates and rankings at each; records, masks and
// queries in heap blocks of exactly their size, so that AddressSanitizer sees a step past any of them.
#include "codes.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <random>
#include <vector>

#include "check.h"
#include "code_ranking.h"
#include "product_codes.h"

namespace {

using namespace lutra;

using Random = std::mt19937_64;

std::unique_ptr<float[]> random_vectors(Random& random, std::size_t size) {
    std::normal_distribution<float> normal(0.3f);
    auto vectors = std::make_unique<float[]>(size);
    for (std::size_t i = 0; i < size; ++i) vectors[i] = normal(random);
    return vectors;
}

struct Made {
    std::unique_ptr<std::uint8_t[]> records;
    std::unique_ptr<float[]> estimates;
};

template <class Query>
Made made_by(const Query& query, std::unique_ptr<std::uint8_t[]> records, std::size_t count) {
    Made made{std::move(records), std::make_unique<float[]>(count)};
    query.estimate_range(made.records.get(), count, made.estimates.get());
    // Records apart from each other, each in a block of its own.
    std::vector<std::unique_ptr<std::uint8_t[]>> own;
    std::vector<const std::uint8_t*> places;
    for (std::size_t row = 0; row < count; ++row) {
        own.push_back(std::make_unique<std::uint8_t[]>(query.record_bytes()));
        std::memcpy(own[row].get(), made.records.get() + row * query.record_bytes(), query.record_bytes());
        places.push_back(own[row].get());
    }
    std::vector<float> apart(count);
    query.estimate_batch(places.data(), count, apart.data());
    for (std::size_t row = 0; row < count; ++row) {
        CHECK(apart[row] == made.estimates[row]);
        CHECK(query.estimate(places[row]) == made.estimates[row]);
        CHECK(query.loose_lower_bound(places[row], apart[row]) <=
              query.lower_bound(places[row], apart[row]) + 1e-5f * std::abs(apart[row]) + 1e-5f);
    }
    return made;
}

void codes_agree(Random& random, std::size_t dimension, unsigned bits, Metric metric) {
    constexpr std::size_t kCount = 11;
    const auto vectors = random_vectors(random, kCount * dimension);
    std::fill_n(vectors.get() + 3 * dimension, dimension, 0.0f);
    const auto centroid = random_vectors(random, dimension);
    const auto query = random_vectors(random, dimension);
    Made first;
    for (CodeLevel level : code_levels()) {
        const Quantizer quantizer(dimension, bits, metric, centroid.get(), 5, level);
        auto records = std::make_unique<std::uint8_t[]>(kCount * quantizer.record_bytes());
        quantizer.encode(vectors.get(), kCount, records.get(), 2);
        Made made = made_by(QueryCode(quantizer, query.get()), std::move(records), kCount);
        if (first.records == nullptr) {
            first = std::move(made);
        } else {
            CHECK(std::memcmp(first.records.get(), made.records.get(), kCount * quantizer.record_bytes()) == 0);
            CHECK(std::equal(first.estimates.get(), first.estimates.get() + kCount, made.estimates.get()));
        }
    }
}

// Every code value against every query value, as the kernels sum them: the largest sums must not overflow.
void extreme_sums(unsigned bits) {
    for (std::size_t code_bytes : {std::size_t{8}, std::size_t{64}, std::size_t{120}, std::size_t{512 * bits}}) {
        const CodeShape shape = code_shape(code_bytes);
        const std::size_t dimension = code_bytes * 8 / bits;
        for (int value : {127, -127}) {
            const std::vector<std::int8_t> values(dimension, static_cast<std::int8_t>(value));
            const auto query = aligned_array<std::int8_t>(query_elements(shape, bits));
            arrange_query(values.data(), shape, bits, query.get());
            const std::vector<std::uint8_t> code(code_bytes, 0xff);
            const auto expected = static_cast<std::int32_t>(dimension) * ((1 << bits) - 1) * value;
            for (CodeLevel level : code_levels()) {
                const CodeProducts products = code_products(level, bits);
                CHECK(products.one(code.data(), query.get(), shape) == expected);
                std::int32_t sums[kCodeTile];
                products.tile({code.data(), code.data(), code.data(), code.data()}, query.get(), shape, sums);
                for (std::int32_t sum : sums) CHECK(sum == expected);
            }
        }
    }
}

template <class Query>
void rankings_are_right(Random& random, const Query& query, const std::uint8_t* records, std::size_t count,
                        double share) {
    std::unique_ptr<std::uint8_t[]> mask;
    if (share < 1) {
        mask = std::make_unique<std::uint8_t[]>(count);
        std::bernoulli_distribution counts(share);
        for (std::size_t row = 0; row < count; ++row) mask[row] = counts(random);
    }
    std::vector<std::pair<float, std::uint32_t>> expected;
    for (std::uint32_t row = 0; row < count; ++row) {
        if (mask == nullptr || mask[row] != 0) {
            expected.emplace_back(query.estimate(records + row * query.record_bytes()), row);
        }
    }
    std::sort(expected.begin(), expected.end());
    for (unsigned threads : {1u, 3u}) {
        const CodeScan scan{records, count, mask.get(), threads};
        for (std::size_t k : {std::size_t{1}, std::size_t{20}, count + 5}) {
            const std::vector<Estimated> nearest = nearest_by_code(query, scan, k);
            CHECK(nearest.size() == std::min(k, expected.size()));
            for (std::size_t i = 0; i < nearest.size(); ++i) CHECK(nearest[i].row == expected[i].second);
            const std::vector<Estimated> candidates = candidates_by_code(query, scan, k);
            CHECK(candidates.size() >= nearest.size() && candidates.size() <= expected.size());
            for (std::size_t i = 1; i < candidates.size(); ++i) {
                CHECK(candidates[i - 1].estimate <= candidates[i].estimate);
            }
        }
    }
}

void scans(Random& random, std::size_t count, std::size_t dimension) {
    const std::size_t distinct = std::min<std::size_t>(count, 700);
    const auto vectors = random_vectors(random, distinct * dimension);
    const auto query = random_vectors(random, dimension);
    const Quantizer quantizer(dimension, 8, Metric::kEuclidean, nullptr, 1);
    const auto records = std::make_unique<std::uint8_t[]>(count * quantizer.record_bytes());
    quantizer.encode(vectors.get(), distinct, records.get(), 2);
    for (std::size_t row = distinct; row < count; ++row) {
        std::copy_n(records.get() + row % distinct * quantizer.record_bytes(), quantizer.record_bytes(),
                    records.get() + row * quantizer.record_bytes());
    }
    const std::size_t few = std::min(count, 20000 / dimension);  // k-means takes long in a build for sanitizers
    const ProductQuantizer product(vectors.get(), few, dimension, (dimension + 9) / 10, Metric::kCosine, 1, 2);
    const auto product_records = std::make_unique<std::uint8_t[]>(few * product.record_bytes());
    product.encode(vectors.get(), few, product_records.get(), 2);
    for (double share : {2.0, 0.3, 0.0}) {
        rankings_are_right(random, QueryCode(quantizer, query.get()), records.get(), count, share);
        rankings_are_right(random, ProductQuery(product, query.get()), product_records.get(), few, share);
    }
}

void extreme_values() {
    constexpr float kMost = std::numeric_limits<float>::max();
    constexpr float kLeast = std::numeric_limits<float>::denorm_min();
    const std::vector<float> vectors{0, 0, 0, kMost, kMost, kMost, kMost, -kMost, 1, kLeast, 0, -kLeast, 1e18f, 0, 1};
    for (Metric metric : {Metric::kEuclidean, Metric::kCosine, Metric::kDotProduct}) {
        for (unsigned bits : {1u, 2u, 4u, 8u}) {
            for (CodeLevel level : code_levels()) {
                const Quantizer quantizer(3, bits, metric, nullptr, 1, level);
                std::vector<std::uint8_t> records(5 * quantizer.record_bytes());
                quantizer.encode(vectors.data(), 5, records.data(), 1);
                for (std::size_t row = 0; row < 5; ++row) {
                    const QueryCode query(quantizer, vectors.data() + row * 3);
                    float estimates[5];
                    query.estimate_range(records.data(), 5, estimates);
                    for (float estimate : estimates) CHECK(!std::isnan(estimate));
                }
            }
        }
    }
}

}  // namespace

int main() {
    Random random(960);
    for (unsigned bits : {1u, 2u, 4u, 8u}) {
        extreme_sums(bits);
        for (std::size_t dimension : {1, 2, 63, 64, 65, 128, 129, 192, 200, 320, 448, 513, 960, 1537, 4095, 4096}) {
            for (Metric metric : {Metric::kEuclidean, Metric::kCosine, Metric::kDotProduct}) {
                codes_agree(random, dimension, bits, metric);
            }
        }
    }
    extreme_values();
    scans(random, 0, 5);
    scans(random, 1, 1);
    scans(random, 700, 20);
    scans(random, 9000, 960);  // enough for two threads
    return 0;
}
