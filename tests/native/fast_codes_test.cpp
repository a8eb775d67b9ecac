// Fast codes without Python: scans are the same to the bit at every SIMD level as by plain sums, of blocks that end where
// what may be read ends; and estimates are about the distances.
#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "check.h"
#include "fast_codes.h"
#include "guarded.h"
#include "list_build.h"

namespace {

using namespace lutra;

constexpr std::size_t kDimension = 64;
constexpr std::size_t kRows = 700;
constexpr std::size_t kGroups = 32;

FastTables random_tables(std::mt19937& random, std::size_t columns) {
    FastTables tables;
    std::memset(&tables, 0xff, sizeof tables);
    tables.columns = columns;
    tables.step = 0.013f;
    tables.row_step = 0.0007f;
    for (std::size_t column = 0; column < columns; ++column) {
        for (std::size_t n = 0; n < kFastCentres; ++n) {
            tables.low[column][n] = static_cast<std::uint8_t>(random() % 128);
            tables.high[column][n] = static_cast<std::uint8_t>(column % 3 == 0 ? 127 : random() % 128);
        }
    }
    return tables;
}

// Of the header's description, one row after the other.
void scans_are_plain_sums(std::mt19937& random, std::size_t columns, std::size_t count) {
    const std::size_t block_bytes = columns * kFastRows + 2 * kFastRows;
    const Guarded blocks(count * block_bytes);
    for (std::size_t i = 0; i < count * block_bytes; ++i) blocks.get()[i] = static_cast<std::uint8_t>(random());
    std::int16_t unknown = kFastUnknown;
    if (count > 0) std::memcpy(blocks.get() + columns * kFastRows + 10, &unknown, sizeof unknown);
    const FastTables tables = random_tables(random, columns);
    const float limit = 0.013f * 64 * static_cast<float>(columns) * 2;
    for (const CodeLevel level : code_levels()) {
        const Guarded estimates(count * kFastRows * sizeof(float)), within(count * sizeof(std::uint16_t));
        auto* of_rows = reinterpret_cast<float*>(estimates.get());
        auto* near = reinterpret_cast<std::uint16_t*>(within.get());
        fast_scan(level)(blocks.get(), count, tables, limit, of_rows, near);
        for (std::size_t row = 0; row < count * kFastRows; ++row) {
            const std::uint8_t* block = blocks.get() + row / kFastRows * block_bytes;
            int sum = 0;
            for (std::size_t column = 0; column < columns; ++column) {
                const std::uint8_t code = block[column * kFastRows + row % kFastRows];
                sum += tables.low[column][code % 16] + tables.high[column][code / 16];
            }
            std::int16_t own;
            std::memcpy(&own, block + columns * kFastRows + row % kFastRows * 2, sizeof own);
            const float by_tables = tables.step * static_cast<float>(sum), by_row = tables.row_step * static_cast<float>(own);
            CHECK(of_rows[row] == by_tables + by_row);
            const bool is_near = (near[row / kFastRows] >> row % kFastRows & 1) != 0;
            CHECK(is_near == (of_rows[row] <= limit || own == kFastUnknown));
        }
    }
}

struct Coded {
    Coded(std::vector<float> given, Metric metric)
        : quantizer(kDimension, 2, metric, nullptr, 1),
          built(build_lists(given.data(), given.size() / kDimension, quantizer, {30, 2, simd_levels().front()},
                            [](std::size_t, std::size_t) {})),
          lists(quantizer, built.offsets, built.centroids.data(), built.step, built.radii.data(), built.spreads.data()) {
        for (const std::uint32_t row : built.order) {
            const float* vector = given.data() + row * kDimension;
            vectors.insert(vectors.end(), vector, vector + kDimension);
        }
        // Each element a direction, with 4 x 4 centres along two of them.
        directions.resize(2 * kGroups * kDimension);
        for (std::size_t i = 0; i < 2 * kGroups; ++i) directions[i * kDimension + i] = 1;
        for (std::size_t g = 0; g < kGroups; ++g) {
            for (int n = 0; n < 16; ++n) {
                centres.push_back(static_cast<float>(n % 4) * 0.8f - 1.2f);
                centres.push_back(static_cast<float>(n / 4) * 0.8f - 1.2f);
            }
        }
    }

