#include "row_mask.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <utility>

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

// Fills words [word_count]; returns how many bits are set.
using Combine = std::size_t (*)(const std::uint64_t* one, const std::uint64_t* other, std::size_t word_count,
                                std::uint64_t* words);

struct And {
    static std::uint64_t of(std::uint64_t one, std::uint64_t other) { return one & other; }
};
struct Or {
    static std::uint64_t of(std::uint64_t one, std::uint64_t other) { return one | other; }
};
struct AndNot {
    static std::uint64_t of(std::uint64_t one, std::uint64_t other) { return one & ~other; }
};

template <class Operation>
std::size_t combine_portable(const std::uint64_t* one, const std::uint64_t* other, std::size_t word_count,
                             std::uint64_t* words) {
    std::size_t count = 0;
    for (std::size_t i = 0; i < word_count; ++i) {
        words[i] = Operation::of(one[i], other[i]);
        count += static_cast<std::size_t>(std::popcount(words[i]));
    }
    return count;
}

std::size_t count_portable(const std::uint64_t* words, std::size_t word_count) {
    std::size_t count = 0;
    for (std::size_t i = 0; i < word_count; ++i) count += static_cast<std::size_t>(std::popcount(words[i]));
    return count;
}

#if defined(__x86_64__)
template <class Operation>
__attribute__((target("popcnt"))) std::size_t combine_popcnt(const std::uint64_t* one, const std::uint64_t* other,
                                                             std::size_t word_count, std::uint64_t* words) {
    std::size_t count = 0;
    for (std::size_t i = 0; i < word_count; ++i) {
        words[i] = Operation::of(one[i], other[i]);
        count += static_cast<std::size_t>(_mm_popcnt_u64(words[i]));
    }
    return count;
}

__attribute__((target("popcnt"))) std::size_t count_popcnt(const std::uint64_t* words, std::size_t word_count) {
    std::size_t count = 0;
    for (std::size_t i = 0; i < word_count; ++i) count += static_cast<std::size_t>(_mm_popcnt_u64(words[i]));
    return count;
}
#endif

template <class Operation>
Combine combine_at(SimdLevel level) {
#if defined(__x86_64__)
    if (level != SimdLevel::kPortable) return combine_popcnt<Operation>;
#endif
    static_cast<void>(level);
    return combine_portable<Operation>;
}

std::size_t count_of(const std::vector<std::uint64_t>& words, SimdLevel level) {
#if defined(__x86_64__)
    if (level != SimdLevel::kPortable) return count_popcnt(words.data(), words.size());
#endif
    static_cast<void>(level);
    return count_portable(words.data(), words.size());
}

// Of 64 rows at once: in how many masks each counts, a word for each binary digit of that number.
class Tally {
  public:
    // All digits up to those of `most`.
    explicit Tally(std::size_t most) : digits_(static_cast<std::size_t>(std::bit_width(most))) {}

    void add(std::uint64_t word) {
        for (std::size_t digit = 0; word != 0; ++digit) {
            const std::uint64_t carry = digits_[digit] & word;
            digits_[digit] ^= word;
            word = carry;
        }
    }

    // The rows that were counted `needed` times or more; all are forgotten.
    std::uint64_t take(std::size_t needed) {
        std::uint64_t more = 0, same = ~std::uint64_t{0};
        for (std::size_t digit = digits_.size(); digit-- > 0;) {
            if ((needed >> digit & 1) != 0) {
                same &= digits_[digit];
            } else {
                more |= same & digits_[digit];
                same &= ~digits_[digit];
            }
            digits_[digit] = 0;
        }
        return more | same;
    }

  private:
    std::vector<std::uint64_t> digits_;
};

}  // namespace

RowMask::RowMask(std::vector<std::uint64_t> words, std::size_t row_count, SimdLevel level)
    : row_count_(row_count), words_(std::move(words)) {
    words_.resize((row_count + 63) / 64);
    if (row_count % 64 != 0) words_.back() &= (std::uint64_t{1} << row_count % 64) - 1;
    count_ = count_of(words_, level);
}

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

RowMask::RowMask(std::vector<std::uint64_t> words, std::size_t row_count, std::size_t count)
    : row_count_(row_count), count_(count), words_(std::move(words)) {}

template <class Operation>
RowMask RowMask::combined(const RowMask& one, const RowMask& other, SimdLevel level) {
    if (one.row_count_ != other.row_count_) throw std::invalid_argument("masks of different numbers of rows");
    std::vector<std::uint64_t> words(one.words_.size());
    const std::size_t count =
        combine_at<Operation>(level)(one.words_.data(), other.words_.data(), words.size(), words.data());
    return RowMask(std::move(words), one.row_count_, count);
}

RowMask both(const RowMask& one, const RowMask& other, SimdLevel level) {
    return RowMask::combined<And>(one, other, level);
}

RowMask either(const RowMask& one, const RowMask& other, SimdLevel level) {
    return RowMask::combined<Or>(one, other, level);
}

