#include "graph_space.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <new>

#include "int8_product.h"
#include "parallel.h"
#include "wide_distance.h"

namespace lutra {

namespace {

constexpr std::size_t kChunkRows = 256;  // of a pass over all rows
constexpr std::size_t kSampleRows = 2000;

// What makes a metric a squared Euclidean distance: x * scale(row), and one coordinate more. Of squares that leave
// float32, and of vectors most of which are too long or too short for its squares, more is said below.
class Lift {
  public:
    Lift(const GraphVectors& vectors, unsigned threads) : vectors_(vectors) {
        if (vectors.metric != Metric::kCosine) exponent_ = typical_exponent();
        if (vectors.metric == Metric::kEuclidean) return;
        norms_.resize(vectors.row_count);
        parallel_for(threads, vectors.row_count, kChunkRows, [&](unsigned, std::size_t begin, std::size_t end) {
            for (std::size_t row = begin; row < end; ++row) norms_[row] = squared_norm(row);
        });
        for (const float norm : norms_) norm_max_ = std::max(norm_max_, norm);
    }

    std::size_t dimension() const { return vectors_.dimension + (vectors_.metric == Metric::kDotProduct ? 1 : 0); }

    // Whether float32 does for the squared length of a row, under cosine and inner product.
    bool is_plain(std::size_t row) const { return is_ordinary(norms_[row]) || norms_[row] == 0; }

    double scale(std::size_t row) const {
        if (vectors_.metric != Metric::kCosine) return 1;
        if (is_ordinary(norms_[row])) return 1 / std::sqrt(norms_[row]);
        return norms_[row] > 0 ? 1 / std::sqrt(unpack_distance(norms_[row])) : 0;
    }

    // The coordinate added under inner product; 0 otherwise.
    float added(std::size_t row) const {
        if (vectors_.metric != Metric::kDotProduct) return 0;
        if (is_ordinary(norm_max_) && is_plain(row)) return std::sqrt(std::max(0.0f, norm_max_ - norms_[row]));
        const double squared = std::max(0.0, unpack_distance(norm_max_) - unpack_distance(norms_[row]));
        return static_cast<float>(std::min<double>(std::sqrt(squared), std::numeric_limits<float>::max()));
    }

    // Fills `lifted`, of dimension(), with what a power of two brings to where most squares stay within float32. What
    // is still too long for it may come out infinite.
    void apply(std::size_t row, float* lifted) const {
        const float* vector = vectors_.data + row * vectors_.dimension;
        if (exponent_ != 0 || (vectors_.metric == Metric::kCosine && !is_plain(row))) {
            const double scale_of_row = std::ldexp(scale(row), -exponent_);
            for (std::size_t i = 0; i < vectors_.dimension; ++i) {
                lifted[i] = static_cast<float>(vector[i] * scale_of_row);
            }
        } else {
            const auto scale_of_row = static_cast<float>(scale(row));
            for (std::size_t i = 0; i < vectors_.dimension; ++i) lifted[i] = vector[i] * scale_of_row;
        }
        if (vectors_.metric == Metric::kDotProduct) lifted[vectors_.dimension] = std::ldexp(added(row), -exponent_);
    }

    std::size_t size_bytes() const { return norms_.size() * sizeof(float); }

  private:
    static constexpr int kPlainExponent = 40;

    // By the portable kernel, so that what is made of it is the same at every level; packed.
    float squared_norm(std::size_t row) const {
        const float* vector = vectors_.data + row * vectors_.dimension;
        const float squared = squared_length(vector, vectors_.dimension, SimdLevel::kPortable);
        if (is_ordinary(squared) || is_zero_vector(vector, vectors_.dimension)) return squared;
        return pack_distance(wide_sums(vector, vector, vectors_.dimension).product);
    }

    // Of the largest elements of a sample of rows, all zeros left aside: 0 where it is no extreme one.
    int typical_exponent() const {
        const std::size_t sample = std::min(vectors_.row_count, kSampleRows);
        std::vector<float> largest;
        for (std::size_t i = 0; i < sample; ++i) {
            const float* vector = vectors_.data + i * vectors_.row_count / sample * vectors_.dimension;
            float most = 0;
            for (std::size_t j = 0; j < vectors_.dimension; ++j) most = std::max(most, std::abs(vector[j]));
            if (most > 0) largest.push_back(most);
        }
        if (largest.empty()) return 0;
        const auto middle = largest.begin() + static_cast<std::ptrdiff_t>(largest.size() / 2);
        std::nth_element(largest.begin(), middle, largest.end());
        const int exponent = std::ilogb(*middle);
        return std::abs(exponent) <= kPlainExponent ? 0 : exponent;
    }

