// Integer products of codes of several parts with a query in int8, for each SIMD level; all levels give the same sums.
//
// A code is taken 64 bytes at a time, whatever parts lie in them: a step shifts every 32-bit lane by a multiple of its
// part's bits, keeps the lowest bits of each byte, and multiplies with the query's elements for these dimensions. What
// lanes of different parts sum up counts 2^shift-fold in the end, so that one sum is left of all parts.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "code_basis.h"
#include "code_dot.h"

namespace lutra {

inline constexpr std::size_t kLanes = 16;    // 32-bit ones of a chunk of 64 bytes
inline constexpr std::size_t kStepsMax = 8;  // codes of 1 bit in a byte
inline constexpr unsigned kSumBits = 30;     // what sums of all parts take at most, beside the sign

struct CodeChunk {
    alignas(64) std::int8_t query[kStepsMax][kCodeBlockBytes];  // 0 where a lane has no such step, or is no code
    alignas(64) std::uint32_t shifts[kStepsMax][kLanes];        // to the right, of the code
    alignas(64) std::uint32_t weights[kLanes];                  // shifts to the left, of a lane's sum
    alignas(64) std::uint8_t masks[kCodeBlockBytes];
    std::size_t steps;
    std::size_t bytes;  // 64; of the last chunk those the record has
    bool is_bytes;      // codes of 8 bits, all of them: products do not fit 16 bits
};

// A query arranged for the codes of a quantizer.
class CodeLanes {
  public:
    // Of records of `record_bytes`, which is as far as codes are read.
    CodeLanes(std::span<const CodePart> parts, std::size_t record_bytes);

    // Sets the elements of one part, from -127 to 127, in the order of its dimensions; its sum counts 2^weight-fold.
    void set_part(std::size_t part, const std::int8_t* values, unsigned weight);

    // How many bits sums of the part take at most, its weight left aside.
    static unsigned sum_bits(const CodePart& part);

    std::span<const CodeChunk> chunks() const { return {chunks_.get(), count_}; }

  private:
    struct Place {
        unsigned bits;
        std::size_t begin_bytes, size_bytes;
    };

    std::size_t count_;
    std::unique_ptr<CodeChunk[]> chunks_;
    Place places_[kCodePartsMax];
};

// Of `tiles` times kCodeTile codes; fills as many sums.
using LaneProducts = void (*)(const std::uint8_t* const* codes, std::size_t tiles, std::span<const CodeChunk> chunks,
                              std::int32_t* sums);

LaneProducts lane_products(CodeLevel level);

}  // namespace lutra
