// BM25 as Lucene has it, with k1 = 1.2 and b = 0.75: weight * (k1 + 1) * f / (f + k1 * (1 - b + b * length / average)).
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <span>

#include "text_format.h"

namespace lutra::text {

// A word of a query in its part, with what it weighs: its idf, times whatever else.
struct Word {
    std::string_view term;
    double weight;
};

// What each word adds is rounded to a unit of some 2^-44 of all they can add together. So sums are exact, whatever the
// order they are made in, and one document has one score however it was found.
class Scorer {
  public:
    static constexpr double kK1 = 1.2, kB = 0.75;

    // `total`: of the weights of all words, those included that the part does not have.
    Scorer(double total, double average_length) : base_(kK1 * (1 - kB)), slope_(kK1 * kB / average(average_length)) {
        const double most = total * (kK1 + 1);
        if (most > 0 && std::isfinite(most)) {
            unit_ = std::ldexp(1.0, std::ilogb(most) + 1 - 44);
            rounder_ = 1.5 * std::ldexp(unit_, 52);
        }
        for (std::uint32_t i = 0; i < norms_.size(); ++i) norms_[i] = base_ + slope_ * i;
    }

    double score(double weight, std::uint32_t frequency, std::uint32_t length) const {
        const double norm = length < norms_.size() ? norms_[length] : base_ + slope_ * length;
        return score_at(weight, frequency, norm);
    }
    // As `score`, of a phrase, which may be there in part.
    double score_of(double weight, double frequency, std::uint32_t length) const {
        return score_at(weight, frequency, base_ + slope_ * length);
    }
    // No document of those has a higher score.
    double bound(double weight, const Impacts& impacts) const {
        double most = std::max(score(weight, 1, impacts.once), score(weight, 2, impacts.twice));
        if (impacts.frequency == Impacts::kMost) {
            most = weight * (kK1 + 1);
        } else if (impacts.frequency > 0) {
            most = std::max(most, score(weight, impacts.frequency, impacts.more));
        }
        return most + unit_;
    }

  private:
    static double average(double length) { return length > 0 && std::isfinite(length) ? length : 1; }

    double score_at(double weight, double frequency, double norm) const {
        const double exact = weight * (kK1 + 1) * (frequency / (frequency + norm));
        return (exact + rounder_) - rounder_;
    }

    double base_, slope_;
    double unit_ = 0, rounder_ = 0;
    std::array<double, 256> norms_;
};

}  // namespace lutra::text
