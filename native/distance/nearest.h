// The k nearest of rows looked at one by one.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

namespace lutra {

// A distance and a row in one integer that orders as (distance, row) does.
inline std::uint64_t key_of(float distance, std::uint32_t row) {
    if (std::isnan(distance)) distance = std::numeric_limits<float>::infinity();
    const std::uint32_t bits = std::bit_cast<std::uint32_t>(distance + 0.0f);  // -0 becomes 0
    const std::uint32_t ordered = (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u;
    return static_cast<std::uint64_t>(ordered) << 32 | row;
}

inline float distance_of(std::uint64_t key) {
    const auto ordered = static_cast<std::uint32_t>(key >> 32);
    return std::bit_cast<float>((ordered & 0x80000000u) != 0 ? ordered & 0x7fffffffu : ~ordered);
}

// The k smallest keys offered: a heap with the largest of them on top.
class Nearest {
  public:
    explicit Nearest(std::size_t k) : k_(k) { keys_.reserve(k); }

    void offer(std::uint64_t key) {
        if (key >= worst_) return;
        if (keys_.size() < k_) {
            keys_.push_back(key);
            std::push_heap(keys_.begin(), keys_.end());
        } else {
            replace_top(key);
        }
        if (keys_.size() == k_) worst_ = keys_.front();
    }

    // A key must be below this to be taken.
    std::uint64_t worst() const { return worst_; }

    // How far the last of them is; infinite where there are fewer than k.
    float farthest() const {
        return worst_ == std::numeric_limits<std::uint64_t>::max() ? std::numeric_limits<float>::infinity()
                                                                   : distance_of(worst_);
    }

    const std::vector<std::uint64_t>& keys() const { return keys_; }

  private:
    void replace_top(std::uint64_t key) {
        std::size_t at = 0;
        for (std::size_t child = 1; child < k_; child = 2 * at + 1) {
            if (child + 1 < k_ && keys_[child + 1] > keys_[child]) ++child;
            if (keys_[child] <= key) break;
            keys_[at] = keys_[child];
            at = child;
        }
        keys_[at] = key;
    }

    std::size_t k_;
    std::uint64_t worst_ = std::numeric_limits<std::uint64_t>::max();
    std::vector<std::uint64_t> keys_;
};

}  // namespace lutra
