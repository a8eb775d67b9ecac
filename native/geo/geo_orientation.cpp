#include "geo_orientation.h"

#include <array>
#include <cmath>
#include <cstddef>
#include <limits>

namespace lutra::geo {

namespace {

// A sum of doubles that is exact: its parts do not overlap, and grow (Shewchuk: Adaptive precision floating-point
// arithmetic and fast robust geometric predicates, 1997).
class Sum {
  public:
    void add(double number) {
        std::size_t kept = 0;
        for (std::size_t i = 0; i < count_; ++i) {
            const double sum = number + parts_[i];
            const double virtual_part = sum - number;
            const double error = (number - (sum - virtual_part)) + (parts_[i] - virtual_part);
            if (error != 0) parts_[kept++] = error;
            number = sum;
        }
        if (number != 0) parts_[kept++] = number;
        count_ = kept;
    }
    void add_product(double one, double other) {
        const double product = one * other;
        add(std::fma(one, other, -product));
        add(product);
    }
    int sign() const { return count_ == 0 ? 0 : parts_[count_ - 1] > 0 ? 1 : -1; }

  private:
    std::array<double, 12> parts_{};
    std::size_t count_ = 0;
};

int exact_side(const Place& a, const Place& b, const Place& c) {
    Sum sum;
    sum.add_product(a.x, b.y);
    sum.add_product(-a.x, c.y);
    sum.add_product(-c.x, b.y);
    sum.add_product(-a.y, b.x);
    sum.add_product(a.y, c.x);
    sum.add_product(c.y, b.x);
    return sum.sign();
}

}  // namespace

int side_of(const Place& a, const Place& b, const Place& c) {
    constexpr double kHalfUlp = std::numeric_limits<double>::epsilon() / 2;
    constexpr double kBound = (3 + 16 * kHalfUlp) * kHalfUlp;
    const double left = (a.x - c.x) * (b.y - c.y), right = (a.y - c.y) * (b.x - c.x);
    const double difference = left - right;
    const double bound = kBound * (std::abs(left) + std::abs(right));
    if (difference > bound) return 1;
    if (-difference > bound) return -1;
    return exact_side(a, b, c);
}

}  // namespace lutra::geo
