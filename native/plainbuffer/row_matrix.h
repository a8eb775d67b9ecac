// SimpleRowMatrix, the wire's encoding of rows that have the same columns, free of Python: names once, then values.
//
//   matrix  := LE32 "SRM0", offset of the rows, offset of the options, count of key columns, count of the others,
//              (le16 name)*, options, rows, TAG_CHECKSUM crc
//   options := TAG_ENTIRE_KEYS 1 TAG_ROW_COUNT le32
//   row     := TAG_ROW variant*                   as many as there are columns; of a column that is absent, null
//
// Numbers are little-endian; variants are PlainBuffer's. The checksum covers every byte before it. Source: the official
// Java SDK's reader (SimpleRowMatrixBlockParser).
#pragma once

#include <cstdint>
#include <limits>
#include <stdexcept>
#include <string_view>
#include <vector>

#include "crc8.h"
#include "plainbuffer.h"

namespace lutra::plainbuffer {

inline constexpr std::uint32_t kMatrixVersion = 0x304d5253;  // "SRM0"

// Writes a matrix into a Buffer: first `begin`, then for each row `begin_row` and a value or null for each column, then
// `end`. Throws std::length_error beyond the format's 31-bit offsets and 15-bit names.
class MatrixWriter {
  public:
    explicit MatrixWriter(Buffer& out) : out_(out) {}

    void begin(const std::vector<std::string_view>& names, std::size_t key_count, std::size_t row_count) {
        std::size_t names_size = 0;
        for (std::string_view name : names) {
            check(name.size(), std::numeric_limits<std::int16_t>::max());
            names_size += 2 + name.size();
        }
        const std::size_t options = 5 * 4 + names_size;
        check(options + kOptionsSize, kSizeMax);
        check(row_count, kSizeMax);
        put32(kMatrixVersion);
        put32(static_cast<std::uint32_t>(options + kOptionsSize));
        put32(static_cast<std::uint32_t>(options));
        put32(static_cast<std::uint32_t>(key_count));
        put32(static_cast<std::uint32_t>(names.size() - key_count));
        for (std::string_view name : names) {
            std::uint8_t* at = out_.reserve(2 + name.size());
            *at++ = static_cast<std::uint8_t>(name.size());
            *at++ = static_cast<std::uint8_t>(name.size() >> 8);
            for (char byte : name) *at++ = static_cast<std::uint8_t>(byte);
            out_.advance(at);
        }
        put8(kTagEntireKeys);
        put8(1);
        put8(kTagRowCount);
        put32(static_cast<std::uint32_t>(row_count));
    }

    void begin_row() { put8(kTagRow); }

    // A default Variant is null.
    void put(const Variant& value) { Writer::write_variant(out_, value); }

    void end() {
        put8(kTagChecksum);
        check(out_.size() + 1, kSizeMax);
        put8(crc8(0, reinterpret_cast<const std::uint8_t*>(out_.data()), out_.size()));
    }

  private:
    static constexpr std::uint8_t kTagChecksum = 1, kTagRow = 2, kTagRowCount = 3, kTagEntireKeys = 10;
    static constexpr std::size_t kOptionsSize = 7;
    static constexpr std::size_t kSizeMax = std::numeric_limits<std::int32_t>::max();

    static void check(std::size_t size, std::size_t size_max) {
        if (size > size_max) throw std::length_error("SimpleRowMatrix: these rows are too large for one block");
    }

    void put8(std::uint8_t byte) {
        std::uint8_t* at = out_.reserve(1);
        *at++ = byte;
        out_.advance(at);
    }

    void put32(std::uint32_t number) {
        std::uint8_t* at = out_.reserve(4);
        for (int shift = 0; shift < 32; shift += 8) *at++ = static_cast<std::uint8_t>(number >> shift);
        out_.advance(at);
    }

    Buffer& out_;
};

}  // namespace lutra::plainbuffer
