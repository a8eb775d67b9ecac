#include "row_mask.h"

#include <algorithm>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace lutra {

namespace {

// Fills words [row_count / 64]; returns how many rows count. Each level packs whole words only.
using Pack = std::size_t (*)(const std::uint8_t* counts, std::size_t word_count, std::uint64_t* words);

// Bit i of the result: whether byte i is not 0.
std::uint64_t bits_of(std::uint64_t eight) {
    constexpr std::uint64_t kLowBits = 0x0101010101010101;
    constexpr std::uint64_t kBelowTop = 0x7f * kLowBits;
    const std::uint64_t top = ((eight & kBelowTop) + kBelowTop) | eight;  // the top bit of each byte that is not 0
    // Byte i times 2^(7 (8 - i)): each one's bit lands in a place of its own of the top byte.
    return (top >> 7 & kLowBits) * 0x0102040810204080 >> 56;
}

std::size_t pack_portable(const std::uint8_t* counts, std::size_t word_count, std::uint64_t* words) {
    std::size_t count = 0;
    for (std::size_t i = 0; i < word_count; ++i) {
        std::uint64_t word = 0;
        for (std::size_t eighth = 0; eighth < 8; ++eighth) {
            std::uint64_t eight;
            std::memcpy(&eight, counts + 64 * i + 8 * eighth, sizeof eight);
            if (eight != 0) word |= bits_of(eight) << 8 * eighth;
        }
        words[i] = word;
        count += static_cast<std::size_t>(std::popcount(word));
    }
    return count;
}

#if defined(__x86_64__)
__attribute__((target("avx2,popcnt"))) std::size_t pack_avx2(const std::uint8_t* counts, std::size_t word_count,
                                                             std::uint64_t* words) {
    const __m256i zero = _mm256_setzero_si256();
    const auto zeros = [&](const std::uint8_t* at) __attribute__((target("avx2,popcnt"))) {
        const __m256i bytes = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at));
        return static_cast<std::uint32_t>(_mm256_movemask_epi8(_mm256_cmpeq_epi8(bytes, zero)));
    };
    std::size_t count = 0;
    for (std::size_t i = 0; i < word_count; ++i) {
        const std::uint64_t high = zeros(counts + 64 * i + 32);
        words[i] = ~(high << 32 | zeros(counts + 64 * i));
        count += static_cast<std::size_t>(_mm_popcnt_u64(words[i]));
    }
    return count;
}
#endif

Pack pack_at(SimdLevel level) {
#if defined(__x86_64__)
    if (level != SimdLevel::kPortable) return pack_avx2;
#endif
    static_cast<void>(level);
    return pack_portable;
}

}  // namespace

RowMask::RowMask(const std::uint8_t* counts, std::size_t row_count, SimdLevel level)
    : row_count_(row_count), words_((row_count + 63) / 64) {
    const Pack pack = pack_at(level);
    const std::size_t whole = row_count / 64;
    count_ = pack(counts, whole, words_.data());
    if (whole == words_.size()) return;
    std::uint8_t last[64] = {};
    std::memcpy(last, counts + 64 * whole, row_count - 64 * whole);
    count_ += pack(last, 1, words_.data() + whole);
}

std::size_t RowMask::first(std::size_t begin, std::size_t end) const {
    for (std::size_t row = begin; row < end;) {
        const std::uint64_t word = words_[row / 64] >> row % 64;
        if (word != 0) return std::min(end, row + static_cast<std::size_t>(std::countr_zero(word)));
        row = (row / 64 + 1) * 64;
    }
    return end;
}

std::vector<std::uint32_t> evenly_spread(const RowMask& mask, std::size_t most) {
    std::vector<std::uint32_t> rows;
    const std::size_t parts = std::min(most, mask.row_count());
    for (std::size_t part = 0; part < parts; ++part) {
        const std::size_t end = (part + 1) * mask.row_count() / parts;
        const std::size_t row = mask.first(part * mask.row_count() / parts, end);
        if (row != end) rows.push_back(static_cast<std::uint32_t>(row));
    }
    return rows;
}

}  // namespace lutra
