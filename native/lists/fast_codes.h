// Short codes of rows in lists, made to be scanned fast: 4 bits a pair of directions, of which a query looks its share of
// the distance up in tables of 16 bytes that fit a register (Andre et al., "Cache locality is not enough", VLDB 2015).
//
// What is coded is the residual r of a row against its list's centroid c, both where codes put vectors
// (Quantizer::place), along the `groups` pairs of directions that residuals vary most along: of each pair the number of
// the nearest of 16 centres. With x' what the centres make of r, and e = r - x',
//     |q - c - r|^2 is about |q - c|^2 - 2 <q, x'> + k,  k = |x'|^2 + 2 <c, x'> + |e|^2,
// and off by 2 <q - c - x', e>, which is 2 |e|^2 of a row that is the query itself, and mostly less. The first part is the
// list's, known when lists are ranked; the last is the row's own, kept as int16.
//
// Rows lie in blocks of 16, whatever their lists: [column][16] bytes, two groups a column, the first in the low bits; then
// int16 [16], of which kFastUnknown says that nothing is known of the row. Numbers are little-endian.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <vector>

#include "lists.h"

namespace lutra {

inline constexpr std::size_t kFastRows = 16;     // of a block
inline constexpr std::size_t kFastCentres = 16;  // of a group
inline constexpr std::size_t kFastGroupsMultiple = 8;
inline constexpr std::size_t kFastGroupsMax = 128;
inline constexpr std::int16_t kFastUnknown = std::numeric_limits<std::int16_t>::min();

// A query's tables: rounded to steps, no sum of two above 255.
struct FastTables {
    alignas(64) std::uint8_t low[kFastGroupsMax / 2][kFastCentres];
    alignas(64) std::uint8_t high[kFastGroupsMax / 2][kFastCentres];
    std::size_t columns;
    float step;      // of the tables,
    float row_step;  // and of what is the row's own
};

// Of `count` blocks: estimates [count * kFastRows], step * sum + row_step * k, and of each block which of its rows, a bit
// each, are not above `limit`, or unknown.
using FastScan = void (*)(const std::uint8_t* blocks, std::size_t count, const FastTables& tables, float limit,
                          float* estimates, std::uint16_t* within);

FastScan fast_scan(CodeLevel level);

// How rows are coded. Immutable; the lists have to stay. Not for inner products.
class FastCodes {
  public:
    // `directions` [2 * groups, elements of a centroid], at right angles to each other and of length 1; `centres`
    // [groups, 16, 2], along a group's two directions; `row_step` of what is a row's own; `squared_error`: |e|^2 of
    // nearly all rows. All are copied. Throws std::invalid_argument.
    FastCodes(const Lists& lists, std::size_t groups, const float* directions, const float* centres, float row_step,
              float squared_error, CodeLevel level = code_levels().front());

    const Lists& lists() const { return lists_; }
    std::size_t block_bytes() const { return groups_ / 2 * kFastRows + kFastRows * sizeof(std::int16_t); }
    std::size_t size_bytes() const;
    float squared_error() const { return squared_error_; }
    FastScan scan() const { return scan_; }

    // Fills the blocks of rows [begin, begin + count), begin a multiple of 16; `vectors` [count, dimension] are theirs.
    void encode(const float* vectors, std::size_t begin, std::size_t count, std::uint8_t* blocks, unsigned threads) const;

    // Of a query as lists place it. Returns what is to be added to all estimates, beside the list's own part; they are
    // rather too small than too large by the rounding of tables.
    float prepare(const float* placed, FastTables& tables) const;

  private:
    struct Scratch;

    void turn(const float* placed, float* turned) const;
    void encode_row(const float* vector, std::size_t row, std::uint8_t* block, Scratch& scratch) const;

    const Lists& lists_;
    std::size_t groups_;
    std::size_t size_;
    std::vector<float> directions_;  // [size, 2 * groups]
    std::vector<float> centres_;     // [groups, 2, 16]
    float row_step_;
    float squared_error_;
    FastScan scan_;
};

}  // namespace lutra
