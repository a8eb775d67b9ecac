// The adjacency of a graph while it is built: some room for more edges than a row keeps, so that pruning is not due at
// each new one.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace lutra {

class Links {
  public:
    Links(std::size_t row_count, std::size_t degree)
        : degree_(degree), room_(degree + std::max<std::size_t>(2, degree * 3 / 10)), rows_(row_count * room_),
          counts_(row_count) {}

    std::size_t row_count() const { return counts_.size(); }
    std::size_t degree() const { return degree_; }
    std::size_t room() const { return room_; }
    std::size_t size_bytes() const {
        return rows_.size() * sizeof(std::uint32_t) + counts_.size() * sizeof(std::uint16_t);
    }

    std::span<const std::uint32_t> of(std::uint32_t row) const { return {place(row), counts_[row]}; }

    void set(std::uint32_t row, std::span<const std::uint32_t> neighbours) {
        std::copy(neighbours.begin(), neighbours.end(), place(row));
        counts_[row] = static_cast<std::uint16_t>(neighbours.size());
    }

    void add(std::uint32_t row, std::uint32_t neighbour) { place(row)[counts_[row]++] = neighbour; }
    void replace(std::uint32_t row, std::size_t at, std::uint32_t neighbour) { place(row)[at] = neighbour; }

    void prefetch(std::uint32_t row) const {
        const auto* begin = reinterpret_cast<const char*>(place(row));
        for (std::size_t at = 0; at < room_ * sizeof(std::uint32_t); at += 64) __builtin_prefetch(begin + at);
    }

  private:
    const std::uint32_t* place(std::uint32_t row) const { return rows_.data() + std::size_t{row} * room_; }
    std::uint32_t* place(std::uint32_t row) { return rows_.data() + std::size_t{row} * room_; }

    std::size_t degree_;
    std::size_t room_;
    std::vector<std::uint32_t> rows_;  // [row_count, room]
    std::vector<std::uint16_t> counts_;
};

}  // namespace lutra
