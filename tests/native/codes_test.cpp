// Codes without Python, at every SIMD level: the same records, estimates and rankings at each; records, masks and
// queries in heap blocks of exactly their size, so that AddressSanitizer sees a step past any of them; and single records
// at the end of what may be read.
#include "codes.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <optional>
#include <random>
#include <vector>

#include "check.h"
#include "code_ranking.h"
#include "guarded.h"
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
    // Records apart from each other, each at the end of what may be read.
    std::vector<Guarded> own;
    std::vector<const std::uint8_t*> places;
    for (std::size_t row = 0; row < count; ++row) {
        own.emplace_back(query.record_bytes());
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

// Unit vectors in directions by chance; nothing says that they are at right angles to each other.
std::vector<std::int16_t> random_directions(Random& random, std::size_t count, std::size_t dimension) {
    std::normal_distribution<double> normal;
    std::vector<std::int16_t> directions(count * dimension);
    std::vector<double> one(dimension);
    for (std::size_t i = 0; i < count; ++i) {
        double squared = 0;
        for (double& element : one) {
            element = normal(random);
            squared += element * element;
        }
        for (std::size_t j = 0; j < dimension; ++j) {
            directions[i * dimension + j] = static_cast<std::int16_t>(std::lround(32767 * one[j] / std::sqrt(squared)));
        }
    }
    return directions;
}

std::shared_ptr<const CodeBasis> random_basis(Random& random, std::size_t dimension, std::vector<CodePart> parts) {
    std::size_t count = 0;
    for (const CodePart& part : parts) count += part.dimensions;
    const std::vector<std::int16_t> directions = random_directions(random, count, dimension);
    require_unit_directions(directions.data(), count, dimension);
    return std::make_shared<const CodeBasis>(dimension, directions.data(), std::move(parts), 0.1f, 3);
}

void basis_codes_agree(Random& random, std::size_t dimension, const std::vector<CodePart>& parts, Metric metric) {
    constexpr std::size_t kCount = 6;
    const auto vectors = random_vectors(random, kCount * dimension);
    std::fill_n(vectors.get() + 3 * dimension, dimension, 0.0f);
    const auto centroid = random_vectors(random, dimension);
    const auto query = random_vectors(random, dimension);
    const auto basis = random_basis(random, dimension, parts);
    Made first;
    for (CodeLevel level : code_levels()) {
        const Quantizer quantizer(dimension, basis, metric, centroid.get(), level);
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

// Directions that are all one and the same make the longest there is of a residual.
void one_direction_many_times(Random& random) {
    const std::vector<std::int16_t> directions(4096, 32767);
    for (CodeLevel level : code_levels()) {
        const std::vector<CodePart> parts{{8, 4096, kCodeStepMin}};
        const auto basis = std::make_shared<const CodeBasis>(1, directions.data(), parts, 0.1f, random());
        const Quantizer quantizer(1, basis, Metric::kEuclidean, nullptr, level);
        const float vector = 1e18f;
        const auto record = std::make_unique<std::uint8_t[]>(quantizer.record_bytes());
        quantizer.encode(&vector, 1, record.get(), 1);
        CHECK(!std::isnan(QueryCode(quantizer, &vector).estimate(record.get())));
    }
}

// Parts alone, two and two and all: their records end before, at and after 64 bytes, and parts meet within such blocks.
void every_shape_of_parts(Random& random) {
    for (unsigned shape = 1; shape < 16; ++shape) {
        for (std::size_t groups : {1, 3}) {
            std::vector<CodePart> parts;
            for (unsigned bits : {8u, 4u, 2u, 1u}) {
                const std::size_t dimensions = 64 * (groups + random() % 2);
                if ((shape & bits) != 0) parts.push_back({bits, dimensions, 0.3f / static_cast<float>(bits)});
            }
            for (std::size_t dimension : {1, 33, 130}) {
                for (Metric metric : {Metric::kEuclidean, Metric::kCosine, Metric::kDotProduct}) {
                    basis_codes_agree(random, dimension, parts, metric);
                }
            }
        }
    }
    basis_codes_agree(random, 4096, {{8, 64, 0.01f}, {1, 64, 0.1f}}, Metric::kEuclidean);
    basis_codes_agree(random, 4095, {{4, 128, 0.01f}}, Metric::kCosine);
}

// The sum that lanes stand for, in 64 bits.
std::int64_t lane_sum(const std::vector<CodePart>& parts, const std::vector<unsigned>& weights,
                      const std::uint8_t* code, const std::int8_t* values) {
    std::int64_t sum = 0;
    for (std::size_t part = 0; part < parts.size(); ++part) {
        const std::size_t bytes = parts[part].dimensions * parts[part].bits / 8;
        for (std::size_t begin = 0; begin < bytes; begin += kCodeBlockBytes) {
            const std::size_t width = std::min(kCodeBlockBytes, bytes - begin);
            for (unsigned shift = 0; shift < 8; shift += parts[part].bits) {
                for (std::size_t j = 0; j < width; ++j) {
                    const int level = code[begin + j] >> shift & ((1 << parts[part].bits) - 1);
                    sum += std::int64_t{level * *values++} << weights[part];
                }
            }
        }
        code += bytes;
    }
    return sum;
}

void check_lanes(const std::vector<CodePart>& parts, const std::vector<unsigned>& weights,
                 const std::vector<std::int8_t>& values, const std::vector<std::uint8_t>& record) {
    const Guarded own(record.size());
    std::copy(record.begin(), record.end(), own.get());
    CodeLanes lanes(parts, record.size());
    const std::int8_t* at = values.data();
    for (std::size_t i = 0; i < parts.size(); at += parts[i++].dimensions) lanes.set_part(i, at, weights[i]);
    const std::int64_t expected = lane_sum(parts, weights, record.data(), values.data());
    CHECK(std::abs(expected) < std::int64_t{1} << 31);
    for (CodeLevel level : code_levels()) {
        for (std::size_t tiles : {1, 3}) {
            const std::vector<const std::uint8_t*> codes(tiles * kCodeTile, own.get());
            std::vector<std::int32_t> sums(codes.size());
            lane_products(level)(codes.data(), tiles, lanes.chunks(), sums.data());
            for (std::int32_t sum : sums) CHECK(sum == expected);
        }
    }
}

// Sums at both ends of what a query may come to, each part as heavy as it may be, and numbers by chance.
void lanes_are_exact(Random& random) {
    const std::vector<std::vector<CodePart>> shapes{
        {{8, 4096, 1}},
        {{8, 3904, 1}, {4, 64, 1}, {2, 64, 1}, {1, 64, 1}},
        {{8, 64, 1}, {4, 3904, 1}, {2, 64, 1}, {1, 64, 1}},
        {{4, 64, 1}, {2, 64, 1}, {1, 64, 1}},
        {{8, 64, 1}, {1, 64, 1}},
        {{1, 4096, 1}},
        {{4, 64, 1}, {2, 64, 1}},
        {{4, 64, 1}},
        {{8, 64, 1}},
        {{2, 192, 1}, {1, 320, 1}},
    };
    for (const std::vector<CodePart>& parts : shapes) {
        std::size_t size = 0, bytes = kCodeFactorBytes;
        std::vector<unsigned> weights;
        for (const CodePart& part : parts) {
            size += part.dimensions;
            bytes += part.dimensions * part.bits / 8;
            weights.push_back(kSumBits - 2 - CodeLanes::sum_bits(part));
            CHECK(std::bit_width(part.dimensions * 127 * ((1u << part.bits) - 1)) == CodeLanes::sum_bits(part));
        }
        std::vector<std::int8_t> values(size);
        std::vector<std::uint8_t> record(bytes, 0xff);
        for (int value : {127, -127}) {
            std::fill(values.begin(), values.end(), static_cast<std::int8_t>(value));
            check_lanes(parts, weights, values, record);
        }
        for (int round = 0; round < 5; ++round) {
            for (std::int8_t& value : values) value = static_cast<std::int8_t>(static_cast<int>(random() % 255) - 127);
            for (std::uint8_t& byte : record) byte = static_cast<std::uint8_t>(random());
            for (unsigned& weight : weights) weight = random() % (weight + 1);
            check_lanes(parts, weights, values, record);
        }
    }
}

void long_directions_are_refused() {
    std::vector<std::int16_t> directions(2 * 4096, 0);
    directions[4096] = 32767;
    require_unit_directions(directions.data(), 2, 4096);
    directions[4097] = -32767;
    bool is_refused = false;
    try {
        require_unit_directions(directions.data(), 2, 4096);
    } catch (const std::invalid_argument&) {
        is_refused = true;
    }
    CHECK(is_refused);
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
    std::optional<RowMask> counting;
    if (mask != nullptr) counting.emplace(mask.get(), count);
    for (unsigned threads : {1u, 3u}) {
        const CodeScan scan{records, count, counting ? &*counting : nullptr, threads};
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

void basis_scans(Random& random, std::size_t count) {
    const auto vectors = random_vectors(random, count * 40);
    const auto basis = random_basis(random, 40, {{4, 64, 0.05f}, {1, 64, 0.1f}});
    const Quantizer quantizer(40, basis, Metric::kEuclidean, nullptr);
    const auto records = std::make_unique<std::uint8_t[]>(count * quantizer.record_bytes());
    quantizer.encode(vectors.get(), count, records.get(), 2);
    for (double share : {2.0, 0.3, 0.0}) {
        rankings_are_right(random, QueryCode(quantizer, vectors.get()), records.get(), count, share);
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

void no_number_is_lost(const Quantizer& quantizer, const std::vector<float>& vectors) {
    std::vector<std::uint8_t> records(5 * quantizer.record_bytes());
    quantizer.encode(vectors.data(), 5, records.data(), 1);
    for (std::size_t row = 0; row < 5; ++row) {
        const QueryCode query(quantizer, vectors.data() + row * 3);
        float estimates[5];
        query.estimate_range(records.data(), 5, estimates);
        for (float estimate : estimates) CHECK(!std::isnan(estimate));
    }
}

void extreme_values(Random& random) {
    constexpr float kMost = std::numeric_limits<float>::max();
    constexpr float kLeast = std::numeric_limits<float>::denorm_min();
    const std::vector<float> vectors{0, 0, 0, kMost, kMost, kMost, kMost, -kMost, 1, kLeast, 0, -kLeast, 1e18f, 0, 1};
    for (Metric metric : {Metric::kEuclidean, Metric::kCosine, Metric::kDotProduct}) {
        for (CodeLevel level : code_levels()) {
            for (unsigned bits : {1u, 2u, 4u, 8u}) {
                no_number_is_lost(Quantizer(3, bits, metric, nullptr, 1, level), vectors);
            }
            for (float step : {kCodeStepMin, 1.0f, kCodeStepMax}) {
                const auto basis = random_basis(random, 3, {{8, 64, step}, {2, 64, 0.1f}});
                no_number_is_lost(Quantizer(3, basis, metric, nullptr, level), vectors);
            }
        }
    }
}

// Rows around several centres: at every level the records and estimates that a quantizer of the row's own centre gives.
void centres_agree(Random& random, std::size_t dimension, unsigned bits, Metric metric) {
    constexpr std::size_t kCentres = 5, kRows = 70;
    const auto centres = random_vectors(random, kCentres * dimension);
    const auto vectors = random_vectors(random, kRows * dimension);
    for (std::size_t row = 0; row < kRows; ++row) {
        for (std::size_t i = 0; i < dimension; ++i) {
            vectors[row * dimension + i] = centres[row % kCentres * dimension + i] + 0.01f * vectors[row * dimension + i];
        }
    }
    const auto query = random_vectors(random, dimension);
    for (CodeLevel level : code_levels()) {
        const Quantizer all(dimension, bits, metric, centres.get(), kCentres, 3, level);
        auto records = std::make_unique<std::uint8_t[]>(kRows * all.record_bytes());
        all.encode(vectors.get(), kRows, records.get(), 2);
        const QueryCode against(all, query.get());
        const Made made = made_by(against, std::move(records), kRows);
        for (std::size_t row = 0; row < kRows; ++row) {
            const std::uint8_t* record = made.records.get() + row * all.record_bytes();
            std::uint32_t centre;
            std::memcpy(&centre, record + all.record_bytes() - kCodeCentreBytes, sizeof centre);
            CHECK(centre < kCentres);
            const Quantizer own(dimension, bits, metric, centres.get() + centre * dimension, 3, level);
            auto alone = std::make_unique<std::uint8_t[]>(own.record_bytes());
            own.encode(vectors.get() + row * dimension, 1, alone.get(), 1);
            CHECK(std::memcmp(alone.get(), record, own.record_bytes()) == 0);
            const QueryCode against_own(own, query.get());
            const float estimate = against_own.estimate(alone.get());
            CHECK(estimate == made.estimates[row]);
            CHECK(against_own.lower_bound(alone.get(), estimate) == against.lower_bound(record, estimate));
            CHECK(against_own.upper_bound(alone.get(), estimate) == against.upper_bound(record, estimate));
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
    for (std::size_t dimension : {1, 20, 64, 200, 960}) {
        for (Metric metric : {Metric::kEuclidean, Metric::kCosine, Metric::kDotProduct}) {
            centres_agree(random, dimension, dimension < 100 ? 4 : 2, metric);
        }
    }
    every_shape_of_parts(random);
    one_direction_many_times(random);
    lanes_are_exact(random);
    long_directions_are_refused();
    extreme_values(random);
    basis_scans(random, 700);
    scans(random, 0, 5);
    scans(random, 1, 1);
    scans(random, 700, 20);
    scans(random, 9000, 960);  // enough for two threads
    return 0;
}
