#include "product_codes.h"

#include <algorithm>
#include <cmath>

#include "parallel.h"
#include "rotation.h"
#include "threads.h"

namespace lutra {

namespace {

constexpr std::size_t kSampleRows = 16384;
constexpr std::size_t kRounds = 8;
constexpr std::size_t kBlockRows = 64;

// distances[c] = |centroid c|^2 - 2 <vector, centroid c>, and the number of the smallest, the first of equals.
inline __attribute__((always_inline)) std::size_t nearest_centroid(const float* vector, std::size_t dimension,
                                                                    const float* centroids, const float* norms) {
    alignas(64) float distances[kProductCentroids];
    std::copy_n(norms, kProductCentroids, distances);
    for (std::size_t i = 0; i < dimension; ++i) {
        const float twice = 2 * vector[i];
        const float* row = centroids + i * kProductCentroids;
        for (std::size_t c = 0; c < kProductCentroids; ++c) distances[c] -= twice * row[c];
    }
    constexpr std::size_t kLanes = 16;
    float least[kLanes];
    std::copy_n(distances, kLanes, least);
    for (std::size_t c = kLanes; c < kProductCentroids; c += kLanes) {
        for (std::size_t i = 0; i < kLanes; ++i) least[i] = std::min(least[i], distances[c + i]);
    }
    const float smallest = *std::min_element(least, least + kLanes);
    return static_cast<std::size_t>(std::find(distances, distances + kProductCentroids - 1, smallest) - distances);
}

// For each of `count` vectors, `stride` floats apart, the number of its nearest centroid.
using Assign = void (*)(const float* vectors, std::size_t count, std::size_t stride, std::size_t dimension,
                        const float* centroids, const float* norms, std::uint8_t* numbers, std::size_t numbers_stride);

#define LUTRA_ASSIGN(name, attributes)                                                                             \
    attributes void name(const float* vectors, std::size_t count, std::size_t stride, std::size_t dimension,       \
                         const float* centroids, const float* norms, std::uint8_t* numbers,                        \
                         std::size_t numbers_stride) {                                                             \
        for (std::size_t row = 0; row < count; ++row) {                                                            \
            numbers[row * numbers_stride] = static_cast<std::uint8_t>(                                             \
                nearest_centroid(vectors + row * stride, dimension, centroids, norms));                            \
        }                                                                                                          \
    }

LUTRA_ASSIGN(assign_portable, )
#if defined(__x86_64__)
LUTRA_ASSIGN(assign_avx2, __attribute__((target("avx2"))))
LUTRA_ASSIGN(assign_avx512, __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,prefer-vector-width=512"))))
#endif

Assign assign(CodeLevel level) {
#if defined(__x86_64__)
    if (level == CodeLevel::kAvx512Vnni || level == CodeLevel::kAvx512) return assign_avx512;
    if (level == CodeLevel::kAvx2) return assign_avx2;
#else
    (void)level;
#endif
    return assign_portable;
}

void squared_norms(const float* centroids, std::size_t dimension, float* norms) {
    std::fill_n(norms, kProductCentroids, 0.0f);
    for (std::size_t i = 0; i < dimension; ++i) {
        for (std::size_t c = 0; c < kProductCentroids; ++c) {
            norms[c] += centroids[i * kProductCentroids + c] * centroids[i * kProductCentroids + c];
        }
    }
}

// A copy of the vector, of length 1 under cosine; one of length 0 stays.
void copy_vector(const float* vector, std::size_t dimension, Metric metric, float* out) {
    float scale = 1;
    if (metric == Metric::kCosine) {
        double squared = 0;
        for (std::size_t i = 0; i < dimension; ++i) squared += static_cast<double>(vector[i]) * vector[i];
        if (squared > 0) scale = static_cast<float>(1 / std::sqrt(squared));
    }
    for (std::size_t i = 0; i < dimension; ++i) out[i] = vector[i] * scale;
}

unsigned threads_or_all(unsigned threads) { return threads != 0 ? threads : processors(); }

}  // namespace

ProductQuantizer::ProductQuantizer(const float* vectors, std::size_t count, std::size_t dimension, std::size_t groups,
                                   Metric metric, std::uint64_t seed, unsigned threads, CodeLevel level)
    : dimension_(dimension),
      groups_(groups),
      metric_(metric),
      level_(level),
      centroids_(dimension * kProductCentroids) {
    if (count == 0) return;
    const std::size_t rows = std::min(count, kSampleRows);
    std::vector<float> sample(rows * dimension);
    for (std::size_t i = 0; i < rows; ++i) {  // one of each of `rows` equal stretches
        const std::size_t from = i * count / rows, width = (i + 1) * count / rows - from;
        copy_vector(vectors + (from + next_random(seed) % width) * dimension, dimension, metric,
                    sample.data() + i * dimension);
    }
    const std::uint64_t group_seed = next_random(seed);
    parallel_for(threads_or_all(threads), groups, 1, [&](unsigned, std::size_t first, std::size_t last) {
        for (std::size_t group = first; group < last; ++group) train(group, sample, group_seed + group);
    });
}

void ProductQuantizer::train(std::size_t group, const std::vector<float>& sample, std::uint64_t seed) {
    const std::size_t rows = sample.size() / dimension_;
    const std::size_t width = begin(group + 1) - begin(group);
    const float* vectors = sample.data() + begin(group);
    float* centroids = centroids_.data() + begin(group) * kProductCentroids;
    const auto place = [&](std::size_t centroid, std::size_t row) {
        for (std::size_t i = 0; i < width; ++i) {
            centroids[i * kProductCentroids + centroid] = vectors[row * dimension_ + i];
        }
    };
    for (std::size_t c = 0; c < kProductCentroids; ++c) place(c, next_random(seed) % rows);
    std::vector<std::uint8_t> numbers(rows);
    std::vector<float> norms(kProductCentroids);
    std::vector<double> sums(width * kProductCentroids);
    std::vector<std::size_t> members(kProductCentroids);
    for (std::size_t round = 0; round < kRounds; ++round) {
        squared_norms(centroids, width, norms.data());
        assign(level_)(vectors, rows, dimension_, width, centroids, norms.data(), numbers.data(), 1);
        std::fill(sums.begin(), sums.end(), 0.0);
        std::fill(members.begin(), members.end(), std::size_t{0});
        for (std::size_t row = 0; row < rows; ++row) {
            ++members[numbers[row]];
            for (std::size_t i = 0; i < width; ++i) {
                sums[i * kProductCentroids + numbers[row]] += vectors[row * dimension_ + i];
            }
        }
        for (std::size_t c = 0; c < kProductCentroids; ++c) {
            if (members[c] == 0) {
                place(c, next_random(seed) % rows);
                continue;
            }
            for (std::size_t i = 0; i < width; ++i) {
                const double mean = sums[i * kProductCentroids + c] / static_cast<double>(members[c]);
                centroids[i * kProductCentroids + c] = static_cast<float>(mean);
            }
        }
    }
}

void ProductQuantizer::encode(const float* vectors, std::size_t count, std::uint8_t* records, unsigned threads) const {
    std::vector<float> norms(groups_ * kProductCentroids);
    for (std::size_t group = 0; group < groups_; ++group) {
        squared_norms(centroids(group), begin(group + 1) - begin(group), norms.data() + group * kProductCentroids);
    }
    parallel_for(threads_or_all(threads), count, kBlockRows, [&](unsigned, std::size_t first, std::size_t last) {
        std::vector<float> rows((last - first) * dimension_);
        for (std::size_t row = first; row < last; ++row) {
            copy_vector(vectors + row * dimension_, dimension_, metric_, rows.data() + (row - first) * dimension_);
        }
        for (std::size_t group = 0; group < groups_; ++group) {
            assign(level_)(rows.data() + begin(group), last - first, dimension_, begin(group + 1) - begin(group),
                           centroids(group), norms.data() + group * kProductCentroids, records + first * groups_ + group,
                           groups_);
        }
    });
}

ProductQuery::ProductQuery(const ProductQuantizer& quantizer, const float* vector)
    : groups_(quantizer.groups_),
      offset_(quantizer.metric_ == Metric::kCosine ? 1.0f : 0.0f),
      tables_(groups_ * kProductCentroids) {
    std::vector<float> query(quantizer.dimension_);
    copy_vector(vector, quantizer.dimension_, quantizer.metric_, query.data());
    for (std::size_t group = 0; group < groups_; ++group) {
        float* table = tables_.data() + group * kProductCentroids;
        const float* centroid = quantizer.centroids(group);
        for (std::size_t i = quantizer.begin(group); i < quantizer.begin(group + 1); ++i) {
            for (std::size_t c = 0; c < kProductCentroids; ++c, ++centroid) {
                const float difference = query[i] - *centroid;
                table[c] += quantizer.metric_ == Metric::kEuclidean ? difference * difference : -query[i] * *centroid;
            }
        }
    }
}

float ProductQuery::estimate(const std::uint8_t* record) const {
    float sums[4] = {offset_, 0, 0, 0};  // four, so that an addition does not wait for the one before it
    const float* table = tables_.data();
    std::size_t group = 0;
    for (; group + 4 <= groups_; group += 4, table += 4 * kProductCentroids) {
        for (std::size_t i = 0; i < 4; ++i) sums[i] += table[i * kProductCentroids + record[group + i]];
    }
    for (; group < groups_; ++group, table += kProductCentroids) sums[0] += table[record[group]];
    return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

void ProductQuery::estimate_batch(const std::uint8_t* const* records, std::size_t count, float* out) const {
    for (std::size_t i = 0; i < count; ++i) out[i] = estimate(records[i]);
}

void ProductQuery::estimate_range(const std::uint8_t* records, std::size_t count, float* out) const {
    for (std::size_t i = 0; i < count; ++i) out[i] = estimate(records + i * groups_);
}

}  // namespace lutra
