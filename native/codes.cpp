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

// Sixteen lanes whatever the SIMD level, so that sums are taken in the same order at each.
constexpr std::size_t kWide = 16;
typedef float Wide __attribute__((vector_size(kWide * 4), may_alias));
typedef std::int32_t WideInt __attribute__((vector_size(kWide * 4), may_alias));
typedef std::uint8_t WideByte __attribute__((vector_size(kWide), may_alias));
#define LUTRA_INLINE inline __attribute__((always_inline))

LUTRA_INLINE float total(const Wide& lanes) {
    float sums[kWide];
    std::memcpy(sums, &lanes, sizeof sums);
    for (std::size_t width = kWide / 2; width > 0; width /= 2) {
        for (std::size_t i = 0; i < width; ++i) sums[i] += sums[i + width];
    }
    return sums[0];
}

LUTRA_INLINE float product(const float* a, const float* b, std::size_t size) {
    const Wide* x = reinterpret_cast<const Wide*>(a);
    const Wide* y = reinterpret_cast<const Wide*>(b);
    Wide sum[2] = {};
    for (std::size_t i = 0; i < size / kWide; i += 2) {
        sum[0] += x[i] * y[i];
        sum[1] += x[i + 1] * y[i + 1];
    }
    return total(sum[0] + sum[1]);
}

struct Preparation {
    std::size_t dimension;
    bool normalise;
    const float* centroid;  // [padded dimension], 64-byte aligned; nullptr: nothing is taken away
    const Rotation& rotation;
};

template <int lanes>
LUTRA_INLINE float prepare_with(const Preparation& how, const float* vector, float* rotated) {
    const std::size_t size = how.rotation.size();
    std::memcpy(rotated, vector, how.dimension * sizeof(float));
    std::fill(rotated + how.dimension, rotated + size, 0.0f);
    const float squared = product(rotated, rotated, size);
    Wide* x = reinterpret_cast<Wide*>(rotated);
    if (how.normalise && squared > 0) {
        const float scale = 1 / std::sqrt(squared);
        for (std::size_t i = 0; i < size / kWide; ++i) x[i] *= scale;
    }
    if (how.centroid != nullptr) {
        const Wide* centroid = reinterpret_cast<const Wide*>(how.centroid);
        for (std::size_t i = 0; i < size / kWide; ++i) x[i] -= centroid[i];
    }
    how.rotation.apply<lanes>(rotated);
    return squared;
}

// The number of level m = 0, 1, … on its side of zero that a step gives each |r|: the code is 2 m + 1 there.
LUTRA_INLINE void find_side_levels(const Wide& size, float inverse_step, std::int32_t most, WideInt& level) {
    level = __builtin_convertvector(size * inverse_step, WideInt);
    level = level < most ? level : level - level + most;
}

struct Fit {
    float product;  // <c, r>
    float squared;  // <c, c>
};

LUTRA_INLINE Fit fit(const float* rotated, std::size_t size, float inverse_step, std::int32_t most) {
    const Wide* x = reinterpret_cast<const Wide*>(rotated);
    Wide product[2] = {}, squared[2] = {};
    for (std::size_t i = 0; i < size / kWide; i += 2) {
        for (std::size_t part = 0; part < 2; ++part) {
            const Wide value = x[i + part];
            const Wide side = value < 0 ? -value : value;
            WideInt level;
            find_side_levels(side, inverse_step, most, level);
            const Wide code = __builtin_convertvector(2 * level + 1, Wide);
            product[part] += code * side;
            squared[part] += code * code;
        }
    }
    return {total(product[0] + product[1]), total(squared[0] + squared[1])};
}

// The best step of a uniform quantiser of normal values, in standard deviations (Max, 1960).
float normal_step(unsigned bits) { return bits == 2 ? 0.9957f : bits == 4 ? 0.3352f : 0.0308f; }

