#include "lists.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "list_rounding.h"

namespace lutra {

namespace {

constexpr std::size_t kBuckets = 1'024;
// What is divided by at least.
constexpr float kTiny = 1e-30f;
constexpr double kSpreadLeast = 0.25;
// Of a distance: what float32 may take, and the rounding of norms.
constexpr float kSlack = 1e-4f;
// Squared lengths of queries that bounds are told of.
constexpr float kSquaredMin = 1e-30f;
constexpr float kSquaredMax = 1e30f;

}  // namespace

Lists::Lists(const Quantizer& quantizer, std::span<const std::uint32_t> offsets, const std::int8_t* centroids,
             float step, const float* radii, const float* spreads)
    : quantizer_(quantizer),
      offsets_(offsets.begin(), offsets.end()),
      panels_(quantizer.coded_dimension()),
      radii_(radii, radii + offsets.size() - 1),
      spreads_(spreads, spreads + offsets.size() - 1),
      step_(step),
      products_(panel_products(simd_levels().front())) {
    const std::size_t size = quantizer.coded_dimension();
    panels_.reserve(count());
    for (std::size_t list = 0; list < count(); ++list) {
        const std::int8_t* centroid = centroids + list * size;
        panels_.append(centroid);
        norms_.push_back(step * step * static_cast<float>(squared_sum(centroid, size)));
    }
    norms_.resize((count() + kPanelRows - 1) / kPanelRows * kPanelRows);
    double sum = 0;
    for (const float spread : spreads_) sum += spread;
    const auto least = static_cast<float>(kSpreadLeast * sum / static_cast<double>(count()));
    for (float& spread : spreads_) {
        spread = std::max(spread, least);
        spread_most_ = std::max(spread_most_, spread);
    }
}

std::size_t Lists::of_row(std::size_t row) const {
    const auto after = std::upper_bound(offsets_.begin(), offsets_.end(), static_cast<std::uint32_t>(row));
    return static_cast<std::size_t>(after - offsets_.begin()) - 1;
}

void Lists::centroid(std::size_t list, float* values) const {
    for (std::size_t i = 0; i < panels_.size(); ++i) values[i] = step_ * static_cast<float>(panels_.value(list, i));
}

std::size_t Lists::size_bytes() const {
    return panels_.size_bytes() + (norms_.size() + radii_.size() + spreads_.size()) * sizeof(float) +
           offsets_.size() * sizeof(std::uint32_t);
}

void ListRanking::rank(const Lists& lists, const float* query) {
    lists_ = &lists;
    const std::size_t size = lists.panels_.size();
    if (placed_size_ < size) {
        placed_ = aligned_array<float>(size);
        placed_size_ = size;
        values_.resize(size);
    }
    measure(query);
    sort();
}

void ListRanking::measure(const float* query) {
    const Lists& lists = *lists_;
    const std::size_t size = lists.panels_.size(), padded = lists.norms_.size();
    lists.quantizer_.place(query, true, placed_.get());
    const float step = largest_side(placed_.get(), size) / 127;
    const RoundedSide rounded = round_side(placed_.get(), size, step, values_.data());
    rounding_ = rounded.error;
    products_.resize(padded);
    lists.products_(lists.panels_.panel(0), padded / kPanelRows, panel_query(values_.data(), size), size,
                    products_.data());
    scores_.resize(padded);
    is_product_ = lists.quantizer_.metric() == Metric::kDotProduct;
    is_known_ = rounded.squared >= kSquaredMin && rounded.squared <= kSquaredMax;
    length_ = std::sqrt(rounded.squared);
    offset_ = is_product_ ? -lists.quantizer_.product_with_centre(query) : 0.0f;
    const float weight = (is_product_ ? -1.0f : -2.0f) * step * lists.step_;
    const float norm_weight = is_product_ ? 0.0f : 1.0f, offset = is_product_ ? 0.0f : rounded.squared;
    for (std::size_t i = 0; i < padded; ++i) {
        scores_[i] = offset + norm_weight * lists.norms_[i] + weight * static_cast<float>(products_[i]);
    }
}

// A thousand buckets are told apart, which takes a tenth of sorting.
void ListRanking::sort() {
    const std::size_t count = lists_->count();
    float least = std::numeric_limits<float>::infinity(), most = -least;
    for (std::size_t i = 0; i < count; ++i) {
        least = std::min(least, scores_[i]);
        most = std::max(most, scores_[i]);
    }
    const float span = most - least;
    const float per_unit = span > 0 && std::isfinite(span) ? (kBuckets - 1) / span : 0;
    std::uint32_t begins[kBuckets + 1] = {};
    buckets_.resize(count);
    for (std::size_t i = 0; i < count; ++i) {
        const float at = (scores_[i] - least) * per_unit;
        const auto bucket = static_cast<std::uint16_t>(at >= 0 && at < kBuckets ? at : kBuckets - 1.0f);
        buckets_[i] = bucket;
        ++begins[bucket + 1];
    }
    for (std::size_t b = 0; b < kBuckets; ++b) begins[b + 1] += begins[b];
    order_.resize(count);
    for (std::size_t i = 0; i < count; ++i) order_[begins[buckets_[i]]++] = static_cast<std::uint32_t>(i);
}

float ListRanking::lower_bound(std::size_t list) const {
    const float none = -std::numeric_limits<float>::infinity();
    if (!is_known_ || is_product_) return none;
    const float distance = std::sqrt(std::max(0.0f, scores_[list]));
    const float left = distance * (1 - kSlack) - lists_->radii_[list] - rounding_;
    if (!(left > 0)) return none;
    return (lists_->quantizer_.metric() == Metric::kCosine ? 0.5f : 1.0f) * left * left;
}

float ListRanking::cosine(std::size_t list, float distance) const {
    if (!is_known_) return -std::numeric_limits<float>::infinity();
    const float score = scores_[list], spread = lists_->spreads_[list];
    if (is_product_) return (score - (distance - offset_)) / std::max(length_ * spread, kTiny);
    const float squared = lists_->quantizer_.metric() == Metric::kCosine ? 2 * distance : distance;
    return (score + spread * spread - squared) / std::max(2 * std::sqrt(std::max(0.0f, score)) * spread, kTiny);
}

// The cosine of a tangent's angle: that of a list of whatever spread.
float ListRanking::cosine_least(std::size_t list, float distance) const {
    if (!is_known_) return -std::numeric_limits<float>::infinity();
    const float score = scores_[list];
    if (is_product_) return (score - (distance - offset_)) / std::max(length_ * lists_->spread_most_, kTiny);
    const float squared = lists_->quantizer_.metric() == Metric::kCosine ? 2 * distance : distance;
    return squared < score ? std::sqrt(1 - squared / score) : -std::numeric_limits<float>::infinity();
}

std::size_t ListRanking::size_bytes() const {
    return placed_size_ * sizeof(float) + values_.capacity() + products_.capacity() * sizeof(std::int32_t) +
           scores_.capacity() * sizeof(float) + buckets_.capacity() * sizeof(std::uint16_t) +
           order_.capacity() * sizeof(std::uint32_t);
}

}  // namespace lutra
