#include "fast_codes.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <stdexcept>

#include "parallel.h"

namespace lutra {

namespace {

// Of tables: two of them added up stay within a byte.
constexpr float kTableMost = 127;
// Standard deviations of what rounding tables does to a sum.
constexpr double kRoundingSigmas = 2.5;
constexpr std::size_t kBlocksAtOnce = 16;

void require(bool holds, const char* message) {
    if (!holds) throw std::invalid_argument(message);
}

bool are_finite(const float* values, std::size_t count) {
    return std::all_of(values, values + count, [](float value) { return std::isfinite(value); });
}

}  // namespace

FastCodes::FastCodes(const Lists& lists, std::size_t groups, const float* directions, const float* centres,
                     float row_step, float squared_error, CodeLevel level)
    : lists_(lists),
      groups_(groups),
      size_(lists.coded_dimension()),
      row_step_(row_step),
      squared_error_(squared_error),
      scan_(fast_scan(level)) {
    require(groups >= 1 && groups <= kFastGroupsMax && groups % kFastGroupsMultiple == 0, "groups are 8 to 128, by eights");
    require(are_finite(directions, 2 * groups * size_), "a direction is not finite");
    require(are_finite(centres, 2 * groups * kFastCentres), "a centre is not finite");
    require(std::isfinite(row_step) && row_step > 0, "the rows' step is no length");
    require(std::isfinite(squared_error) && squared_error >= 0, "the squared error is none");
    directions_.resize(2 * groups * size_);
    for (std::size_t j = 0; j < 2 * groups; ++j) {
        for (std::size_t i = 0; i < size_; ++i) directions_[i * 2 * groups + j] = directions[j * size_ + i];
    }
    centres_.resize(2 * groups * kFastCentres);
    for (std::size_t g = 0; g < groups; ++g) {
        for (std::size_t n = 0; n < kFastCentres; ++n) {
            for (std::size_t along = 0; along < 2; ++along) {
                centres_[(2 * g + along) * kFastCentres + n] = centres[(g * kFastCentres + n) * 2 + along];
            }
        }
    }
}

std::size_t FastCodes::size_bytes() const { return (directions_.size() + centres_.size()) * sizeof(float); }

// One direction beside the other, so that no sum goes across lanes.
void FastCodes::turn(const float* placed, float* turned) const {
    const std::size_t count = 2 * groups_;
    std::fill_n(turned, count, 0.0f);
    for (std::size_t i = 0; i < size_; ++i) {
        const float* directions = directions_.data() + i * count;
        const float value = placed[i];
        for (std::size_t j = 0; j < count; ++j) turned[j] += value * directions[j];
    }
}

// Of one thread: what is the list's is found once for all its rows.
struct FastCodes::Scratch {
    explicit Scratch(std::size_t size) : placed(aligned_array<float>(size)), centroid(aligned_array<float>(size)) {}