    GraphVectors vectors_;
    int exponent_ = 0;
    std::vector<float> norms_;  // squared, packed (distance_range.h)
    float norm_max_ = 0;
};

class Float32Space final : public RowSpace {
  public:
    Float32Space(const GraphVectors& vectors, SimdLevel level, unsigned threads)
        : RowSpace(vectors.row_count), vectors_(vectors), lift_(vectors, threads), kernels_(kernels(level)) {
        if (vectors.metric == Metric::kEuclidean) return;
        extra_.resize(vectors.row_count);
        for (std::size_t row = 0; row < vectors.row_count; ++row) {
            extra_[row] = vectors.metric == Metric::kDotProduct ? lift_.added(row)
                          : lift_.is_plain(row)                  ? static_cast<float>(lift_.scale(row))
                                                                 : -1;
        }
    }

    void load(std::uint32_t row, Probe& probe) const override { probe.row = row; }

    void distances(const Probe& probe, const std::uint32_t* rows, std::size_t count, float* distances) const override {
        const TileKernel kernel =
            vectors_.metric == Metric::kCosine ? kernels_.products[0] : kernels_.squared_differences[0];
        const float* query = vector(probe.row);
        for (std::size_t i = 0; i < count; i += kTileRows) {
            const float* tile[kTileRows];
            float sums[kTileRows];
            for (std::size_t t = 0; t < kTileRows; ++t) tile[t] = vector(rows[std::min(i + t, count - 1)]);
            kernel(tile, &query, vectors_.dimension, sums, nullptr);
            for (std::size_t t = 0; t < kTileRows && i + t < count; ++t) {
                distances[i + t] = finish(sums[t], probe.row, rows[i + t]);
            }
        }
    }

    void prefetch(std::span<const std::uint32_t> rows) const override {
        const std::size_t size = std::min<std::size_t>(vectors_.dimension * sizeof(float), 1024);
        for (const std::uint32_t row : rows) {
            const auto* begin = reinterpret_cast<const char*>(vector(row));
            for (std::size_t at = 0; at < size; at += 64) __builtin_prefetch(begin + at);
        }
    }

    Precision precision() const override { return Precision::kFloat32; }
    std::size_t size_bytes() const override { return lift_.size_bytes() + extra_.size() * sizeof(float); }

  private:
    const float* vector(std::uint32_t row) const { return vectors_.data + std::size_t{row} * vectors_.dimension; }

    float finish(float sum, std::uint32_t a, std::uint32_t b) const {
        if (vectors_.metric == Metric::kCosine) return cosine(sum, a, b);
        if (vectors_.metric == Metric::kEuclidean) {
            return is_ordinary(sum) ? sum : wide_distance(vector(a), vector(b), vectors_.dimension, vectors_.metric);
        }
        const float difference = extra_[a] - extra_[b];
        const float distance = sum + difference * difference;
        if (is_ordinary(distance)) return distance;
        const double wide = static_cast<double>(extra_[a]) - extra_[b];
        return pack_distance(wide_sums(vector(a), vector(b), vectors_.dimension).squared_difference + wide * wide);
    }

    float cosine(float sum, std::uint32_t a, std::uint32_t b) const {
        const float lengths = (extra_[a] != 0 ? 1.0f : 0.0f) + (extra_[b] != 0 ? 1.0f : 0.0f);
        if (extra_[a] >= 0 && extra_[b] >= 0) return std::max(0.0f, lengths - 2 * sum * extra_[a] * extra_[b]);
        const float cosine = 1 - wide_distance(vector(a), vector(b), vectors_.dimension, Metric::kCosine);
        return std::max(0.0f, lengths - 2 * cosine);
    }

    GraphVectors vectors_;
    Lift lift_;
    const Kernels& kernels_;
    // Cosine: 1 / length, or -1 where the squared length leaves float32; inner product: the coordinate added.
    std::vector<float> extra_;
};

// Codes are round((x - mean) / step) + 128, stored as bytes: one range for all dimensions, so that their squared
// differences add up to a squared distance.
class Int8Space final : public RowSpace {
  public:
    Int8Space(const GraphVectors& vectors, SimdLevel level, unsigned threads)
        : RowSpace(vectors.row_count), lift_(vectors, threads), basis_(vectors.basis), products_(byte_products(level)) {
        stride_ = (coded_dimension() + kByteLanes - 1) / kByteLanes * kByteLanes;
        const std::size_t size = std::max<std::size_t>(1, stride_ * vectors.row_count);
        ones_.assign(stride_, 1);
        codes_.reset(static_cast<std::uint8_t*>(std::aligned_alloc(kByteLanes, (size + 63) / 64 * 64)));
        if (!codes_) throw std::bad_alloc();
        norms_.resize(vectors.row_count);
        fit();
        parallel_for(threads, vectors.row_count, kChunkRows, [&](unsigned, std::size_t begin, std::size_t end) {
            Scratch scratch;
            for (std::size_t row = begin; row < end; ++row) encode(row, scratch);
        });
    }

