// The frames of a log as LevelDB and RocksDB write it (doc/log_format.md there): blocks of 32 KB, and in each one frame
// after the other: a masked CRC-32C of type and payload, the payload's length, the type. What is left of a block where
// no header fits is passed over.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "crc32c.h"

namespace lutra {

inline constexpr std::size_t kLogBlock = 32 * 1024;
inline constexpr std::size_t kLogHeader = 7;

enum class LogEnd : std::uint8_t {
    kWhole,    // after a frame
    kCut,      // within a frame that would have fitted its block
    kZeros,    // at a header of zeros
    kDamaged,  // at what is no frame
};

struct LogFrame {
    std::uint64_t payload;  // where it begins
    std::uint32_t length;
    std::uint8_t type;  // 1: a whole record; 2, 3, 4: its first part, one between, its last
};

struct LogFrames {
    std::vector<LogFrame> frames;
    std::uint64_t end = 0;  // how far they reach
    LogEnd why = LogEnd::kWhole;
};

inline LogFrames read_log_frames(std::span<const std::uint8_t> data) {
    LogFrames read;
    std::size_t at = 0;
    const auto ended = [&](LogEnd why) {
        read.end = at;
        read.why = why;
        return read;
    };
    while (at < data.size()) {
        const std::size_t left_in_block = kLogBlock - at % kLogBlock;
        if (left_in_block < kLogHeader) {
            at = std::min(at + left_in_block, data.size());
            continue;
        }
        if (data.size() - at < kLogHeader) return ended(LogEnd::kCut);
        const std::uint8_t* header = data.data() + at;
        const std::size_t length = header[4] | std::size_t{header[5]} << 8;
        const std::uint8_t type = header[6];
        if (type == 0 && length == 0) return ended(LogEnd::kZeros);
        if (type < 1 || type > 4 || kLogHeader + length > left_in_block) return ended(LogEnd::kDamaged);
        if (kLogHeader + length > data.size() - at) return ended(LogEnd::kCut);
        const std::uint32_t sum = crc32c(header + 6, 1 + length);
        const std::uint32_t masked = ((sum >> 15) | (sum << 17)) + 0xa282ead8u;
        const std::uint32_t stored = header[0] | std::uint32_t{header[1]} << 8 | std::uint32_t{header[2]} << 16 |
                                     std::uint32_t{header[3]} << 24;
        if (masked != stored) return ended(LogEnd::kDamaged);
        read.frames.push_back({at + kLogHeader, static_cast<std::uint32_t>(length), type});
        at += kLogHeader + length;
    }
    return ended(LogEnd::kWhole);
}

}  // namespace lutra