    std::unique_ptr<float[], AlignedDelete> placed, centroid;
    std::size_t list = std::numeric_limits<std::size_t>::max();
    float turned[2 * kFastGroupsMax], turned_centroid[2 * kFastGroupsMax];
};

void FastCodes::encode_row(const float* vector, std::size_t row, std::uint8_t* block, Scratch& scratch) const {
    const std::size_t list = lists_.of_row(row);
    if (scratch.list != list) {
        lists_.centroid(list, scratch.centroid.get());
        turn(scratch.centroid.get(), scratch.turned_centroid);
        scratch.list = list;
    }
    float* placed = scratch.placed.get();
    lists_.place(vector, placed);
    double squared = 0;
    for (std::size_t i = 0; i < size_; ++i) {
        placed[i] -= scratch.centroid[i];
        squared += double{placed[i]} * placed[i];
    }
    turn(placed, scratch.turned);
    const float *turned = scratch.turned, *turned_centroid = scratch.turned_centroid;
    double along = 0, coded = 0, with_centroid = 0;
    for (std::size_t g = 0; g < groups_; ++g) {
        const float* firsts = centres_.data() + 2 * g * kFastCentres;
        const float* seconds = firsts + kFastCentres;
        const float first = turned[2 * g], second = turned[2 * g + 1];
        float best = std::numeric_limits<float>::infinity();
        std::size_t nearest = 0;
        for (std::size_t n = 0; n < kFastCentres; ++n) {
            const float a = first - firsts[n], b = second - seconds[n], distance = a * a + b * b;
            if (distance < best) {
                best = distance;
                nearest = n;
            }
        }
        const double a = firsts[nearest], b = seconds[nearest];
        along += a * first + b * second;
        coded += a * a + b * b;
        with_centroid += a * turned_centroid[2 * g] + b * turned_centroid[2 * g + 1];
        std::uint8_t& byte = block[g / 2 * kFastRows + row % kFastRows];
        byte = static_cast<std::uint8_t>(byte | nearest << (g % 2 * 4));
    }
    const double error = std::max(0.0, squared - 2 * along + coded);
    // Rows with more of an error than most are taken for nearer, so that a query next to them does not lose them.
    const double own = coded + 2 * with_centroid + error - 2 * std::max(0.0, error - squared_error_);
    const double steps = std::floor(own / row_step_);
    std::int16_t kept = kFastUnknown;
    if (steps > kFastUnknown) kept = static_cast<std::int16_t>(std::min(steps, 32'767.0));
    std::memcpy(block + groups_ / 2 * kFastRows + row % kFastRows * sizeof kept, &kept, sizeof kept);
}

void FastCodes::encode(const float* vectors, std::size_t begin, std::size_t count, std::uint8_t* blocks,
                       unsigned threads) const {
    require(begin % kFastRows == 0 && begin + count <= lists_.row_count(), "these are no rows of the lists");
    const std::size_t total = (count + kFastRows - 1) / kFastRows, dimension = lists_.dimension();
    std::memset(blocks, 0, total * block_bytes());
    parallel_for(threads != 0 ? threads : processors(), total, kBlocksAtOnce,
                 [&](unsigned, std::size_t first, std::size_t end) {
        Scratch scratch(size_);
        for (std::size_t row = first * kFastRows; row < std::min(count, end * kFastRows); ++row) {
            encode_row(vectors + row * dimension, begin + row, blocks + row / kFastRows * block_bytes(), scratch);
        }
    });
}

float FastCodes::prepare(const float* placed, FastTables& tables) const {
    float turned[2 * kFastGroupsMax], values[kFastGroupsMax][kFastCentres], least[kFastGroupsMax];
    turn(placed, turned);
    float span = 0;
    double offset = 0;
    for (std::size_t g = 0; g < groups_; ++g) {
        const float* firsts = centres_.data() + 2 * g * kFastCentres;
        const float first = -2 * turned[2 * g], second = -2 * turned[2 * g + 1];
        for (std::size_t n = 0; n < kFastCentres; ++n) {
            values[g][n] = first * firsts[n] + second * firsts[kFastCentres + n];
        }
        const auto [low, high] = std::minmax_element(values[g], values[g] + kFastCentres);
        least[g] = *low;
        offset += *low;
        span = std::max(span, *high - *low);
    }
    tables.columns = groups_ / 2;
    tables.step = span / kTableMost;
    tables.row_step = row_step_;
    const float per_unit = tables.step > 0 && std::isfinite(1 / tables.step) ? 1 / tables.step : 0;
    for (std::size_t g = 0; g < groups_; ++g) {
        std::uint8_t* table = g % 2 == 0 ? tables.low[g / 2] : tables.high[g / 2];
        for (std::size_t n = 0; n < kFastCentres; ++n) {
            const float steps = std::min((values[g][n] - least[g]) * per_unit, kTableMost);
            table[n] = static_cast<std::uint8_t>(std::nearbyint(steps));
        }
    }
    // A query far from all rows has coarse tables: what they may add is taken off, so that nothing is missed by that.
    return static_cast<float>(offset - kRoundingSigmas * tables.step * std::sqrt(static_cast<double>(groups_) / 12));
}

}  // namespace lutra
