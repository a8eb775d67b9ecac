// Products of one vector of signed bytes with many, which lie in panels of 16 side by side: exact, and so the same at
// every SIMD level. A panel needs no sum across lanes, which takes most of the time of short vectors one by one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "distance.h"

namespace lutra {

inline constexpr std::size_t kPanelRows = 16;
// Elements that lie together.
inline constexpr std::size_t kPanelDepth = 4;

// Vectors of -127 to 127, in panels; those that fill the last one up are zeros.
class BytePanels {
  public:
    // `size` is a multiple of 64, at most 4096.
    explicit BytePanels(std::size_t size) : size_(size) {}

    std::size_t count() const { return count_; }
    std::size_t size() const { return size_; }
    std::size_t size_bytes() const { return bytes_.size(); }
    void reserve(std::size_t count) { bytes_.reserve((count + kPanelRows - 1) / kPanelRows * kPanelRows * size_); }
    void clear();
    // `values` [size]
    void append(const std::int8_t* values);
    // One of its elements.
    std::int8_t value(std::size_t at, std::size_t element) const {
        const std::uint8_t* all = panel(at / kPanelRows * kPanelRows) + element / kPanelDepth * kPanelRows * kPanelDepth;
        return static_cast<std::int8_t>(all[at % kPanelRows * kPanelDepth + element % kPanelDepth] - 128);
    }
    // Whole panels, from a multiple of kPanelRows on.
    const std::uint8_t* panel(std::size_t begin) const { return bytes_.data() + begin * size_; }

  private:
    std::size_t size_;
    std::size_t count_ = 0;
    std::vector<std::uint8_t> bytes_;  // value + 128
};

// A vector to multiply panels with.
struct PanelQuery {
    const std::int8_t* values;  // [size]
    std::int32_t sum;           // of these
};

PanelQuery panel_query(const std::int8_t* values, std::size_t size);

// Fills products [panels * kPanelRows].
using PanelProducts = void (*)(const std::uint8_t* panels, std::size_t panel_count, const PanelQuery& query,
                               std::size_t size, std::int32_t* products);

// The best at or below the level that this machine runs.
PanelProducts panel_products(SimdLevel level);

}  // namespace lutra