RowMask without(const RowMask& one, const RowMask& other, SimdLevel level) {
    return RowMask::combined<AndNot>(one, other, level);
}

RowMask at_least(std::size_t needed, std::span<const RowMask* const> masks, std::size_t row_count) {
    std::vector<std::uint64_t> words((row_count + 63) / 64, needed == 0 ? ~std::uint64_t{0} : 0);
    if (needed > 0 && needed <= masks.size()) {
        Tally tally(masks.size());
        for (std::size_t i = 0; i < words.size(); ++i) {
            for (const RowMask* mask : masks) tally.add(mask->words()[i]);
            words[i] = tally.take(needed);
        }
    }
    return RowMask(std::move(words), row_count);
}

std::vector<std::int64_t> first_rows(const RowMask& mask, std::size_t most, bool descending) {
    std::vector<std::int64_t> rows;
    most = std::min(most, mask.count());
    rows.reserve(most);
    const std::vector<std::uint64_t>& words = mask.words();
    for (std::size_t i = 0; rows.size() < most; ++i) {
        const std::size_t at = descending ? words.size() - 1 - i : i;
        for (std::uint64_t word = words[at]; word != 0 && rows.size() < most;) {
            const int bit = descending ? 63 - std::countl_zero(word) : std::countr_zero(word);
            rows.push_back(static_cast<std::int64_t>(64 * at) + bit);
            word &= ~(std::uint64_t{1} << bit);
        }
    }
    return rows;
}

namespace {

// Looks up as many of `rows` as whole steps take, from the first on; returns how many, or kOutside.
using LookUp = std::size_t (*)(const std::uint64_t* words, std::uint32_t row_count, const std::int32_t* rows,
                               std::size_t count, std::uint64_t* counts);
constexpr std::size_t kOutside = ~std::size_t{0};

#if defined(__x86_64__)

__attribute__((target("avx2"))) std::size_t look_up_avx2(const std::uint64_t* words, std::uint32_t row_count,
                                                         const std::int32_t* rows, std::size_t count,
                                                         std::uint64_t* counts) {
    const auto* halves = reinterpret_cast<const int*>(words);
    const __m256i last = _mm256_set1_epi32(static_cast<int>(row_count - 1));
    std::size_t i = 0;
    for (; i + 8 <= count; i += 8) {
        const __m256i row = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(rows + i));
        const __m256i inside = _mm256_cmpeq_epi32(_mm256_max_epu32(row, last), last);
        if (_mm256_movemask_epi8(inside) != -1) return kOutside;
        const __m256i half = _mm256_i32gather_epi32(halves, _mm256_srli_epi32(row, 5), 4);
        const __m256i places = _mm256_sub_epi32(_mm256_set1_epi32(31), _mm256_and_si256(row, _mm256_set1_epi32(31)));
        const int bits = _mm256_movemask_ps(_mm256_castsi256_ps(_mm256_sllv_epi32(half, places)));
        counts[i / 64] |= static_cast<std::uint64_t>(bits) << i % 64;
    }
    return i;
}

__attribute__((target("avx512f"))) std::size_t look_up_avx512(const std::uint64_t* words, std::uint32_t row_count,
                                                              const std::int32_t* rows, std::size_t count,
                                                              std::uint64_t* counts) {
    const __m512i last = _mm512_set1_epi32(static_cast<int>(row_count - 1)), one = _mm512_set1_epi32(1);
    std::size_t i = 0;
    for (; i + 16 <= count; i += 16) {
        const __m512i row = _mm512_loadu_si512(rows + i);
        if (_mm512_cmpgt_epu32_mask(row, last) != 0) return kOutside;
        const __m512i half = _mm512_i32gather_epi32(_mm512_srli_epi32(row, 5), words, 4);
        const __m512i place = _mm512_sllv_epi32(one, _mm512_and_si512(row, _mm512_set1_epi32(31)));
        counts[i / 64] |= static_cast<std::uint64_t>(_mm512_test_epi32_mask(half, place)) << i % 64;
    }
    return i;
}

#endif

}  // namespace

bool look_up(const RowMask& mask, const std::int32_t* rows, std::size_t count, SimdLevel level, std::uint64_t* counts) {
    const std::size_t row_count = mask.row_count();
    std::size_t done = 0;
    std::fill_n(counts, (count + 63) / 64, std::uint64_t{0});
#if defined(__x86_64__)
    if (row_count > 0 && row_count <= 0x7fffffff && level != SimdLevel::kPortable) {
        const LookUp look = level == SimdLevel::kAvx512 ? look_up_avx512 : look_up_avx2;
        done = look(mask.words().data(), static_cast<std::uint32_t>(row_count), rows, count, counts);
        if (done == kOutside) return false;
    }
#else
    (void)level;
#endif
    for (; done < count; ++done) {
        const auto row = static_cast<std::size_t>(rows[done]);  // a negative one is larger than any
        if (row >= row_count) return false;
        counts[done / 64] |= static_cast<std::uint64_t>(mask.contains(row)) << done % 64;
    }
    return true;
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
