// CRC-8 with polynomial 0x07, initial value 0, not reflected: PlainBuffer's checksum.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace lutra {

namespace detail {

constexpr std::size_t kCrcSlices = 16;

using CrcTable = std::array<std::array<std::uint8_t, 256>, kCrcSlices>;

// table[s][b]: what byte b contributes once s more bytes have followed it.
constexpr CrcTable make_crc_table() {
    CrcTable table{};
    for (unsigned byte = 0; byte < 256; ++byte) {
        std::uint8_t crc = static_cast<std::uint8_t>(byte);
        for (int bit = 0; bit < 8; ++bit) {
            crc = static_cast<std::uint8_t>((crc & 0x80) ? (crc << 1) ^ 0x07 : crc << 1);
        }
        table[0][byte] = crc;
    }
    for (std::size_t slice = 1; slice < kCrcSlices; ++slice) {
        for (unsigned byte = 0; byte < 256; ++byte) {
            table[slice][byte] = table[0][table[slice - 1][byte]];
        }
    }
    return table;
}

inline constexpr CrcTable kCrcTable = make_crc_table();

}  // namespace detail

inline std::uint8_t crc8(std::uint8_t crc, std::uint8_t byte) {
    return detail::kCrcTable[0][crc ^ byte];
}

// Sixteen bytes a step: only the first waits for the step before, so the lookups overlap.
inline std::uint8_t crc8(std::uint8_t crc, const std::uint8_t* data, std::size_t size) {
    const auto& table = detail::kCrcTable;
    while (size >= detail::kCrcSlices) {
        std::uint8_t rest = 0;
        for (std::size_t i = 1; i < detail::kCrcSlices; ++i) {
            rest ^= table[detail::kCrcSlices - 1 - i][data[i]];
        }
        crc = rest ^ table[detail::kCrcSlices - 1][crc ^ data[0]];
        data += detail::kCrcSlices;
        size -= detail::kCrcSlices;
    }
    for (std::size_t i = 0; i < size; ++i) crc = table[0][crc ^ data[i]];
    return crc;
}

inline std::uint8_t crc8_int64(std::uint8_t crc, std::int64_t value) {
    std::uint8_t bytes[8];
    for (int i = 0; i < 8; ++i) bytes[i] = static_cast<std::uint8_t>(static_cast<std::uint64_t>(value) >> (8 * i));
    return crc8(crc, bytes, sizeof bytes);
}

}  // namespace lutra