// Steps tried for each vector, relative to that: what maximises the cosine differs a little between vectors.
constexpr float kSteps[] = {0.68f, 0.76f, 0.83f, 0.89f, 0.95f, 1.0f, 1.05f, 1.11f, 1.18f, 1.27f, 1.38f, 1.52f};

// Fills `levels` with the codes u of the step that brings the code nearest in direction.
LUTRA_INLINE Fit choose_levels(const float* rotated, std::size_t size, unsigned bits, float norm,
                               std::uint8_t* levels) {
    const std::int32_t most = (1 << (bits - 1)) - 1;
    float inverse_step = 0;
    Fit best{0, 1};
    if (bits == 1) {
        best = fit(rotated, size, 0, 0);
    } else {
        const float deviation = norm / std::sqrt(static_cast<float>(size)) * normal_step(bits);
        for (const float step : kSteps) {
            const float inverse = 1 / (deviation * step);
            const Fit found = fit(rotated, size, inverse, most);
            if (found.product * found.product * best.squared > best.product * best.product * found.squared) {
                best = found;
                inverse_step = inverse;
            }
        }
    }
    const Wide* x = reinterpret_cast<const Wide*>(rotated);
    for (std::size_t i = 0; i < size / kWide; ++i) {
        WideInt level;
        find_side_levels(x[i] < 0 ? -x[i] : x[i], inverse_step, most, level);
        const WideByte bytes = __builtin_convertvector(x[i] < 0 ? most - level : level + (most + 1), WideByte);
        std::memcpy(levels + i * kWide, &bytes, sizeof bytes);
    }
    return best;
}

struct Rounded {
    std::int32_t sum;
    float squared_error;
};

// To integers of at most 127 times `step`.
LUTRA_INLINE Rounded round_query(const float* rotated, std::size_t size, float step, std::int8_t* rounded) {
    const Wide* x = reinterpret_cast<const Wide*>(rotated);
    const float inverse = 1 / step;
    WideInt sum = {};
    Wide error = {};
    for (std::size_t i = 0; i < size / kWide; ++i) {
        WideInt value = __builtin_convertvector(x[i] * inverse + 128.5f, WideInt) - 128;
        value = value > 127 ? value - value + 127 : value;
        sum += value;
        const Wide missed = x[i] - __builtin_convertvector(value, Wide) * step;
        error += missed * missed;
        const WideByte bytes = __builtin_convertvector(value, WideByte);
        std::memcpy(rounded + i * kWide, &bytes, sizeof bytes);
    }
    std::int32_t all = 0;
    for (std::size_t i = 0; i < kWide; ++i) all += sum[i];
    return {all, total(error)};
}

// What a SIMD level does its own way.
struct Arithmetic {
    float (*prepare)(const Preparation&, const float*, float*);
    Fit (*choose)(const float*, std::size_t, unsigned, float, std::uint8_t*);
    Rounded (*round)(const float*, std::size_t, float, std::int8_t*);
};

#define LUTRA_ARITHMETIC(level, lanes, attributes)                                                              \
    attributes float prepare_##level(const Preparation& how, const float* vector, float* rotated) {             \
        return prepare_with<lanes>(how, vector, rotated);                                                       \
    }                                                                                                           \
    attributes Fit choose_##level(const float* rotated, std::size_t size, unsigned bits, float norm,            \
                                  std::uint8_t* levels) {                                                       \
        return choose_levels(rotated, size, bits, norm, levels);                                                \
    }                                                                                                           \
    attributes Rounded round_##level(const float* rotated, std::size_t size, float step, std::int8_t* rounded) { \
        return round_query(rotated, size, step, rounded);                                                       \
    }                                                                                                           \
    constexpr Arithmetic kArithmetic_##level{prepare_##level, choose_##level, round_##level};

