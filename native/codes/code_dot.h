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

// Codes a kernel takes at once.
inline constexpr std::size_t kCodeTile = 4;

// The sum over dimensions of code times query. `query`: for each block and each of the 8 / bits codes of a byte,
// 64 elements from -127 to 127, those past the width of the block 0; 64-byte aligned.
struct CodeProducts {
    std::int32_t (*one)(const std::uint8_t* code, const std::int8_t* query, const CodeShape& shape);
    void (*tile)(const std::uint8_t* const (&codes)[kCodeTile], const std::int8_t* query, const CodeShape& shape,
                 std::int32_t* sums);
};

CodeProducts code_products(CodeLevel level, unsigned bits);

// How many elements `query` has.
inline std::size_t query_elements(const CodeShape& shape, unsigned bits) {
    return (shape.blocks + (shape.tail_bytes != 0)) * (8 / bits) * kCodeBlockBytes;
}

// Puts `values` [padded dimension] into that order.
void arrange_query(const std::int8_t* values, const CodeShape& shape, unsigned bits, std::int8_t* query);

}  // namespace lutra
