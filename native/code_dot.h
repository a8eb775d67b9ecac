// Integer products of packed codes with a query in int8, for each SIMD level; all levels give the same sums.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>
#include <string_view>
#include <vector>

namespace lutra {

enum class CodeLevel { kPortable, kAvx2, kAvx512, kAvx512Vnni };

std::string_view name(CodeLevel level);

// The levels this machine runs, best first; kPortable is always there.
std::vector<CodeLevel> code_levels();

inline constexpr std::size_t kCodeBlockBytes = 64;

// The code of a vector: `blocks` whole blocks of 64 bytes, then one of tail_bytes (a multiple of 8, maybe 0).
struct CodeShape {
    std::size_t blocks;
    std::size_t tail_bytes;
};

inline CodeShape code_shape(std::size_t code_bytes) {
    return {code_bytes / kCodeBlockBytes, code_bytes % kCodeBlockBytes};
}

struct AlignedDelete {
    void operator()(void* place) const { std::free(place); }
};

template <class T>
std::unique_ptr<T[], AlignedDelete> aligned_array(std::size_t count) {
    const std::size_t bytes = (count * sizeof(T) + 63) / 64 * 64;
    void* place = std::aligned_alloc(64, bytes);
    if (place == nullptr) throw std::bad_alloc();
    return std::unique_ptr<T[], AlignedDelete>(static_cast<T*>(place));
}

// The sum over dimensions of code times query. `query`: for each block and each of the 8 / bits codes of a byte,
// 64 elements, those past the width of the block 0; 64-byte aligned.
using CodeDot = std::int32_t (*)(const std::uint8_t* code, const std::int8_t* query, const CodeShape& shape);

CodeDot code_dot(CodeLevel level, unsigned bits);

// How many elements `query` has.
inline std::size_t query_elements(const CodeShape& shape, unsigned bits) {
    return (shape.blocks + (shape.tail_bytes != 0)) * (8 / bits) * kCodeBlockBytes;
}

// Puts `values` [padded dimension] into that order.
void arrange_query(const std::int8_t* values, const CodeShape& shape, unsigned bits, std::int8_t* query);

// Packs `levels` [padded dimension], each below 2^bits.
void pack_code(const std::uint8_t* levels, const CodeShape& shape, unsigned bits, std::uint8_t* code);

}  // namespace lutra
