// Vectors as short codes with an unbiased estimate of distances and a bound on its error.
//
// RaBitQ (Gao & Long, SIGMOD 2024) in its form with several bits (SIGMOD 2025): the residual r of a vector against a
// centroid is rotated at random and each dimension kept as one of 2^B odd integers c, so that t c, t = |r|^2 / <c, r>,
// is r plus an error e at right angles to it. <t c, q> then estimates <r, q> without bias, and is wrong by <e, q>: the
// rotation has turned e at random among the directions orthogonal to r, so that error is |e| |q'| / sqrt(P - 1) times
// a number that is nearly standard normal; q', the part of q orthogonal to r, is no longer than q or than q - r.
//
// A record is `code_bytes` of code, then |r| as float32, then t as float32 whose lowest 8 bits hold |e| / |r|; all
// little-endian. Bytes of code come in blocks of 64 (the last may be shorter, a multiple of 8): byte j of a block of
// width W from dimension D on holds the codes u = (c + 2^B - 1) / 2 of dimensions D + j, D + W + j, D + 2 W + j,
// and so on, the first in its lowest bits.
//
// With a CodeBasis (code_basis.h) the residual is first turned to the directions along which vectors vary most, and
// its parts are coded with bits and steps of their own, one code after the other. All above holds of their sum, in
// which the odd integers of a part are multiplied by its step; e then also has what lies along no direction. Of a
// residual that has next to nothing along them t is 0 and |e| / |r| the largest there is: its products with queries
// are not known.
//
// Vectors in clusters have centres of their own (code_centres.h): the residual is that against the nearest one, and a
// record ends with its number, as uint32. A query is compared with such a record as if that were the only centre.
//
// Residuals of a length beyond 1e18, or below 1e-18 but not 0, are brought to about length 1 by a power of two before
// they are coded; their |r| and t have 14 bits of mantissa and a wider exponent, and |r| then is no number to float32.
// Estimates and bounds that leave 2^-100 to 2^100 are taken in double and packed (distance_range.h).
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>

#include "code_arithmetic.h"
#include "code_basis.h"
#include "code_centres.h"
#include "code_dot.h"
#include "code_factors.h"
#include "code_lanes.h"
#include "distance_range.h"
#include "rotation.h"
#include "topk.h"

namespace lutra {

// Of the number of its centre, in a record of several.
inline constexpr std::size_t kCodeCentreBytes = 4;

// How many standard deviations of the estimate's error the bounds allow: 1.9 leaves 3 % outside on either side at most.
inline constexpr float kBoundSigmas = 1.9f;

// How well a record tells its own vector.
enum class Described : std::uint8_t {
    kWell = 0,
    kRaised = 1,   // only by a bound that was made wider for it: it may not be found first
    kHardly = 2,   // its estimates say next to nothing
};

// Immutable: any number of threads may use one. The same arguments give the same records on every machine.
class Quantizer {
  public:
    // `centroid` [dimension] is copied: nullptr is the zero vector. dimension: 1 to 4096; bits: 1, 2, 4 or 8. Under
    // Metric::kCosine vectors and queries are brought to length 1 first, and the centroid is of such vectors.
    Quantizer(std::size_t dimension, unsigned bits, Metric metric, const float* centroid, std::uint64_t seed,
              CodeLevel level = code_levels().front());
    // With `count` centres [count, dimension] in place of one: of several, records tell theirs.
    Quantizer(std::size_t dimension, unsigned bits, Metric metric, const float* centres, std::size_t count,
              std::uint64_t seed, CodeLevel level = code_levels().front());
    // With a basis of the same dimension.
    Quantizer(std::size_t dimension, std::shared_ptr<const CodeBasis> basis, Metric metric, const float* centroid,
              CodeLevel level = code_levels().front());

    std::size_t dimension() const { return dimension_; }
    std::size_t padded_dimension() const { return rotation_.size(); }
    Metric metric() const { return metric_; }
    CodeLevel level() const { return level_; }
    const std::vector<CodePart>& parts() const { return parts_; }
    bool has_basis() const { return basis_ != nullptr; }
    // Elements of all parts.
    std::size_t coded_dimension() const { return basis_ ? basis_->size() : padded_dimension(); }
    std::size_t code_bytes() const { return code_bytes_; }
    std::size_t centre_count() const { return centres_.count(); }
    std::size_t record_bytes() const {
        return code_bytes() + kCodeFactorBytes + (centre_count() > 1 ? kCodeCentreBytes : 0);
    }