    void load(std::uint32_t row, Probe& probe) const override {
        probe.row = row;
        probe.norm = norms_[row];
        probe.codes.resize(stride_);
        const std::uint8_t* codes = code(row);
        std::int8_t* values = probe.codes.data();
        for (std::size_t i = 0; i < stride_; ++i) values[i] = static_cast<std::int8_t>(codes[i] ^ 0x80);
        const std::uint8_t* tile[kByteTileRows];
        std::int32_t sums[kByteTileRows];
        std::fill_n(tile, kByteTileRows, ones_.data());
        products_(tile, values, stride_, sums);
        probe.sum = sums[0];
    }

    void distances(const Probe& probe, const std::uint32_t* rows, std::size_t count, float* distances) const override {
        const std::int32_t shift = 128 * probe.sum;
        for (std::size_t i = 0; i < count; i += kByteTileRows) {
            const std::uint8_t* tile[kByteTileRows];
            std::int32_t sums[kByteTileRows];
            for (std::size_t t = 0; t < kByteTileRows; ++t) tile[t] = code(rows[std::min(i + t, count - 1)]);
            products_(tile, probe.codes.data(), stride_, sums);
            for (std::size_t t = 0; t < kByteTileRows && i + t < count; ++t) {
                // Whole numbers below 2^29: the sum is exact in double, and one rounding makes it a float.
                const double norms = static_cast<double>(probe.norm) + static_cast<double>(norms_[rows[i + t]]);
                distances[i + t] = static_cast<float>(norms - 2.0 * (sums[t] - shift));
            }
        }
    }

    void prefetch(std::span<const std::uint32_t> rows) const override {
        for (const std::uint32_t row : rows) {
            const std::uint8_t* begin = code(row);
            for (std::size_t at = 0; at < stride_; at += 64) __builtin_prefetch(begin + at);
        }
    }

    Precision precision() const override { return Precision::kInt8; }
    std::size_t size_bytes() const override {
        return lift_.size_bytes() + row_count() * (stride_ + sizeof(std::int32_t));
    }

  private:
    struct Free {
        void operator()(std::uint8_t* p) const { std::free(p); }
    };

    static constexpr double kInsideShare = 0.9999;  // of a sample's elements that the range holds
    // Of residuals that a basis projects, by their squared lengths; others count as the mean.
    static constexpr double kSquaredMin = 1e-36;
    static constexpr double kSquaredMax = 1e36;

    // A row with a larger one says nothing about the mean.
    static constexpr float kElementMax = 1e18f;

    static float largest(const float* values, std::size_t size) {
        float most = 0;
        for (std::size_t i = 0; i < size; ++i) most = std::max(most, std::abs(values[i]));
        return most;
    }

    // What is not a number, after an overflow of float32, is an end of the range too.
    static float inside(float steps) { return steps > 127 ? 127.0f : steps > -127 ? steps : -127.0f; }

    std::uint8_t* code(std::uint32_t row) const { return codes_.get() + std::size_t{row} * stride_; }

    struct Scratch {
        // Room for the dimension added under inner products, and for the zeros a basis wants behind a vector.
        alignas(64) float lifted[kPaddedDimensionMax + kByteLanes] = {};
        alignas(64) float projected[kPaddedDimensionMax];
    };

    std::size_t coded_dimension() const { return basis_ != nullptr ? basis_->size() : lift_.dimension(); }

    // The row less the mean, along the basis where there is one: [coded_dimension], until the next call.
    const float* residual(std::size_t row, Scratch& scratch) const {
        lift_.apply(row, scratch.lifted);
        double squared = 0;
        for (std::size_t i = 0; i < mean_.size(); ++i) {
            scratch.lifted[i] -= mean_[i];
            squared += static_cast<double>(scratch.lifted[i]) * scratch.lifted[i];
        }
        if (basis_ == nullptr) return scratch.lifted;
        if (squared >= kSquaredMin && squared <= kSquaredMax) {
            const auto length = static_cast<float>(std::sqrt(squared));
            basis_->project(scratch.lifted, length, best_level_, scratch.projected);
        } else {
            std::fill_n(scratch.projected, basis_->size(), 0.0f);
        }
        return scratch.projected;
    }

