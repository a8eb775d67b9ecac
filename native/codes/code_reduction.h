// Codes of fewer bits made from codes of more: what a small budget of memory holds of a segment's codes.
#pragma once

#include <cstddef>
#include <cstdint>

namespace lutra {

// Fills `reduced` [count, padded_dimension * reduced_bits / 8 + 8] from `records` [count, padded_dimension * bits / 8 +
// 8] of a Quantizer without a basis: records of one of `reduced_bits` with the same dimension, metric, centroid and
// seed. Of each code the highest bits are kept, and the factors are fitted to those, taking the longer code for the
// vector's direction. They are a little worse than codes made from the vectors. Bits: 1, 2, 4 or 8, fewer of the
// reduced.
void reduce_codes(std::size_t padded_dimension, unsigned bits, unsigned reduced_bits, const std::uint8_t* records,
                  std::size_t count, std::uint8_t* reduced);

}  // namespace lutra
