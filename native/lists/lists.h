// Rows ordered by cluster: a list is a range of rows that lie together, and has a centroid. A query ranks centroids and
// looks at the rows of the nearest lists only.
//
// Centroids lie where codes put vectors: the residual, along the codes' directions, rotated (Quantizer::place), in
// steps of int8 that are the same for all lists.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "codes.h"
#include "int8_panel.h"

namespace lutra {

// Immutable; the quantizer has to stay.
class Lists {
  public:
    // `offsets` [lists + 1]: where each begins, ascending from 0 to the number of rows; `centroids` [lists, elements],
    // -127 to 127, in steps of `step`; `radii` [lists]: how far a row is from its centroid at most;
    // `spreads` [lists]: the root of the mean square of that. All are copied.
    Lists(const Quantizer& quantizer, std::span<const std::uint32_t> offsets, const std::int8_t* centroids, float step,
          const float* radii, const float* spreads);

    std::size_t count() const { return radii_.size(); }
    std::size_t row_count() const { return offsets_.back(); }
    std::size_t dimension() const { return quantizer_.dimension(); }  // of queries
    std::size_t coded_dimension() const { return panels_.size(); }    // of centroids
    Metric metric() const { return quantizer_.metric(); }
    std::size_t begin(std::size_t list) const { return offsets_[list]; }
    std::size_t end(std::size_t list) const { return offsets_[list + 1]; }
    // The list that a row is in.
    std::size_t of_row(std::size_t row) const;
    // Fills `placed` [coded_dimension], 64-byte aligned: where a vector [dimension] of a row lies among the centroids.
    void place(const float* vector, float* placed) const { quantizer_.place(vector, false, placed); }
    // Fills `values` [coded_dimension].
    void centroid(std::size_t list, float* values) const;
    std::size_t size_bytes() const;

  private:
    friend class ListRanking;

    const Quantizer& quantizer_;
    std::vector<std::uint32_t> offsets_;
    BytePanels panels_;
    std::vector<float> norms_;  // of centroids, squared, each panel full
    std::vector<float> radii_;
    std::vector<float> spreads_;  // a quarter of the mean at least: of few rows too little is known
    float spread_most_ = 0;
    float step_;
    PanelProducts products_;
};

// Lists in the order of a query; memory for one query after another.
class ListRanking {
  public:
    // `query` [dimension]
    void rank(const Lists& lists, const float* query);

    // The query as it lies among the centroids [coded_dimension].
    const float* placed() const { return placed_.get(); }
    // The squared distance to the list's centroid, there. Only where that `is_squared`.
    float squared(std::size_t list) const { return scores_[list]; }
    // Whether float32 tells lengths, and these say how near vectors are.
    bool is_squared() const { return is_known_ && !is_product_; }

    // All lists, nearest first: by steps of a thousandth of what their distances span, equals by number.
    std::span<const std::uint32_t> order() const { return order_; }
    // No row of the list is nearer; minus infinity where that is not known.
    float lower_bound(std::size_t list) const;

    // Of a row of the list that is as near as `distance`: the cosine of the angle, at the centroid, between the ways to
    // that row and to the query, were the row as far from the centroid as is usual. In many dimensions such cosines are
    // near 0, as if drawn from one and the same distribution, be the query near or far: what is far above hardly is.
    // Minus infinity where that is not known.
    float cosine(std::size_t list, float distance) const;
    // Of this and all lists after it in the order, no cosine is below.
    float cosine_least(std::size_t list, float distance) const;

    std::size_t size_bytes() const;

  private:
    void measure(const float* query);
    void sort();

    const Lists* lists_ = nullptr;
    std::unique_ptr<float[], AlignedDelete> placed_;
    std::size_t placed_size_ = 0;
    std::vector<std::int8_t> values_;
    std::vector<std::int32_t> products_;
    std::vector<float> scores_;  // squared distances; minus products where there is no distance
    std::vector<std::uint16_t> buckets_;
    std::vector<std::uint32_t> order_;
    float rounding_ = 0;  // how far the query is from what it was rounded to
    float length_ = 0;    // of the query
    float offset_ = 0;    // of a product: that with the centre which codes are taken against
    bool is_product_ = false;
    bool is_known_ = false;  // lengths are such that float32 tells distances
};

}  // namespace lutra
