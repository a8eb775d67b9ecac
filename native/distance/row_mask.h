// Which rows count, a bit each: an eighth of what a byte each takes of the processor's caches, where every row that a
// walk meets is looked up, and 64 rows of which none counts are passed over at once. A mask never changes once it is
// made; what a filter does with masks makes new ones, and counts as it goes.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "distance.h"

namespace lutra {

class RowMask {
  public:
    // `counts` [row_count]: a row counts where it is not 0. Every level gives the same.
    RowMask(const std::uint8_t* counts, std::size_t row_count, SimdLevel level = simd_levels().front());
    // `words` [row_count / 64, rounded up]: row i is bit i % 64 of word i / 64. What lies past the last row is cleared.
    RowMask(std::vector<std::uint64_t> words, std::size_t row_count, SimdLevel level = simd_levels().front());

    std::size_t row_count() const { return row_count_; }
    // Rows that count.
    std::size_t count() const { return count_; }
    bool contains(std::size_t row) const { return (words_[row / 64] >> row % 64 & 1) != 0; }

    // Calls look(row) for each row of [begin, end) that counts, in order.
    template <class Look>
    void each(std::size_t begin, std::size_t end, const Look& look) const {
        for (std::size_t first = begin / 64 * 64; first < end; first += 64) {
            std::uint64_t word = words_[first / 64];
            if (first < begin) word &= ~std::uint64_t{0} << (begin - first);
            if (end - first < 64) word &= (std::uint64_t{1} << (end - first)) - 1;
            for (; word != 0; word &= word - 1) look(first + static_cast<std::size_t>(std::countr_zero(word)));
        }
    }

    // Rows of [begin, end) that count.
    std::size_t count_within(std::size_t begin, std::size_t end) const {
        std::size_t count = 0;
        for (std::size_t first = begin / 64 * 64; first < end; first += 64) {
            std::uint64_t word = words_[first / 64];
            if (first < begin) word &= ~std::uint64_t{0} << (begin - first);
            if (end - first < 64) word &= (std::uint64_t{1} << (end - first)) - 1;
            count += static_cast<std::size_t>(std::popcount(word));
        }
        return count;
    }

    // The first row of [begin, end) that counts; `end` where none does.
    std::size_t first(std::size_t begin, std::size_t end) const;

    const std::vector<std::uint64_t>& words() const { return words_; }

  private:
    RowMask(std::vector<std::uint64_t> words, std::size_t row_count, std::size_t count);
    template <class Operation>
    static RowMask combined(const RowMask& one, const RowMask& other, SimdLevel level);
    friend RowMask both(const RowMask& one, const RowMask& other, SimdLevel level);
    friend RowMask either(const RowMask& one, const RowMask& other, SimdLevel level);
    friend RowMask without(const RowMask& one, const RowMask& other, SimdLevel level);

    std::size_t row_count_;
    std::size_t count_ = 0;
    std::vector<std::uint64_t> words_;  // bits past the last row are 0
};

// Rows that count in both, in either, in `one` but not in `other`. Throws std::invalid_argument where the masks are not
// of as many rows.
RowMask both(const RowMask& one, const RowMask& other, SimdLevel level);
RowMask either(const RowMask& one, const RowMask& other, SimdLevel level);
RowMask without(const RowMask& one, const RowMask& other, SimdLevel level);

// Rows that count in `needed` or more of `masks`, all of `row_count` rows; all rows where 0 are needed.
RowMask at_least(std::size_t needed, std::span<const RowMask* const> masks, std::size_t row_count);

// The first `most` rows that count, in ascending order or from the last one down.
std::vector<std::int64_t> first_rows(const RowMask& mask, std::size_t most, bool descending);

// Fills `counts` [count / 64, rounded up] with a bit for each of `rows` [count]: whether it counts. False where one is none
// of the mask's.
bool look_up(const RowMask& mask, const std::int32_t* rows, std::size_t count, SimdLevel level, std::uint64_t* counts);

// Rows that count, from parts of all rows evenly apart: at most `most`, at least one where any counts.
std::vector<std::uint32_t> evenly_spread(const RowMask& mask, std::size_t most);

}  // namespace lutra