LUTRA_ARITHMETIC(portable, 4, )
#if defined(__x86_64__)
LUTRA_ARITHMETIC(avx2, 8, __attribute__((target("avx2"))))
LUTRA_ARITHMETIC(avx512, 16, __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,prefer-vector-width=512"))))
#endif

const Arithmetic& arithmetic(CodeLevel level) {
#if defined(__x86_64__)
    if (level == CodeLevel::kAvx512Vnni || level == CodeLevel::kAvx512) return kArithmetic_avx512;
    if (level == CodeLevel::kAvx2) return kArithmetic_avx2;
#else
    (void)level;
#endif
    return kArithmetic_portable;
}

// |e| / |r| in 8 bits, rounded up: 4 bits of exponent from 2^-12 on and 4 of mantissa; 0 is 0.
constexpr std::uint32_t kRatioShift = 19;
constexpr std::uint32_t kRatioLeast = (127 - 12) << 4;

std::uint32_t ratio_bits(float ratio) {
    if (!(ratio > 0)) return 0;
    const std::uint32_t up = (std::bit_cast<std::uint32_t>(ratio) + (1u << kRatioShift) - 1) >> kRatioShift;
    return up <= kRatioLeast ? 1 : std::min(up - kRatioLeast, 255u);
}

float ratio_of(std::uint32_t bits) {
    return bits == 0 ? 0 : std::bit_cast<float>((bits + kRatioLeast) << kRatioShift);
}

struct Factors {
    float norm;  // |r|
    std::uint32_t scale_and_ratio;

    float scale() const { return std::bit_cast<float>(scale_and_ratio & ~0xffu); }
    float ratio() const { return ratio_of(scale_and_ratio & 0xffu); }
};

static_assert(sizeof(Factors) == kCodeFactorBytes);

Factors factors_of(const std::uint8_t* record, std::size_t code_bytes) {
    Factors factors;
    std::memcpy(&factors, record + code_bytes, sizeof factors);
    return factors;
}

Factors pack_factors(float norm, float scale, float ratio) {
    const std::uint32_t rounded = (std::bit_cast<std::uint32_t>(scale) + 0x80u) & ~0xffu;
    return {norm, rounded | ratio_bits(ratio)};
}

std::size_t batch_ahead(std::size_t record_bytes) { return record_bytes <= 256 ? 6 : record_bytes <= 1024 ? 3 : 1; }

void prefetch(const std::uint8_t* record, std::size_t bytes) {
    for (std::size_t at = 0; at < bytes; at += 64) __builtin_prefetch(record + at);
    __builtin_prefetch(record + bytes - 1);
}

}  // namespace

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

float Quantizer::prepare(const float* vector, bool centred, float* rotated) const {
    const Preparation how{dimension_, metric_ == Metric::kCosine, centred ? centroid_.get() : nullptr, rotation_};
    return arithmetic(level_).prepare(how, vector, rotated);
}

void Quantizer::encode_row(const float* vector, std::uint8_t* record, float* rotated, std::uint8_t* levels) const {
    const std::size_t size = padded_dimension();
    const float vector_squared = prepare(vector, true, rotated);
    const float squared = product(rotated, rotated, size);
    Factors factors{0, 0};
    if (!(squared <= kLengthMax * kLengthMax)) {
        factors.norm = kLengthMax;
        std::memset(levels, 0, size);
    } else if (squared < kLengthMin * kLengthMin) {
        std::memset(levels, 0, size);
    } else {
        const float norm = std::sqrt(squared);
        const Fit found = arithmetic(level_).choose(rotated, size, bits_, norm, levels);
        const float scale = squared / found.product;
        const double cosine_squared = static_cast<double>(found.product) * found.product /
                                      (static_cast<double>(found.squared) * squared);
        const float ratio = static_cast<float>(std::sqrt(std::max(0.0, 1 / cosine_squared - 1)));
        if (metric_ == Metric::kCosine && vector_squared == 0) {
            // Its cosine to any query is to be 0: with |r|^2 + 1 in place of |r|^2 the estimate is of exactly that.
            const float longer = std::sqrt(squared + 1);
            factors = pack_factors(longer, scale, ratio * norm / longer);
        } else {
            factors = pack_factors(norm, scale, ratio);
        }
    }
    if (metric_ == Metric::kCosine && vector_squared == 0 && factors.norm == 0) factors.norm = 1;
    pack_code(levels, code_shape(code_bytes()), bits_, record);
    std::memcpy(record + code_bytes(), &factors, sizeof factors);
}