    // Fills records [count, record_bytes] from vectors [count, dimension], which must be finite; 0 threads: as many as
    // the process may use. `described` [count], where it is not nullptr: of each vector a Described.
    void encode(const float* vectors, std::size_t count, std::uint8_t* records, unsigned threads,
                std::uint8_t* described = nullptr) const;

    // Fills `placed` [coded_dimension], 64-byte aligned, with what is coded of a vector: less the (first) centre, rotated, and
    // within 1e18. Of a query by inner product nothing is taken away.
    void place(const float* vector, bool is_query, float* placed) const;
    // Of a query [dimension] with the (first) centre.
    float product_with_centre(const float* query) const;

  private:
    friend class QueryCode;

    struct Prepared {
        SquaredLengths squared;
        int exponent = 0;  // what is `rotated`, and the residual's length, are to be taken times 2^exponent
    };

    // `rotated` [coded_dimension], 64-byte aligned: the vector (brought to length 1 under cosine), less the centre
    // [padded_dimension] unless that is nullptr, rotated; of length 0 it may be left as it was.
    Prepared prepare(const float* vector, const float* centre, float* rotated) const;
    SquaredLengths prepare_ordinary(const float* vector, const float* centre, float* rotated) const;
    Prepared prepare_scaled(const float* vector, const float* centre, float* rotated) const;
    // `rotated`: scratch [coded_dimension], 64-byte aligned.
    Described encode_row(const float* vector, std::uint8_t* record, float* rotated) const;
    // Asks for the vector by itself: what its record says of its distance has to be true.
    Described try_own(const float* vector, std::uint8_t* record, std::uint32_t centre, const Prepared& prepared,
                      const float* rotated) const;
    Fit encode_parts(const float* rotated, float norm, std::uint8_t* code) const;
    float best_factor(const float* rotated, float norm) const;

    std::size_t dimension_;
    Metric metric_;
    CodeLevel level_;
    Rotation rotation_;
    std::shared_ptr<const CodeBasis> basis_;  // nullptr: none, and one part
    std::vector<CodePart> parts_;
    std::size_t code_bytes_;
    CodeCentres centres_;
};

// One query, rotated and rounded to int8. Owns all it needs: it may outlive a Quantizer of one centre. Any number of
// threads may use it.
class QueryCode {
  public:
    // `vector` [dimension] must be finite.
    QueryCode(const Quantizer& quantizer, const float* vector, float bound_sigmas = kBoundSigmas);
    QueryCode(QueryCode&&) noexcept;
    ~QueryCode();

    std::size_t record_bytes() const { return record_bytes_; }

    // The distance to a record's vector, as `topk` gives it: squared Euclidean, 1 - cosine, minus the product. Finite.
    float estimate(const std::uint8_t* record) const;

    // The same of several records, which need not be neighbours: each is prefetched while others are looked at.
    void estimate_batch(const std::uint8_t* const* records, std::size_t count, float* out) const;

    // The same of records one after another in memory.
    void estimate_range(const std::uint8_t* records, std::size_t count, float* out) const;

    // What the true distance is not below, and not above, but for the share that `bound_sigmas` leaves.
    float lower_bound(const std::uint8_t* record, float estimate) const;
    float upper_bound(const std::uint8_t* record, float estimate) const;

    // Never above lower_bound and quicker to find: enough to rule most rows out.
    float loose_lower_bound(const std::uint8_t* record, float estimate) const {
        const CodeFactors factors = factors_of(record);
        if (by_centre_ || !is_plain(factors, estimate)) return lower_bound(record, estimate);
        if (factors.tells_nothing()) return estimate - factors.norm * bound_.longest;
        const float ratio = factors.ratio();
        return estimate - factors.norm * (ratio * loose_code_weight_ + (1 + ratio) * loose_query_weight_);
    }

