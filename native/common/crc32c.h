// CRC-32C (Castagnoli), as in iSCSI, ext4 and RocksDB: the checksum of stored blocks.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

namespace lutra {

namespace crc32c_detail {

// Slicing by 8: table[k][b] carries byte b over k more bytes of zeros.
using Tables = std::array<std::array<std::uint32_t, 256>, 8>;

constexpr Tables make_tables() {
    Tables tables{};
    for (std::uint32_t byte = 0; byte < 256; ++byte) {
        std::uint32_t crc = byte;
        for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82f63b78u : 0u);
        tables[0][byte] = crc;
    }
    for (std::size_t k = 1; k < tables.size(); ++k) {
        for (std::size_t byte = 0; byte < 256; ++byte) {
            const std::uint32_t before = tables[k - 1][byte];
            tables[k][byte] = (before >> 8) ^ tables[0][before & 0xff];
        }
    }
    return tables;
}

inline constexpr Tables kTables = make_tables();

inline std::uint32_t portable(std::uint32_t crc, const unsigned char* at, std::size_t size) {
    for (; size >= 8; size -= 8, at += 8) {
        const std::uint32_t low =
            crc ^ (at[0] | std::uint32_t{at[1]} << 8 | std::uint32_t{at[2]} << 16 | std::uint32_t{at[3]} << 24);
        crc = kTables[7][low & 0xff] ^ kTables[6][(low >> 8) & 0xff] ^ kTables[5][(low >> 16) & 0xff] ^
              kTables[4][low >> 24] ^ kTables[3][at[4]] ^ kTables[2][at[5]] ^ kTables[1][at[6]] ^ kTables[0][at[7]];
    }
    for (; size > 0; --size, ++at) crc = (crc >> 8) ^ kTables[0][(crc ^ *at) & 0xff];
    return crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) inline std::uint32_t sse42(std::uint32_t crc, const unsigned char* at,
                                                             std::size_t size) {
    std::uint64_t wide = crc;
    for (; size >= 8; size -= 8, at += 8) {
        std::uint64_t word;
        std::memcpy(&word, at, sizeof word);
        wide = _mm_crc32_u64(wide, word);
    }
    crc = static_cast<std::uint32_t>(wide);
    for (; size > 0; --size, ++at) crc = _mm_crc32_u8(crc, *at);
    return crc;
}
#endif

}  // namespace crc32c_detail

// The checksum of `size` bytes without SIMD, on every machine the same as crc32c.
inline std::uint32_t crc32c_portable(const void* data, std::size_t size) {
    return ~crc32c_detail::portable(~0u, static_cast<const unsigned char*>(data), size);
}

// The checksum of `size` bytes.
inline std::uint32_t crc32c(const void* data, std::size_t size) {
    const auto* bytes = static_cast<const unsigned char*>(data);
#if defined(__x86_64__)
    static const bool has_sse42 = __builtin_cpu_supports("sse4.2") != 0;
    if (has_sse42) return ~crc32c_detail::sse42(~0u, bytes, size);
#endif
    return ~crc32c_detail::portable(~0u, bytes, size);
}

}  // namespace lutra
