// Codes of the neighbours of a row against the row itself, so that a walk which has come to it estimates the distances
// to all of them at once, from one place in memory (SymphonyQG, Gou et al., SIGMOD 2025).
//
// The residual of a neighbour x against its row p is rotated at random and coded with 2 bits a dimension, as codes.h has
// it: t c is x - p, plus an error at right angles to it. With the distance d from the query q to p at hand,
//
//     |q - x|^2 = d + |x - p|^2 - 2 <x - p, q - p>, estimated by d + base - 2 t <c, q - m>,
//     base = |x - p|^2 + 2 t <c, p - m>,
//
// where m is the centroid of all rows: the query's rounding is then of no more than its own residual. As neighbours are
// near, their residuals are short, and so is the error. Under cosine vectors are of length 1, and half of that is the
// distance; of a product, d - t <c, q> is the estimate.
//
// A block is the row's vector as float32, its neighbours as uint32 and of each the base as float32 and t as the upper
// half of a float32, which base takes into account; then, for each 16 neighbours, their packed codes with every 4 bytes
// of the 16 side by side. Each of these is filled up with zeros to 64 bytes. Places for neighbours are a multiple of 16;
// the base of one that is not used is infinite, so that its estimate is never below anything. All of it lies together, as
// a walk needs all of it: three places in memory for each row took nearly twice as long.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "code_arithmetic.h"
#include "code_dot.h"
#include "rotation.h"
#include "topk.h"

namespace lutra {

inline constexpr unsigned kLinkBits = 2;
// Neighbours whose codes lie side by side.
inline constexpr std::size_t kLinkLanes = 16;

// In a list of neighbours: a place that is not used, and none after it is.
inline constexpr std::uint32_t kNoNeighbour = 0xffffffff;

// Where things lie in a block.
struct LinkLayout {
    std::size_t dimension;
    std::size_t degree;
    std::size_t code_bytes;  // of a neighbour

    std::size_t groups() const { return (degree + kLinkLanes - 1) / kLinkLanes; }
    std::size_t places() const { return groups() * kLinkLanes; }
    std::size_t neighbours_begin() const { return in_lines(dimension * sizeof(float)); }
    std::size_t bases_begin() const { return neighbours_begin() + places() * sizeof(std::uint32_t); }
    std::size_t scales_begin() const { return bases_begin() + places() * sizeof(float); }
    std::size_t codes_begin() const { return in_lines(scales_begin() + places() * sizeof(std::uint16_t)); }
    std::size_t block_bytes() const { return codes_begin() + places() * code_bytes; }

  private:
    static std::size_t in_lines(std::size_t bytes) { return (bytes + 63) / 64 * 64; }
};

// A block's parts.
struct LinkBlock {
    const std::uint8_t* begin;
    const LinkLayout& layout;

    const float* vector() const { return reinterpret_cast<const float*>(begin); }
    const std::uint32_t* neighbours() const {
        return reinterpret_cast<const std::uint32_t*>(begin + layout.neighbours_begin());
    }
    const float* bases() const { return reinterpret_cast<const float*>(begin + layout.bases_begin()); }
    const std::uint16_t* scales() const {
        return reinterpret_cast<const std::uint16_t*>(begin + layout.scales_begin());
    }
    const std::uint8_t* codes() const { return begin + layout.codes_begin(); }
};

// The sums over dimensions of levels (0 to 3) times query, of all neighbours: `sums` [groups * kLinkLanes].
// `query`: as arrange_query puts it. 64-byte aligned, all of them.
using LinkProducts = void (*)(const std::uint8_t* codes, std::size_t groups, std::size_t words, const std::int8_t* query,
                              std::int32_t* sums);

// What makes estimates of sums.
struct LinkWeights {
    float distance;  // from the query to the row
    float base;
    float sum;
    float offset;

    float estimate(std::int32_t sum_of, float base_of, std::uint16_t scale_of) const {
        const float scale = std::bit_cast<float>(std::uint32_t{scale_of} << 16);
        return (distance + base * base_of) - scale * (sum * static_cast<float>(sum_of) + offset);
    }
};

// Of the neighbours of groups those that are estimated below `limit`, in their order: their places and estimates; returns
// how many these are. Both have room for all.
using LinkChoice = std::size_t (*)(const LinkWeights& weights, const std::int32_t* sums, const float* bases,
                                   const std::uint16_t* scales, std::size_t groups, float limit, std::uint32_t* places,
                                   float* estimates);

struct LinkKernels {
    LinkProducts products;
    LinkChoice choose;
};

LinkKernels link_kernels(CodeLevel level);

// Immutable: any number of threads may use one. The same arguments give the same blocks on every machine.
class LinkCodes {
  public:
    // `centroid` [dimension] is copied; dimension: 1 to 4096.
    LinkCodes(std::size_t dimension, Metric metric, const float* centroid, std::uint64_t seed,
              CodeLevel level = code_levels().front());

    std::size_t dimension() const { return dimension_; }
    Metric metric() const { return metric_; }
    LinkLayout layout(std::size_t degree) const { return {dimension_, degree, rotation_.size() * kLinkBits / 8}; }

    // Fills the block of a row, but for its vector: those of all `blocks` are there. `neighbours` [count], count at most
    // the degree. False: a length is so large or so small that float32 does not do, and no walk is to go by these codes.
    bool make(std::uint8_t* blocks, std::uint32_t row, const std::uint32_t* neighbours, std::size_t count,
              const LinkLayout& layout) const;

  private:
    friend class LinkQuery;

    Preparation preparation(const float* centre, bool is_rotated) const;

    std::size_t dimension_;
    Metric metric_;
    CodeLevel level_;
    Rotation rotation_;
    std::unique_ptr<float[], AlignedDelete> centroid_;  // [padded dimension]
};

// One query, rotated and rounded to int8.
class LinkQuery {
  public:
    // `vector` [dimension] is finite.
    LinkQuery(const LinkCodes& codes, const float* vector);

    // Whether float32 does for the query's length. Estimates of others mean nothing.
    bool is_plain() const { return is_plain_; }

    // Of the neighbours of a row at `distance` from the query those that are estimated below `limit`, by their places;
    // returns how many they are. Both have room for the places of the layout.
    std::size_t choose(const LinkBlock& block, float distance, float limit, std::uint32_t* places,
                       float* estimates) const;

  private:
    LinkKernels kernels_;
    std::unique_ptr<std::int8_t[], AlignedDelete> query_;
    float base_weight_;
    float sum_weight_ = 0;
    float sum_offset_ = 0;
    bool is_plain_ = false;
};

}  // namespace lutra