  private:
    friend class QueriesByCentre;
    friend class Quantizer;

    QueryCode(const Quantizer& quantizer, const float* vector, float bound_sigmas, std::size_t centre);
    // Of what `prepare` made of the query against the centre, or, under inner product, against nothing.
    QueryCode(const Quantizer& quantizer, const float* vector, float bound_sigmas, std::size_t centre,
              const Quantizer::Prepared& prepared, const float* rotated);
    // All that does not depend on the query.
    explicit QueryCode(const Quantizer& quantizer);
    void set(const Quantizer& quantizer, const float* vector, float bound_sigmas, std::size_t centre,
             const Quantizer::Prepared& prepared, const float* rotated);

    // Of several centres: the query against that of the record.
    const QueryCode& of_centre(const std::uint8_t* record) const;

    CodeFactors factors_of(const std::uint8_t* record) const {
        CodeFactors factors;
        std::memcpy(&factors, record + code_bytes_, sizeof factors);
        return factors;
    }

    // Of the query, what bounds are found with.
    template <class Number>
    struct Weights {
        Number norm = 0;         // of |r|^2 in an estimate
        Number length = 0;       // of the query as it was rotated
        Number code_error = 0;   // times |e|: per unit of the length of what is orthogonal to the residual
        Number query_error = 0;  // of the query's own rounding, per unit of |r| + |e|
        Number longest = 0;      // of |r| where a code tells nothing
    };

    // estimate = norm |r|^2 + offset + t (sum_weight * integer sum + sum_offset)
    struct WideWeights {
        Weights<double> bound;
        double offset = 0;
        double sum_weight = 0;
        double sum_offset = 0;
    };

    template <class Number>
    struct Bounded {
        Number norm;
        Number ratio;
        bool tells_nothing;
        Number estimate;
        Number unsure;  // the share of |r| and of t that rounding may have taken, where it is not in the query's error
    };

    // Whether float32 does for the bounds of this record.
    bool is_plain(const CodeFactors& factors, float estimate) const {
        return is_plain_ && (is_ordinary(estimate) || estimate == 0) && factors.is_ordinary();
    }

    // All bits of those that are not ordinary.
    typedef std::int32_t Outside __attribute__((vector_size(4 * kCodeTile)));

    // Of kCodeTile records.
    Outside finish_tile(const std::uint8_t* const* records, const std::int32_t* sums, float* out) const;
    float finish(const std::uint8_t* record, std::int32_t sum) const;
    float finish_wide(const std::uint8_t* record, std::int32_t sum) const;
    void estimate_tiles(const std::uint8_t* const* records, std::size_t tiles, float* out) const;
    template <class Number>
    Number lower(const Weights<Number>& weights, const Bounded<Number>& of) const;
    template <class Number>
    Number upper(const Weights<Number>& weights, const Bounded<Number>& of) const;
    Bounded<double> wide(const CodeFactors& factors, float estimate) const;

    void round_whole(const Quantizer& quantizer, const float* rotated, float bound_sigmas);
    void round_parts(const Quantizer& quantizer, const float* rotated, float bound_sigmas);
    void set_errors(float squared_error, float bound_sigmas);
    void set_wide(double offset, int exponent);

    Metric metric_;
    std::size_t code_bytes_;
    std::size_t record_bytes_;
    std::unique_ptr<QueriesByCentre> by_centre_;  // nullptr: there is one centre, and all below is against it
    // With a basis:
    std::optional<CodeLanes> lanes_;
    LaneProducts lane_products_ = nullptr;
    // Without one:
    CodeShape shape_{};
    CodeProducts products_{};
    std::unique_ptr<std::int8_t[], AlignedDelete> query_;  // as code_dot.h lays it out
    Weights<float> bound_;
    float offset_ = 0;  // NaN: the query is not ordinary, and neither are its estimates
    float sum_weight_ = 0;
    float sum_offset_ = 0;
    float loose_code_weight_ = 0;  // of |e| and of |r| + |e| in loose_lower_bound
    float loose_query_weight_ = 0;
    bool is_plain_ = true;  // the query is ordinary
    WideWeights wide_;
};

}  // namespace lutra