void Quantizer::encode(const float* vectors, std::size_t count, std::uint8_t* records, unsigned threads) const {
    const unsigned most = threads != 0 ? threads : processors();
    const std::size_t size = padded_dimension();
    const auto rotated = aligned_array<float>(size * most);
    const auto levels = aligned_array<std::uint8_t>(size * most);
    in_blocks(count, kBlockRows, most, [&](unsigned thread, std::size_t begin, std::size_t end) {
        for (std::size_t row = begin; row < end; ++row) {
            encode_row(vectors + row * dimension_, records + row * record_bytes(), rotated.get() + thread * size,
                       levels.get() + thread * size);
        }
    });
}

QueryCode::QueryCode(const Quantizer& quantizer, const float* vector, float bound_sigmas)
    : metric_(quantizer.metric()),
      shape_(code_shape(quantizer.code_bytes())),
      dot_(code_dot(quantizer.level(), quantizer.bits())),
      code_bytes_(quantizer.code_bytes()),
      query_(aligned_array<std::int8_t>(query_elements(shape_, quantizer.bits()))) {
    const std::size_t size = quantizer.padded_dimension();
    const auto rotated = aligned_array<float>(size);
    const auto rounded = aligned_array<std::int8_t>(size);
    std::fill_n(query_.get(), query_elements(shape_, quantizer.bits()), std::int8_t{0});
    const bool centred = metric_ != Metric::kDotProduct;
    const float vector_squared = quantizer.prepare(vector, centred, rotated.get());
    const float squared = product(rotated.get(), rotated.get(), size);
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
    const Rounded found = arithmetic(quantizer.level()).round(rotated.get(), size, step, rounded.get());
    arrange_query(rounded.get(), shape_, quantizer.bits(), query_.get());
    const float weight = metric_ == Metric::kEuclidean ? -2.0f : -1.0f;
    sum_weight_ = weight * 2 * step;
    sum_offset_ = -weight * step * static_cast<float>((1 << quantizer.bits()) - 1) * static_cast<float>(found.sum);
    // The scale t is kept to a relative 2^-17 and the sums to about 2^-20.
    query_error_weight_ = bound_sigmas * std::sqrt(found.squared_error / static_cast<float>(size)) + length_ * 0x1p-16f;
}

float QueryCode::finish(const std::uint8_t* record, std::int32_t sum) const {
    const Factors factors = factors_of(record, code_bytes_);
    return norm_weight_ * factors.norm * factors.norm + offset_ +
           factors.scale() * (sum_weight_ * static_cast<float>(sum) + sum_offset_);
}

float QueryCode::estimate(const std::uint8_t* record) const { return finish(record, dot_(record, query_.get(), shape_)); }

void QueryCode::estimate_batch(const std::uint8_t* const* records, std::size_t count, float* out) const {
    const std::size_t ahead = batch_ahead(record_bytes());
    for (std::size_t i = 0; i < std::min(ahead, count); ++i) prefetch(records[i], record_bytes());
    for (std::size_t i = 0; i < count; ++i) {
        if (i + ahead < count) prefetch(records[i + ahead], record_bytes());
        out[i] = estimate(records[i]);
    }
}

void QueryCode::estimate_range(const std::uint8_t* records, std::size_t count, float* out) const {
    for (std::size_t i = 0; i < count; ++i) out[i] = estimate(records + i * record_bytes());
}

QueryCode::Errors QueryCode::errors(const std::uint8_t* record) const {
    const Factors factors = factors_of(record, code_bytes_);
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
