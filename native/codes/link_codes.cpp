#include "link_codes.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

namespace lutra {

namespace {

// Squares of lengths, and sums of a few of their products, are float32 between these.
constexpr float kSquaredMax = 1e30f;
constexpr float kSquaredMin = 1e-30f;

bool is_plain_square(float squared) { return squared >= kSquaredMin && squared <= kSquaredMax; }

// The upper half of a float32, rounded.
std::uint16_t upper_half(float value) {
    return static_cast<std::uint16_t>((std::bit_cast<std::uint32_t>(value) + 0x8000u) >> 16);
}

float from_upper_half(std::uint16_t half) { return std::bit_cast<float>(std::uint32_t{half} << 16); }

// Of a packed code's odd integers with values [padded dimension], one after the other: the same at every SIMD level.
float product_of(const std::uint8_t* code, std::size_t code_bytes, const float* values) {
    constexpr unsigned kPerByte = 8 / kLinkBits;
    float sum = 0;
    for (std::size_t begin = 0; begin < code_bytes; begin += kCodeBlockBytes) {
        const std::size_t width = std::min(kCodeBlockBytes, code_bytes - begin);
        float lanes[kCodeBlockBytes] = {};
        for (unsigned k = 0; k < kPerByte; ++k) {
            const float* of = values + begin * kPerByte + k * width;
            for (std::size_t j = 0; j < width; ++j) {
                const int level = code[begin + j] >> (k * kLinkBits) & ((1 << kLinkBits) - 1);
                lanes[j] += static_cast<float>(2 * level - 3) * of[j];
            }
        }
        for (std::size_t j = 0; j < width; ++j) sum += lanes[j];
    }
    return sum;
}

}  // namespace

LinkCodes::LinkCodes(std::size_t dimension, Metric metric, const float* centroid, std::uint64_t seed, CodeLevel level)
    : dimension_(dimension),
      metric_(metric),
      level_(level),
      rotation_(dimension, seed),
      centroid_(aligned_array<float>(rotation_.size())) {
    std::fill_n(centroid_.get(), rotation_.size(), 0.0f);
    std::copy_n(centroid, dimension, centroid_.get());
}

Preparation LinkCodes::preparation(const float* centre, bool is_rotated) const {
    return {dimension_, rotation_.size(), metric_ == Metric::kCosine, centre, is_rotated ? &rotation_ : nullptr};
}

bool LinkCodes::make(std::uint8_t* blocks, std::uint32_t row, const std::uint32_t* neighbours, std::size_t count,
                     const LinkLayout& layout) const {
    const CodeArithmetic& arithmetic = code_arithmetic(level_);
    const std::size_t size = rotation_.size(), block_bytes = layout.block_bytes();
    alignas(64) float own[kPaddedDimensionMax];
    alignas(64) float rotated_own[kPaddedDimensionMax];
    alignas(64) float rotated[kPaddedDimensionMax];
    alignas(64) std::uint8_t code[kPaddedDimensionMax * kLinkBits / 8];
    std::uint8_t* block = blocks + row * block_bytes;
    const LinkBlock made{block, layout};
    if (!(arithmetic.prepare(preparation(nullptr, false), made.vector(), own).vector <= kSquaredMax)) return false;
    arithmetic.prepare(preparation(centroid_.get(), true), made.vector(), rotated_own);
    std::memset(block + layout.neighbours_begin(), 0, block_bytes - layout.neighbours_begin());
    std::memcpy(block + layout.neighbours_begin(), neighbours, count * sizeof *neighbours);
    auto* bases = reinterpret_cast<float*>(block + layout.bases_begin());
    auto* scales = reinterpret_cast<std::uint16_t*>(block + layout.scales_begin());
    std::fill_n(bases, layout.places(), std::numeric_limits<float>::infinity());
    for (std::size_t i = 0; i < count; ++i) {
        const LinkBlock other{blocks + neighbours[i] * block_bytes, layout};
        const float squared = arithmetic.prepare(preparation(own, true), other.vector(), rotated).residual;
        bases[i] = 0;
        if (squared == 0) {
            // Equal, or so near each other that their squares are not: directions may be equal of what is not.
            const bool is_equal = std::memcmp(made.vector(), other.vector(), dimension_ * sizeof(float)) == 0;
            if (!is_equal && metric_ != Metric::kCosine) return false;
            continue;
        }
        if (!is_plain_square(squared)) return false;
        const Fit fit = arithmetic.encode(rotated, size, kLinkBits, std::sqrt(squared), code);
        scales[i] = upper_half(squared / fit.product);
        if (metric_ != Metric::kDotProduct) {
            bases[i] = squared + 2 * from_upper_half(scales[i]) * product_of(code, layout.code_bytes, rotated_own);
        }
        std::uint8_t* group = block + layout.codes_begin() + i / kLinkLanes * kLinkLanes * layout.code_bytes;
        for (std::size_t word = 0; word < layout.code_bytes / 4; ++word) {
            std::memcpy(group + (word * kLinkLanes + i % kLinkLanes) * 4, code + word * 4, 4);
        }
    }
    return true;
}

LinkQuery::LinkQuery(const LinkCodes& codes, const float* vector)
    : kernels_(link_kernels(codes.level_)), base_weight_(codes.metric_ == Metric::kEuclidean ? 1.0f : 0.5f) {
    const CodeArithmetic& arithmetic = code_arithmetic(codes.level_);
    const std::size_t size = codes.rotation_.size();
    alignas(64) float rotated[kPaddedDimensionMax];
    alignas(64) std::int8_t rounded[kPaddedDimensionMax];
    const float* centre = codes.metric_ == Metric::kDotProduct ? nullptr : codes.centroid_.get();
    const SquaredLengths squared = arithmetic.prepare(codes.preparation(centre, true), vector, rotated);
    const CodeShape shape = code_shape(size * kLinkBits / 8);
    query_ = aligned_array<std::int8_t>(query_elements(shape, kLinkBits));
    if (!is_plain_square(squared.residual) || !is_plain_square(squared.vector)) return;
    is_plain_ = true;
    float most = 0;
    for (std::size_t i = 0; i < size; ++i) most = std::max(most, std::abs(rotated[i]));
    const float step = most / 127;
    const RoundedQuery query = arithmetic.round(rotated, size, step, rounded);
    arrange_query(rounded, shape, kLinkBits, query_.get());
    // <c, q> of c = 2 level - 3 is step (2 sum - 3 sum of the query).
    sum_weight_ = 4 * base_weight_ * step;
    sum_offset_ = -6 * base_weight_ * step * static_cast<float>(query.sum);
}

std::size_t LinkQuery::choose(const LinkBlock& block, float distance, float limit, std::uint32_t* places,
                              float* estimates) const {
    constexpr std::size_t kGroupsAtOnce = 8;
    alignas(64) std::int32_t sums[kGroupsAtOnce * kLinkLanes];
    const LinkLayout& layout = block.layout;
    const LinkWeights weights{distance, base_weight_, sum_weight_, sum_offset_};
    std::size_t chosen = 0;
    for (std::size_t group = 0; group < layout.groups(); group += kGroupsAtOnce) {
        const std::size_t groups = std::min(kGroupsAtOnce, layout.groups() - group);
        const std::size_t first = group * kLinkLanes;
        kernels_.products(block.codes() + first * layout.code_bytes, groups, layout.code_bytes / 4, query_.get(), sums);
        const std::size_t before = chosen;
        chosen += kernels_.choose(weights, sums, block.bases() + first, block.scales() + first, groups, limit,
                                  places + before, estimates + before);
        for (std::size_t i = before; first > 0 && i < chosen; ++i) places[i] += static_cast<std::uint32_t>(first);
    }
    return chosen;
}

}  // namespace lutra
