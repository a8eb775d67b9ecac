// Products of unsigned by signed bytes, summed to int32: exact, and so the same at every SIMD level.
#pragma once

#include <cstddef>
#include <cstdint>

#include "distance.h"

namespace lutra {

// Rows a product takes at once: fewer are filled up by repeating one.
inline constexpr std::size_t kByteTileRows = 4;
// Bytes a row's length is a multiple of.
inline constexpr std::size_t kByteLanes = 64;

// sums[i] = the product of rows[i] and query, each `size` bytes long; size is a multiple of kByteLanes, at most 2^16.
using ByteProducts = void (*)(const std::uint8_t* const* rows, const std::int8_t* query, std::size_t size,
                              std::int32_t* sums);

// The best at or below the level that this machine runs.
ByteProducts byte_products(SimdLevel level);

}  // namespace lutra
