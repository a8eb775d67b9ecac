// Which rows count, a bit each: an eighth of what a byte each takes of the processor's caches, where every row that a
// walk meets is looked up, and 64 rows of which none counts are passed over at once.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "distance.h"

namespace lutra {

class RowMask {
  public:
    // `counts` [row_count]: a row counts where it is not 0. Every level gives the same.
    RowMask(const std::uint8_t* counts, std::size_t row_count, SimdLevel level = simd_levels().front());

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

    // The first row of [begin, end) that counts; `end` where none does.
    std::size_t first(std::size_t begin, std::size_t end) const;

  private:
    std::size_t row_count_;
    std::size_t count_ = 0;
    std::vector<std::uint64_t> words_;  // bits past the last row are 0
};

// Rows that count, from parts of all rows evenly apart: at most `most`, at least one where any counts.
std::vector<std::uint32_t> evenly_spread(const RowMask& mask, std::size_t most);

}  // namespace lutra