    // Mean of each dimension and the range of what is left, from a sample of rows evenly apart.
    void fit() {
        const std::size_t dimension = lift_.dimension();
        const std::size_t sample = std::min(row_count(), kSampleRows);
        mean_.assign(dimension, 0);
        if (sample == 0) return;
        Scratch scratch;
        std::vector<double> totals(dimension, 0.0);
        std::size_t counted = 0;
        for (std::size_t i = 0; i < sample; ++i) {
            lift_.apply(i * row_count() / sample, scratch.lifted);
            if (!(largest(scratch.lifted, dimension) <= kElementMax)) continue;
            ++counted;
            for (std::size_t j = 0; j < dimension; ++j) totals[j] += scratch.lifted[j];
        }
        for (std::size_t j = 0; counted > 0 && j < dimension; ++j) {
            mean_[j] = static_cast<float>(totals[j] / static_cast<double>(counted));
        }
        std::vector<float> sizes;
        for (std::size_t i = 0; i < sample; ++i) {
            const float* elements = residual(i * row_count() / sample, scratch);
            for (std::size_t j = 0; j < coded_dimension(); ++j) sizes.push_back(std::abs(elements[j]));
        }
        const auto inside = static_cast<std::ptrdiff_t>(kInsideShare * static_cast<double>(sizes.size() - 1));
        std::nth_element(sizes.begin(), sizes.begin() + inside, sizes.end());
        const float range = sizes[static_cast<std::size_t>(inside)];
        steps_per_unit_ = range > 0 ? 127 / range : 0;
    }

    void encode(std::size_t row, Scratch& scratch) {
        const float* elements = residual(row, scratch);
        std::uint8_t* codes = code(static_cast<std::uint32_t>(row));
        std::int32_t norm = 0;
        for (std::size_t i = 0; i < stride_; ++i) {
            int value = 0;
            if (i < coded_dimension()) {
                const float steps = elements[i] * steps_per_unit_;
                value = static_cast<int>(std::nearbyint(inside(steps)));
            }
            codes[i] = static_cast<std::uint8_t>(value + 128);
            norm += value * value;
        }
        norms_[row] = norm;
    }

    Lift lift_;
    const CodeBasis* basis_;
    const CodeLevel best_level_ = code_levels().front();  // all give the same
    ByteProducts products_;
    std::size_t stride_ = 0;
    std::vector<std::uint8_t> ones_;  // [stride_], whose product with codes is their sum
    std::vector<float> mean_;
    float steps_per_unit_ = 0;
    std::unique_ptr<std::uint8_t[], Free> codes_;  // [row_count, stride_]
    std::vector<std::int32_t> norms_;              // squared, of the codes
};

}  // namespace

std::unique_ptr<RowSpace> float32_space(const GraphVectors& vectors, SimdLevel level, unsigned threads) {
    return std::make_unique<Float32Space>(vectors, level, threads);
}

std::unique_ptr<RowSpace> int8_space(const GraphVectors& vectors, SimdLevel level, unsigned threads) {
    return std::make_unique<Int8Space>(vectors, level, threads);
}

double agreement(const RowSpace& coarse, const RowSpace& exact, unsigned threads) {
    constexpr std::size_t kProbes = 32, kSample = 50'000, kNearest = 10;
    const std::size_t rows = exact.row_count();
    if (rows < 100) return 1;
    const std::size_t sample = std::min(rows, kSample);
    std::vector<std::uint32_t> others(sample);
    for (std::size_t i = 0; i < sample; ++i) others[i] = static_cast<std::uint32_t>(i * rows / sample);
    std::vector<std::size_t> shared(kProbes);
    parallel_for(threads, kProbes, 1, [&](unsigned, std::size_t p, std::size_t) {
        std::vector<float> near(sample), by_coarse(sample);
        std::vector<std::uint32_t> order(sample);
        Probe probe;
        const auto row = static_cast<std::uint32_t>(p * rows / kProbes);
        exact.load(row, probe);
        exact.distances(probe, others.data(), sample, near.data());
        coarse.load(row, probe);
        coarse.distances(probe, others.data(), sample, by_coarse.data());
        for (std::size_t i = 0; i < sample; ++i) order[i] = static_cast<std::uint32_t>(i);
        std::nth_element(order.begin(), order.begin() + kNearest, order.end(), [&](std::uint32_t a, std::uint32_t b) {
            return by_coarse[a] != by_coarse[b] ? by_coarse[a] < by_coarse[b] : a < b;
        });
        std::vector<float> sorted = near;
        std::nth_element(sorted.begin(), sorted.begin() + kNearest, sorted.end());
        // Distances rounded by float32 alone count as equal.
        const float limit = sorted[kNearest] * 1.00001f;
        for (std::size_t i = 0; i < kNearest; ++i) shared[p] += near[order[i]] <= limit ? 1 : 0;
    });
    std::size_t total = 0;
    for (const std::size_t count : shared) total += count;
    return static_cast<double>(total) / static_cast<double>(kProbes * kNearest);
}

}  // namespace lutra
