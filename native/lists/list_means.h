// k-means over vectors of int8, with means rounded to int8.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "int8_panel.h"
#include "list_rounding.h"

namespace lutra {

// Vectors [rows, size] of int8, size a multiple of 64.
struct ByteVectors {
    const std::int8_t* values;
    std::size_t size;

    const std::int8_t* row(std::size_t row) const { return values + row * size; }
};

// Means to find the nearest of.
class ListMeans {
  public:
    ListMeans(std::size_t size, SimdLevel level) : panels_(size), multiply_(panel_products(level)) {}

    std::size_t count() const { return panels_.count(); }
    std::size_t size_bytes() const { return panels_.size_bytes() + norms_.size() * sizeof(std::int32_t); }
    void clear();
    void append(const std::int8_t* mean);

    // Fills `scores` [count]: squared distances less that of the query to zero, which order as those do. `scores` has room
    // for whole panels.
    void score(const PanelQuery& query, std::int32_t* scores) const;

    // The nearest, the first of equally near ones.
    std::size_t nearest(const PanelQuery& query, std::vector<std::int32_t>& scratch) const;

    std::size_t room() const { return (count() + kPanelRows - 1) / kPanelRows * kPanelRows; }

  private:
    BytePanels panels_;
    std::vector<std::int32_t> norms_;  // squared, whole panels
    PanelProducts multiply_;
};

// Fills `mean` [size] with that of `rows`, which are at least one.
void mean_of(const ByteVectors& vectors, std::span<const std::uint32_t> rows, std::int8_t* mean);

// Up to `count` means of `rows`, [found, size]; fewer where rows equal each other.
std::vector<std::int8_t> means_of(const ByteVectors& vectors, std::span<const std::uint32_t> rows, std::size_t count,
                                  SimdLevel level);

// Puts rows, all of whose clusters are below `count`, in the order of these, else as they come; fills begins [count + 1].
void group(std::span<const std::uint32_t> rows, std::span<const std::uint32_t> clusters, std::size_t count,
           std::vector<std::uint32_t>& grouped, std::vector<std::uint32_t>& begins);

}  // namespace lutra
