#include "codes.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "threads.h"

namespace lutra {

static_assert(std::endian::native == std::endian::little, "records are little-endian");

namespace {

// Longer residuals and queries (to float32, whose squares overflow soon after) count as infinitely far.
constexpr float kLengthMax = 1e18f;
constexpr float kLengthMin = 1e-18f;  // shorter residuals count as 0
constexpr std::size_t kBlockRows = 64;

static_assert(sizeof(CodeFactors) == kCodeFactorBytes);

std::uint32_t ratio_bits(float ratio) {
    if (!(ratio > 0)) return 0;
    constexpr std::uint32_t kRoundUp = (1u << CodeFactors::kRatioShift) - 1;
    const std::uint32_t up = (std::bit_cast<std::uint32_t>(ratio) + kRoundUp) >> CodeFactors::kRatioShift;
    return up <= CodeFactors::kRatioLeast ? 1 : std::min(up - CodeFactors::kRatioLeast, 255u);
}

// Records to prefetch before the one looked at: about 2 KB of them.
std::size_t records_ahead(std::size_t record_bytes) { return std::max<std::size_t>(2048 / record_bytes, kCodeTile); }

void prefetch(const std::uint8_t* record, std::size_t bytes) {
    for (std::size_t at = 0; at < bytes; at += 64) __builtin_prefetch(record + at);
    __builtin_prefetch(record + bytes - 1);
}

}  // namespace

CodeFactors pack_factors(float norm, float scale, float ratio) {
    const std::uint32_t rounded = (std::bit_cast<std::uint32_t>(scale) + 0x80u) & ~0xffu;
    return {norm, rounded | ratio_bits(ratio)};
}

Quantizer::Quantizer(std::size_t dimension, unsigned bits, Metric metric, const float* centroid, std::uint64_t seed,
                     CodeLevel level)
    : dimension_(dimension),
      bits_(bits),
      metric_(metric),
      level_(level),
      rotation_(dimension, seed),
      centroid_(aligned_array<float>(rotation_.size())) {
    std::fill_n(centroid_.get(), padded_dimension(), 0.0f);
    if (centroid != nullptr) std::copy_n(centroid, dimension, centroid_.get());
}

SquaredLengths Quantizer::prepare(const float* vector, bool centred, float* rotated) const {
    const Preparation how{dimension_, metric_ == Metric::kCosine, centred ? centroid_.get() : nullptr, rotation_};
    return code_arithmetic(level_).prepare(how, vector, rotated);
}

void Quantizer::encode_row(const float* vector, std::uint8_t* record, float* rotated) const {
    const SquaredLengths squared = prepare(vector, true, rotated);
    CodeFactors factors{0, 0};
    if (squared.rotated >= kLengthMin * kLengthMin && squared.rotated <= kLengthMax * kLengthMax) {
        const float norm = std::sqrt(squared.rotated);
        const Fit fit = code_arithmetic(level_).encode(rotated, padded_dimension(), bits_, norm, record);
        const double lengths = std::sqrt(static_cast<double>(fit.squared) * squared.rotated);
        const double cosine = fit.product / lengths;
        const double ratio = std::sqrt(std::max(0.0, 1 / (cosine * cosine) - 1));
        factors = pack_factors(norm, squared.rotated / fit.product, static_cast<float>(ratio));
    } else {
        std::memset(record, 0, code_bytes());
        if (!(squared.rotated < kLengthMin * kLengthMin)) factors.norm = kLengthMax;
    }
    if (metric_ == Metric::kCosine && squared.vector == 0) {
        // Its cosine to any query is to be 0: with |r|^2 + 1 in place of |r|^2 the estimate is of exactly that.
        const float longer = std::min(std::sqrt(squared.rotated + 1), kLengthMax);
        factors = pack_factors(longer, factors.scale(), factors.ratio() * factors.norm / longer);
    }
    std::memcpy(record + code_bytes(), &factors, sizeof factors);
}

void Quantizer::encode(const float* vectors, std::size_t count, std::uint8_t* records, unsigned threads) const {
    const std::size_t blocks = count / kBlockRows + 1;
    const auto most = static_cast<unsigned>(std::min<std::size_t>(threads != 0 ? threads : processors(), blocks));
    const auto rotated = aligned_array<float>(padded_dimension() * most);
    in_blocks(count, kBlockRows, most, [&](unsigned thread, std::size_t begin, std::size_t end) {
        for (std::size_t row = begin; row < end; ++row) {
            encode_row(vectors + row * dimension_, records + row * record_bytes(),
                       rotated.get() + thread * padded_dimension());
        }
    });
}

QueryCode::QueryCode(const Quantizer& quantizer, const float* vector, float bound_sigmas)
    : metric_(quantizer.metric()),
      shape_(code_shape(quantizer.code_bytes())),
      products_(code_products(quantizer.level(), quantizer.bits())),
      code_bytes_(quantizer.code_bytes()),
      query_(aligned_array<std::int8_t>(query_elements(shape_, quantizer.bits()))) {
    const std::size_t size = quantizer.padded_dimension();
    const auto rotated = aligned_array<float>(size);
    const auto rounded = aligned_array<std::int8_t>(size);
    std::fill_n(query_.get(), query_elements(shape_, quantizer.bits()), std::int8_t{0});
    const bool centred = metric_ != Metric::kDotProduct;
    const auto [vector_squared, squared] = quantizer.prepare(vector, centred, rotated.get());
    if (metric_ == Metric::kCosine && vector_squared == 0) {  // its cosine to every vector is 0
        offset_ = 1;
        return;
    }
    if (!(squared <= kLengthMax * kLengthMax)) {
        offset_ = std::numeric_limits<float>::max();
        return;
    }
    length_ = std::sqrt(squared);
    norm_weight_ = metric_ == Metric::kEuclidean ? 1 : metric_ == Metric::kCosine ? 0.5f : 0;
    if (centred) {
        offset_ = norm_weight_ * squared;
    } else {
        double centroid_product = 0;
        for (std::size_t i = 0; i < quantizer.dimension(); ++i) {
            centroid_product += static_cast<double>(vector[i]) * quantizer.centroid_[i];
        }
        offset_ = static_cast<float>(-centroid_product);
    }
    code_error_weight_ = bound_sigmas / std::sqrt(static_cast<float>(size - 1));
    if (squared < kLengthMin * kLengthMin) return;

    float most = 0;
    for (std::size_t i = 0; i < size; ++i) most = std::max(most, std::abs(rotated[i]));
    const float step = most / 127;
    const RoundedQuery found = code_arithmetic(quantizer.level()).round(rotated.get(), size, step, rounded.get());
    arrange_query(rounded.get(), shape_, quantizer.bits(), query_.get());
    const float weight = metric_ == Metric::kEuclidean ? -2.0f : -1.0f;
    sum_weight_ = weight * 2 * step;
    sum_offset_ = -weight * step * static_cast<float>((1 << quantizer.bits()) - 1) * static_cast<float>(found.sum);
    // The scale t is kept to a relative 2^-17 and the sums to about 2^-20.
    query_error_weight_ = bound_sigmas * std::sqrt(found.squared_error / static_cast<float>(size)) + length_ * 0x1p-16f;
    loose_code_weight_ = -weight * code_error_weight_ * length_;
    loose_query_weight_ = -weight * query_error_weight_;
}

float QueryCode::finish(const std::uint8_t* record, std::int32_t sum) const {
    const CodeFactors factors = factors_of(record);
    return norm_weight_ * factors.norm * factors.norm + offset_ +
           factors.scale() * (sum_weight_ * static_cast<float>(sum) + sum_offset_);
}

float QueryCode::estimate(const std::uint8_t* record) const {
    return finish(record, products_.one(record, query_.get(), shape_));
}

void QueryCode::estimate_tile(const std::uint8_t* const (&records)[kCodeTile], float* out) const {
    std::int32_t sums[kCodeTile];
    products_.tile(records, query_.get(), shape_, sums);
    for (std::size_t i = 0; i < kCodeTile; ++i) out[i] = finish(records[i], sums[i]);
}

void QueryCode::estimate_batch(const std::uint8_t* const* records, std::size_t count, float* out) const {
    const std::size_t ahead = records_ahead(record_bytes());
    for (std::size_t i = 0; i < std::min(ahead, count); ++i) prefetch(records[i], record_bytes());
    std::size_t i = 0;
    for (; i + kCodeTile <= count; i += kCodeTile) {
        for (std::size_t next = i + ahead; next < std::min(i + ahead + kCodeTile, count); ++next) {
            prefetch(records[next], record_bytes());
        }
        estimate_tile({records[i], records[i + 1], records[i + 2], records[i + 3]}, out + i);
    }
    for (; i < count; ++i) out[i] = estimate(records[i]);
}

void QueryCode::estimate_range(const std::uint8_t* records, std::size_t count, float* out) const {
    const std::size_t bytes = record_bytes();
    std::size_t i = 0;
    for (; i + kCodeTile <= count; i += kCodeTile, records += kCodeTile * bytes) {
        estimate_tile({records, records + bytes, records + 2 * bytes, records + 3 * bytes}, out + i);
    }
    for (; i < count; ++i, records += bytes) out[i] = estimate(records);
}

QueryCode::Errors QueryCode::errors(const std::uint8_t* record) const {
    const CodeFactors factors = factors_of(record);
    const float ratio = factors.ratio();
    return {factors.norm * ratio * code_error_weight_, factors.norm * (1 + ratio) * query_error_weight_};
}

// With x the squared distance and E the error of <r, q>: the estimate is x - 2 E, and |E| <= code sqrt(x) + query as
// well as |E| <= code length + query. The first, solved for sqrt(x), is the sharper one near the query.
float QueryCode::lower_bound(const std::uint8_t* record, float estimate) const {
    const Errors error = errors(record);
    if (metric_ == Metric::kDotProduct) return estimate - error.code * length_ - error.query;
    const float scale = metric_ == Metric::kCosine ? 2.0f : 1.0f;
    const float least = scale * estimate - 2 * error.query;
    const float root = std::sqrt(std::max(0.0f, least + error.code * error.code)) - error.code;
    return std::max(root > 0 ? root * root : 0.0f, least - 2 * error.code * length_) / scale;
}

float QueryCode::upper_bound(const std::uint8_t* record, float estimate) const {
    const Errors error = errors(record);
    if (metric_ == Metric::kDotProduct) return estimate + error.code * length_ + error.query;
    const float scale = metric_ == Metric::kCosine ? 2.0f : 1.0f;
    const float most = scale * estimate + 2 * error.query;
    const float root = std::sqrt(std::max(0.0f, most + error.code * error.code)) + error.code;
    return std::min(root * root, std::max(0.0f, most + 2 * error.code * length_)) / scale;
}

}  // namespace lutra
