#include "codes.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <span>

#include "threads.h"

namespace lutra {

static_assert(std::endian::native == std::endian::little, "records are little-endian");

namespace {

// Residuals and queries of other lengths are brought to about 1 first: their squares leave float32 soon after.
constexpr float kLengthMax = 1e18f;
constexpr float kLengthMin = 1e-18f;
constexpr std::size_t kBlockRows = 64;

// By which the steps of all parts are multiplied, to be tried for each vector.
constexpr float kStepFactors[] = {0.80f, 0.90f, 1.0f, 1.12f, 1.26f};

// Standard deviations of the query's rounding that bounds allow at least: of rows next to the query it is all the error,
// and they are not to be lost; of others it is next to nothing.
constexpr float kQuerySigmas = 3.0f;

// What a record of a residual that is not ordinary leaves out of its lengths.
constexpr double kWideUnsure = 0x1p-14;

// Of the steps of a query's part against the largest.
constexpr unsigned kHalvingsMax = 12;
constexpr unsigned kPartsBits = 2;  // what adding up kCodePartsMax sums takes
static_assert(kCodePartsMax <= 1u << kPartsBits);

float largest(const float* values, std::size_t size) {
    float most = 0;
    for (std::size_t i = 0; i < size; ++i) most = std::max(most, std::abs(values[i]));
    return most;
}

// Of a residual; false for NaN.
bool can_be_coded(float squared_length) {
    return squared_length >= kLengthMin * kLengthMin && squared_length <= kLengthMax * kLengthMax;
}

constexpr std::size_t kLineBytes = 64;

// Tiles that are looked at one after the other before anything is prefetched again.
constexpr std::size_t kTilesAtOnce = 4;

// Records to prefetch before the one looked at: about 2 KB of them.
std::size_t records_ahead(std::size_t record_bytes) { return std::max<std::size_t>(2048 / record_bytes, kCodeTile); }

void prefetch(const std::uint8_t* record, std::size_t bytes) {
    for (std::size_t at = 0; at < bytes; at += 64) __builtin_prefetch(record + at);
    __builtin_prefetch(record + bytes - 1);
}

}  // namespace

namespace {

// Beyond this |e| / |r| an estimate of <r, q> is farther from it than 0 is: r has next to nothing along the basis.
constexpr double kRatioUseful = 8;

// What rounding of directions may take from |e|^2 / |r|^2: a fifth of what codes of 8 bits leave there.
constexpr double kProjectionError = 1e-5;

// Of a code c fitted to a residual r; what is beside it is known by the two lengths. `unsure`: of |e|^2 / |r|^2.
CodeFactors fitted_factors(const Fit& fit, float squared_length, double unsure) {
    const double lengths = std::sqrt(static_cast<double>(fit.squared) * squared_length);
    const double cosine = fit.product / lengths;
    const double ratio = std::sqrt(std::max(0.0, 1 / (cosine * cosine) - 1) + unsure);
    if (!(ratio <= kRatioUseful)) return pack_factors(std::sqrt(squared_length), 0, CodeFactors::kRatioMost);
    return pack_factors(std::sqrt(squared_length), squared_length / fit.product, static_cast<float>(ratio));
}

}  // namespace

Quantizer::Quantizer(std::size_t dimension, unsigned bits, Metric metric, const float* centres, std::size_t count,
                     std::uint64_t seed, CodeLevel level)
    : dimension_(dimension),
      metric_(metric),
      level_(level),
      rotation_(dimension, seed),
      parts_{{bits, rotation_.size(), 1}},
      code_bytes_(rotation_.size() * bits / 8),
      centres_(centres, count, dimension, rotation_.size()) {}

Quantizer::Quantizer(std::size_t dimension, unsigned bits, Metric metric, const float* centroid, std::uint64_t seed,
                     CodeLevel level)
    : Quantizer(dimension, bits, metric, centroid, 1, seed, level) {}

Quantizer::Quantizer(std::size_t dimension, std::shared_ptr<const CodeBasis> basis, Metric metric,
                     const float* centroid, CodeLevel level)
    : Quantizer(dimension, 1, metric, centroid, 0, level) {
    basis_ = std::move(basis);
    parts_ = basis_->parts();
    code_bytes_ = basis_->code_bytes();
}

SquaredLengths Quantizer::prepare_ordinary(const float* vector, const float* centre, float* rotated) const {
    alignas(64) float residual[kPaddedDimensionMax];
    const Preparation how{dimension_, padded_dimension(), metric_ == Metric::kCosine,
                          centre, basis_ ? nullptr : &rotation_};
    const SquaredLengths squared = code_arithmetic(level_).prepare(how, vector, basis_ ? residual : rotated);
    if (basis_ && can_be_coded(squared.residual)) {
        basis_->project(residual, std::sqrt(squared.residual), level_, rotated);
    }
    return squared;
}

Quantizer::Prepared Quantizer::prepare(const float* vector, const float* centre, float* rotated) const {
    const SquaredLengths squared = prepare_ordinary(vector, centre, rotated);
    const bool has_length = metric_ != Metric::kCosine || is_ordinary(squared.vector);
    return has_length && can_be_coded(squared.residual) ? Prepared{squared} : prepare_scaled(vector, centre, rotated);
}

// In double, one element after the other, hence the same at every SIMD level.
Quantizer::Prepared Quantizer::prepare_scaled(const float* vector, const float* centre, float* rotated) const {
    double squared = 0;
    for (std::size_t i = 0; i < dimension_; ++i) squared += static_cast<double>(vector[i]) * vector[i];
    const double length = metric_ == Metric::kCosine && squared > 0 ? std::sqrt(squared) : 1;
    double residual[kPaddedDimensionMax];
    double most = 0;
    for (std::size_t i = 0; i < dimension_; ++i) {
        residual[i] = static_cast<float>(vector[i] / length);
        if (centre != nullptr) residual[i] -= centre[i];
        most = std::max(most, std::abs(residual[i]));
    }
    Prepared prepared{{squared > 0 ? 1.0f : 0.0f, 0}};
    if (most == 0) {
        std::fill_n(rotated, coded_dimension(), 0.0f);
        return prepared;
    }
    // Elements of a residual of length 1e-18 to 1e18 stay as they are.
    if (most > kLengthMax / 64 || most < 2 * kLengthMin) prepared.exponent = std::ilogb(most);
    alignas(64) float scaled[kPaddedDimensionMax];
    for (std::size_t i = 0; i < dimension_; ++i) {
        scaled[i] = static_cast<float>(std::ldexp(residual[i], -prepared.exponent));
    }
    alignas(64) float padded[kPaddedDimensionMax];
    const Preparation how{dimension_, padded_dimension(), false, nullptr, basis_ ? nullptr : &rotation_};
    prepared.squared.residual = code_arithmetic(level_).prepare(how, scaled, basis_ ? padded : rotated).residual;
    if (basis_) basis_->project(padded, std::sqrt(prepared.squared.residual), level_, rotated);
    return prepared;
}

void Quantizer::place(const float* vector, bool is_query, float* placed) const {
    const float* origin = is_query && metric_ == Metric::kDotProduct ? nullptr : centres_.centre(0);
    const Prepared prepared = prepare(vector, origin, placed);
    if (prepared.exponent == 0) return;
    for (std::size_t i = 0; i < coded_dimension(); ++i) {
        placed[i] = std::clamp(std::ldexp(placed[i], prepared.exponent), -kLengthMax, kLengthMax);
    }
}

float Quantizer::product_with_centre(const float* query) const {
    const float* origin = centres_.centre(0);
    double product = 0;
    for (std::size_t i = 0; i < dimension_; ++i) product += static_cast<double>(query[i]) * origin[i];
    return static_cast<float>(product);
}

// By how much all steps are multiplied for this residual, so that its code comes nearest in direction.
float Quantizer::best_factor(const float* rotated, float norm) const {
    alignas(64) float sides[kPaddedDimensionMax];
    const CodeArithmetic& arithmetic = code_arithmetic(level_);
    arithmetic.absolute(rotated, coded_dimension(), sides);
    float best = 1;
    Fit best_fit{0, 1};
    for (const float factor : kStepFactors) {
        Fit all{0, 0};
        const float* side = sides;
        for (const CodePart& part : parts_) {
            const Fit fit = arithmetic.fit(side, part.dimensions, part.bits, 1 / (part.step * norm * factor));
            all.product += part.step * fit.product;
            all.squared += part.step * part.step * fit.squared;
            side += part.dimensions;
        }
        if (all.product * all.product * best_fit.squared > best_fit.product * best_fit.product * all.squared) {
            best = factor;
            best_fit = all;
        }
    }
    return best;
}

Fit Quantizer::encode_parts(const float* rotated, float norm, std::uint8_t* code) const {
    alignas(64) float sides[kPaddedDimensionMax];
    const CodeArithmetic& arithmetic = code_arithmetic(level_);
    const float factor = best_factor(rotated, norm);
    Fit all{0, 0};
    for (const CodePart& part : parts_) {
        const float inverse_step = 1 / (part.step * norm * factor);
        arithmetic.encode_step(rotated, part.dimensions, part.bits, inverse_step, code);
        arithmetic.absolute(rotated, part.dimensions, sides);
        const Fit fit = arithmetic.fit(sides, part.dimensions, part.bits, inverse_step);
        all.product += part.step * fit.product;
        all.squared += part.step * part.step * fit.squared;
        rotated += part.dimensions;
        code += part.dimensions * part.bits / 8;
    }
    return all;
}

Described Quantizer::encode_row(const float* vector, std::uint8_t* record, float* rotated) const {
    const std::uint32_t centre = centres_.nearest(vector, metric_);
    const Prepared prepared = prepare(vector, centres_.centre(centre), rotated);
    const auto [squared, exponent] = prepared;
    CodeFactors factors{0, 0};
    if (can_be_coded(squared.residual)) {
        const float norm = std::sqrt(squared.residual);
        const CodeArithmetic& arithmetic = code_arithmetic(level_);
        const Fit fit = basis_ ? encode_parts(rotated, norm, record)
                               : arithmetic.encode(rotated, padded_dimension(), parts_[0].bits, norm, record);
        factors = fitted_factors(fit, squared.residual, basis_ ? kProjectionError : 0);
    } else {
        std::memset(record, 0, code_bytes());
    }
    if (exponent != 0) {
        factors = with_lengths(factors, std::ldexp(static_cast<double>(factors.norm), exponent),
                               std::ldexp(static_cast<double>(factors.scale()), exponent));
    }
    if (metric_ == Metric::kCosine && squared.vector == 0 && exponent <= 0) {
        // Its cosine to any query is to be 0: with |r|^2 + 1 in place of |r|^2 the estimate is of exactly that.
        const float longer = exponent < 0 ? 1 : std::sqrt(squared.residual + 1);
        factors = exponent < 0 ? pack_factors(longer, 0, 0)
                               : pack_factors(longer, factors.scale(), factors.ratio() * factors.norm / longer);
    }
    std::memcpy(record + code_bytes(), &factors, sizeof factors);
    if (centre_count() > 1) std::memcpy(record + code_bytes() + sizeof factors, &centre, kCodeCentreBytes);
    return try_own(vector, record, centre, prepared, rotated);
}

void Quantizer::encode(const float* vectors, std::size_t count, std::uint8_t* records, unsigned threads,
                       std::uint8_t* described) const {
    const std::size_t blocks = count / kBlockRows + 1;
    const auto most = static_cast<unsigned>(std::min<std::size_t>(threads != 0 ? threads : processors(), blocks));
    const auto rotated = aligned_array<float>(coded_dimension() * most);
    in_blocks(count, kBlockRows, most, [&](unsigned thread, std::size_t begin, std::size_t end) {
        for (std::size_t row = begin; row < end; ++row) {
            const Described one = encode_row(vectors + row * dimension_, records + row * record_bytes(),
                                             rotated.get() + thread * coded_dimension());
            if (described != nullptr) described[row] = static_cast<std::uint8_t>(one);
        }
    });
}

QueryCode::QueryCode(const Quantizer& quantizer, const float* vector, float bound_sigmas)
    : QueryCode(quantizer, vector, bound_sigmas, 0) {
    if (quantizer.centre_count() > 1) by_centre_ = std::make_unique<QueriesByCentre>(quantizer, vector, bound_sigmas);
}

QueryCode::QueryCode(QueryCode&&) noexcept = default;

QueryCode::~QueryCode() = default;

const QueryCode& QueryCode::of_centre(const std::uint8_t* record) const {
    std::uint32_t centre;
    std::memcpy(&centre, record + code_bytes_ + kCodeFactorBytes, sizeof centre);
    return by_centre_->of(centre);
}

QueryCode::QueryCode(const Quantizer& quantizer)
    : metric_(quantizer.metric()), code_bytes_(quantizer.code_bytes()), record_bytes_(quantizer.record_bytes()) {
    if (quantizer.has_basis()) {
        lanes_.emplace(quantizer.parts(), record_bytes());
        lane_products_ = lane_products(quantizer.level());
    } else {
        const unsigned bits = quantizer.parts()[0].bits;
        shape_ = code_shape(code_bytes_);
        products_ = code_products(quantizer.level(), bits);
        query_ = aligned_array<std::int8_t>(query_elements(shape_, bits));
        std::fill_n(query_.get(), query_elements(shape_, bits), std::int8_t{0});
    }
}

QueryCode::QueryCode(const Quantizer& quantizer, const float* vector, float bound_sigmas, std::size_t centre)
    : QueryCode(quantizer) {
    const auto rotated = aligned_array<float>(quantizer.coded_dimension());
    const float* origin = metric_ != Metric::kDotProduct ? quantizer.centres_.centre(centre) : nullptr;
    const Quantizer::Prepared prepared = quantizer.prepare(vector, origin, rotated.get());
    set(quantizer, vector, bound_sigmas, centre, prepared, rotated.get());
}

QueryCode::QueryCode(const Quantizer& quantizer, const float* vector, float bound_sigmas, std::size_t centre,
                     const Quantizer::Prepared& prepared, const float* rotated)
    : QueryCode(quantizer) {
    set(quantizer, vector, bound_sigmas, centre, prepared, rotated);
}

void QueryCode::set(const Quantizer& quantizer, const float* vector, float bound_sigmas, std::size_t centre,
                    const Quantizer::Prepared& prepared, const float* rotated) {
    const auto [lengths, exponent] = prepared;
    if (metric_ == Metric::kCosine && lengths.vector == 0) {  // its cosine to every vector is 0
        offset_ = 1;
        wide_.offset = 1;
        return;
    }
    const float squared = lengths.residual;
    bound_.length = std::sqrt(squared);
    // Of float32's own errors a little more.
    bound_.longest = (metric_ == Metric::kEuclidean ? 2.0f : 1.0f) * bound_.length * (1 + 0x1p-16f);
    bound_.norm = metric_ == Metric::kEuclidean ? 1 : metric_ == Metric::kCosine ? 0.5f : 0;
    double offset = std::ldexp(static_cast<double>(bound_.norm * squared), 2 * exponent);
    if (metric_ == Metric::kDotProduct) {
        const float* origin = quantizer.centres_.centre(centre);
        double centroid_product = 0;
        for (std::size_t i = 0; i < quantizer.dimension(); ++i) {
            centroid_product += static_cast<double>(vector[i]) * origin[i];
        }
        offset = -centroid_product;
    }
    offset_ = static_cast<float>(offset);
    const std::size_t size = quantizer.coded_dimension();
    bound_.code_error =
        bound_sigmas * (quantizer.basis_ ? quantizer.basis_->spread() : 1 / std::sqrt(static_cast<float>(size - 1)));
    if (squared >= kLengthMin * kLengthMin) {
        if (lanes_) {
            round_parts(quantizer, rotated, bound_sigmas);
        } else {
            round_whole(quantizer, rotated, bound_sigmas);
        }
    }
    set_wide(offset, exponent);
}

void QueryCode::round_whole(const Quantizer& quantizer, const float* rotated, float bound_sigmas) {
    const std::size_t size = quantizer.padded_dimension();
    const unsigned bits = quantizer.parts()[0].bits;
    const auto rounded = aligned_array<std::int8_t>(size);
    const float step = largest(rotated, size) / 127;
    const RoundedQuery found = code_arithmetic(quantizer.level()).round(rotated, size, step, rounded.get());
    arrange_query(rounded.get(), shape_, bits, query_.get());
    const float weight = metric_ == Metric::kEuclidean ? -2.0f : -1.0f;
    sum_weight_ = weight * 2 * step;
    sum_offset_ = -weight * step * static_cast<float>((1 << bits) - 1) * static_cast<float>(found.sum);
    set_errors(found.squared_error / static_cast<float>(size), bound_sigmas);
}

// Steps of the query's elements times those of the code are to be the same in all parts, but for powers of two: the
// sums of the parts are then one. So a step is up to twice what would do, or more where sums would not fit 32 bits.
void QueryCode::round_parts(const Quantizer& quantizer, const float* rotated, float bound_sigmas) {
    const std::vector<CodePart>& parts = quantizer.parts();
    float products[kCodePartsMax] = {};  // of the two steps
    const float* part_values = rotated;
    for (std::size_t i = 0; i < parts.size(); ++i) {
        products[i] = largest(part_values, parts[i].dimensions) / 127 * parts[i].step;
        part_values += parts[i].dimensions;
    }
    const float most = *std::max_element(products, products + parts.size());
    if (!(most > 0)) return;
    unsigned halvings[kCodePartsMax] = {};
    unsigned halvings_max = 0;
    for (std::size_t i = 0; i < parts.size(); ++i) {
        while (halvings[i] < kHalvingsMax && products[i] <= std::ldexp(most, -static_cast<int>(halvings[i]) - 1)) {
            ++halvings[i];
        }
        halvings_max = std::max(halvings_max, halvings[i]);
    }
    // A part halved less often counts more; with all parts it has to fit.
    for (std::size_t i = 0; i < parts.size(); ++i) {
        const unsigned bits = CodeLanes::sum_bits(parts[i]) + kPartsBits;
        const unsigned room = bits < kSumBits ? kSumBits - bits : 0;
        halvings_max = std::min(halvings_max, halvings[i] + room);
    }
    const auto rounded = aligned_array<std::int8_t>(quantizer.coded_dimension());
    const float weight = metric_ == Metric::kEuclidean ? -2.0f : -1.0f;
    float squared_error = 0;  // of rounding an element, in the part where it is largest
    part_values = rotated;
    for (std::size_t i = 0; i < parts.size(); ++i) {
        const unsigned halved = std::min(halvings[i], halvings_max);
        const float product = std::ldexp(most, -static_cast<int>(halved));
        const RoundedQuery found = code_arithmetic(quantizer.level())
                                       .round(part_values, parts[i].dimensions, product / parts[i].step, rounded.get());
        lanes_->set_part(i, rounded.get(), halvings_max - halved);
        sum_offset_ -= weight * product * static_cast<float>((1 << parts[i].bits) - 1) * static_cast<float>(found.sum);
        squared_error = std::max(squared_error, found.squared_error / static_cast<float>(parts[i].dimensions));
        part_values += parts[i].dimensions;
    }
    sum_weight_ = weight * 2 * std::ldexp(most, -static_cast<int>(halvings_max));
    set_errors(squared_error, bound_sigmas);
}

void QueryCode::set_errors(float squared_error, float bound_sigmas) {
    // The scale t is kept to a relative 2^-17 and the sums to about 2^-20.
    bound_.query_error = std::max(bound_sigmas, kQuerySigmas) * std::sqrt(squared_error) + bound_.length * 0x1p-16f;
    const float weight = metric_ == Metric::kEuclidean ? 2.0f : 1.0f;
    loose_code_weight_ = weight * bound_.code_error * bound_.length;
    loose_query_weight_ = weight * bound_.query_error;
}

// All was found of the query times 2^-exponent, but for the offset.
void QueryCode::set_wide(double offset, int exponent) {
    const double unit = std::ldexp(1.0, exponent);
    wide_ = {{bound_.norm, bound_.length * unit, bound_.code_error, bound_.query_error * unit, bound_.longest * unit},
             offset,
             sum_weight_ * unit,
             sum_offset_ * unit};
    if (exponent == 0) return;
    is_plain_ = false;
    offset_ = std::numeric_limits<float>::quiet_NaN();  // so that no estimate passes for an ordinary one
}

float QueryCode::finish(const std::uint8_t* record, std::int32_t sum) const {
    const CodeFactors factors = factors_of(record);
    const float estimate = bound_.norm * factors.norm * factors.norm + offset_ +
                           factors.scale() * (sum_weight_ * static_cast<float>(sum) + sum_offset_);
    return is_ordinary(estimate) ? estimate : finish_wide(record, sum);
}

float QueryCode::finish_wide(const std::uint8_t* record, std::int32_t sum) const {
    const WideFactors factors = unpack_factors(factors_of(record));
    return pack_distance(wide_.bound.norm * factors.norm * factors.norm + wide_.offset +
                         factors.scale * (wide_.sum_weight * sum + wide_.sum_offset));
}

float QueryCode::estimate(const std::uint8_t* record) const {
    if (by_centre_) return of_centre(record).estimate(record);
    if (!lanes_) return finish(record, products_.one(record, query_.get(), shape_));
    const std::uint8_t* const tile[kCodeTile] = {record, record, record, record};
    float estimates[kCodeTile];
    estimate_tiles(tile, 1, estimates);
    return estimates[0];
}

namespace {

template <class Mask>
bool is_any(const Mask& mask) {
    std::uint64_t halves[2];
    static_assert(sizeof halves == sizeof mask);
    std::memcpy(halves, &mask, sizeof halves);
    return (halves[0] | halves[1]) != 0;
}

}  // namespace

void QueryCode::estimate_tiles(const std::uint8_t* const* records, std::size_t tiles, float* out) const {
    std::int32_t sums[kTilesAtOnce * kCodeTile];
    if (lanes_) {
        lane_products_(records, tiles, lanes_->chunks(), sums);
    } else {
        for (std::size_t i = 0; i < tiles * kCodeTile; i += kCodeTile) {
            products_.tile({records[i], records[i + 1], records[i + 2], records[i + 3]}, query_.get(), shape_,
                           sums + i);
        }
    }
    Outside outside = {};
    for (std::size_t i = 0; i < tiles * kCodeTile; i += kCodeTile) {
        outside |= finish_tile(records + i, sums + i, out + i);
    }
    if (!is_any(outside)) return;
    for (std::size_t i = 0; i < tiles * kCodeTile; ++i) {
        if (!is_ordinary(out[i])) out[i] = finish_wide(records[i], sums[i]);
    }
}

// As `finish`, operation by operation, but of four side by side; tells which are not ordinary.
QueryCode::Outside QueryCode::finish_tile(const std::uint8_t* const* records, const std::int32_t* sums,
                                          float* out) const {
    float norms[kCodeTile], scales[kCodeTile], estimates[kCodeTile];
    for (std::size_t i = 0; i < kCodeTile; ++i) {
        const CodeFactors factors = factors_of(records[i]);
        norms[i] = factors.norm;
        scales[i] = factors.scale();
    }
    const float norm_weight = bound_.norm, offset = offset_, sum_weight = sum_weight_, sum_offset = sum_offset_;
    for (std::size_t i = 0; i < kCodeTile; ++i) {
        estimates[i] = norm_weight * norms[i] * norms[i] + offset +
                       scales[i] * (sum_weight * static_cast<float>(sums[i]) + sum_offset);
    }
    std::copy_n(estimates, kCodeTile, out);
    Outside bits;
    std::memcpy(&bits, estimates, sizeof bits);
    bits &= 0x7fffffff;
    return (bits < static_cast<std::int32_t>(kOrdinaryLeastBits)) | (bits > static_cast<std::int32_t>(kOrdinaryMostBits));
}

void QueryCode::estimate_batch(const std::uint8_t* const* records, std::size_t count, float* out) const {
    const std::size_t ahead = records_ahead(record_bytes());
    const bool fits_line = record_bytes() <= kLineBytes;
    if (!fits_line || count > ahead) {
        for (std::size_t i = 0; i < std::min(ahead, count); ++i) prefetch(records[i], record_bytes());
    }
    if (by_centre_) {
        for (std::size_t i = 0; i < count; ++i) {
            if (i + ahead < count) prefetch(records[i + ahead], record_bytes());
            out[i] = estimate(records[i]);
        }
        return;
    }
    std::size_t i = 0;
    while (i + kCodeTile <= count) {
        const std::size_t tiles = std::min(kTilesAtOnce, (count - i) / kCodeTile);
        const std::size_t end = i + tiles * kCodeTile;
        for (std::size_t next = i + ahead; next < std::min(end + ahead, count); ++next) {
            prefetch(records[next], record_bytes());
        }
        estimate_tiles(records + i, tiles, out + i);
        i = end;
    }
    if (i == count) return;
    const std::uint8_t* last[kCodeTile];
    for (std::size_t j = 0; j < kCodeTile; ++j) last[j] = records[std::min(i + j, count - 1)];
    float estimates[kCodeTile];
    estimate_tiles(last, 1, estimates);
    std::copy_n(estimates, count - i, out + i);
}

void QueryCode::estimate_range(const std::uint8_t* records, std::size_t count, float* out) const {
    const std::size_t bytes = record_bytes();
    if (by_centre_) {
        for (std::size_t i = 0; i < count; ++i) out[i] = estimate(records + i * bytes);
        return;
    }
    const std::uint8_t* tiles[kTilesAtOnce * kCodeTile];
    for (std::size_t begin = 0; begin < count;) {
        const std::size_t rows = std::min(std::size(tiles), count - begin);
        for (std::size_t i = 0; i < rows; ++i) tiles[i] = records + (begin + i) * bytes;
        if (rows < kCodeTile) {
            for (std::size_t i = 0; i < rows; ++i) out[begin + i] = estimate(tiles[i]);
            return;
        }
        estimate_tiles(tiles, rows / kCodeTile, out + begin);
        begin += rows / kCodeTile * kCodeTile;
    }
}

// With x the squared distance and E the error of <r, q>: the estimate is x - 2 E, and |E| <= code sqrt(x) + query as
// well as |E| <= code length + query. The first, solved for sqrt(x), is the sharper one near the query.
template <class Number>
Number QueryCode::lower(const Weights<Number>& weights, const Bounded<Number>& of) const {
    const Number zero = 0;
    const Number rounding = of.unsure * weights.norm * of.norm * of.norm;
    if (of.tells_nothing) return of.estimate - of.norm * weights.longest - rounding;
    const Number code = of.norm * of.ratio * weights.code_error;
    const Number query = of.norm * (1 + of.ratio) * (weights.query_error + of.unsure * weights.length);
    if (metric_ == Metric::kDotProduct) return of.estimate - code * weights.length - query;
    const Number scale = metric_ == Metric::kCosine ? 2 : 1;
    const Number least = scale * of.estimate - 2 * query - scale * rounding;
    const Number root = std::sqrt(std::max(zero, least + code * code)) - code;
    // The square of a root may be a little more than what it is the root of.
    const Number sharper = root > 0 ? std::min(root * root, least) : zero;
    return std::max(sharper, least - 2 * code * weights.length) / scale;
}

template <class Number>
Number QueryCode::upper(const Weights<Number>& weights, const Bounded<Number>& of) const {
    const Number zero = 0;
    const Number rounding = of.unsure * weights.norm * of.norm * of.norm;
    if (of.tells_nothing) return of.estimate + of.norm * weights.longest + rounding;
    const Number code = of.norm * of.ratio * weights.code_error;
    const Number query = of.norm * (1 + of.ratio) * (weights.query_error + of.unsure * weights.length);
    if (metric_ == Metric::kDotProduct) return of.estimate + code * weights.length + query;
    const Number scale = metric_ == Metric::kCosine ? 2 : 1;
    const Number most = scale * of.estimate + 2 * query + scale * rounding;
    const Number root = std::sqrt(std::max(zero, most + code * code)) + code;
    return std::min(std::max(root * root, most), std::max(zero, most + 2 * code * weights.length)) / scale;
}

QueryCode::Bounded<double> QueryCode::wide(const CodeFactors& factors, float estimate) const {
    const WideFactors unpacked = unpack_factors(factors);
    return {unpacked.norm, unpacked.ratio, factors.tells_nothing(), unpack_distance(estimate),
            factors.is_ordinary() ? 0 : kWideUnsure};
}

float QueryCode::lower_bound(const std::uint8_t* record, float estimate) const {
    if (by_centre_) return of_centre(record).lower_bound(record, estimate);
    const CodeFactors factors = factors_of(record);
    if (!is_plain(factors, estimate)) return pack_distance(lower(wide_.bound, wide(factors, estimate)));
    return lower(bound_, {factors.norm, factors.ratio(), factors.tells_nothing(), estimate, 0});
}

float QueryCode::upper_bound(const std::uint8_t* record, float estimate) const {
    if (by_centre_) return of_centre(record).upper_bound(record, estimate);
    const CodeFactors factors = factors_of(record);
    if (!is_plain(factors, estimate)) return pack_distance(upper(wide_.bound, wide(factors, estimate)));
    return upper(bound_, {factors.norm, factors.ratio(), factors.tells_nothing(), estimate, 0});
}

}  // namespace lutra