    Quantizer quantizer;
    BuiltLists built;
    Lists lists;
    std::vector<float> vectors, directions, centres;
};

std::vector<float> random_vectors(std::mt19937& random, std::size_t rows) {
    std::normal_distribution<float> normal;
    std::vector<float> vectors(rows * kDimension);
    for (float& element : vectors) element = normal(random);
    return vectors;
}

void estimates_are_about_distances(std::mt19937& random) {
    const Coded of(random_vectors(random, kRows), Metric::kEuclidean);
    const FastCodes codes(of.lists, kGroups, of.directions.data(), of.centres.data(), 0.01f, 20);
    std::vector<std::uint8_t> blocks((kRows + 15) / 16 * codes.block_bytes()), again(blocks.size());
    codes.encode(of.vectors.data(), 0, kRows, blocks.data(), 3);
    for (const CodeLevel level : code_levels()) {
        const FastCodes other(of.lists, kGroups, of.directions.data(), of.centres.data(), 0.01f, 20, level);
        other.encode(of.vectors.data(), 0, 320, again.data(), 1);
        other.encode(of.vectors.data() + 320 * kDimension, 320, kRows - 320, again.data() + 20 * codes.block_bytes(), 2);
        CHECK(again == blocks);
    }
    const std::vector<float> query = random_vectors(random, 1);
    ListRanking ranking;
    ranking.rank(of.lists, query.data());
    CHECK(ranking.is_squared());
    FastTables tables;
    const float offset = codes.prepare(ranking.placed(), tables);
    std::vector<float> estimates(blocks.size() / codes.block_bytes() * kFastRows);
    std::vector<std::uint16_t> within(blocks.size() / codes.block_bytes());
    codes.scan()(blocks.data(), within.size(), tables, 0, estimates.data(), within.data());
    double off = 0, squared_off = 0;
    for (std::size_t row = 0; row < kRows; ++row) {
        double squared = 0;
        for (std::size_t i = 0; i < kDimension; ++i) {
            const double apart = of.vectors[row * kDimension + i] - query[i];
            squared += apart * apart;
        }
        const double error = estimates[row] + offset + ranking.squared(of.lists.of_row(row)) - squared;
        off += error / kRows;
        squared_off += error * error / kRows;
    }
    // Of distances of 128 and a spread of 22; these centres are not the means of what is coded as them.
    CHECK(std::abs(off) < 9 && std::sqrt(squared_off) < 14);
}

// What leaves float32 is coded as unknown, or as something, without a trap.
void any_lengths_are_coded(std::mt19937& random) {
    std::vector<float> vectors = random_vectors(random, 100);
    for (std::size_t i = 0; i < kDimension; ++i) {
        vectors[i] = 1e30f;
        vectors[kDimension + i] = 1e-30f;
        vectors[2 * kDimension + i] = 0;
    }
    for (const Metric metric : {Metric::kEuclidean, Metric::kCosine}) {
        const Coded of(vectors, metric);
        const FastCodes codes(of.lists, kGroups, of.directions.data(), of.centres.data(), 1e-5f, 0.1f);
        std::vector<std::uint8_t> blocks(7 * codes.block_bytes());
        codes.encode(of.vectors.data(), 0, 100, blocks.data(), 1);
        ListRanking ranking;
        FastTables tables;
        ranking.rank(of.lists, vectors.data());
        codes.prepare(ranking.placed(), tables);
        CHECK(tables.columns == kGroups / 2);
    }
}

}  // namespace

int main() {
    std::mt19937 random(11);
    for (const std::size_t columns : {4, 16, 64}) {
        for (const std::size_t count : {0, 1, 2, 7}) scans_are_plain_sums(random, columns, count);
    }
    estimates_are_about_distances(random);
    any_lengths_are_coded(random);
}
