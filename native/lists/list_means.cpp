#include "list_means.h"

#include <algorithm>
#include <cmath>

namespace lutra {

namespace {

constexpr int kIterations = 6;
// Rows for each mean that take part in finding it.
constexpr std::size_t kSampleRows = 96;

}  // namespace

void ListMeans::clear() {
    panels_.clear();
    norms_.clear();
}

void ListMeans::append(const std::int8_t* mean) {
    panels_.append(mean);
    norms_.resize(room());
    norms_[count() - 1] = squared_sum(mean, panels_.size());
}

void ListMeans::score(const PanelQuery& query, std::int32_t* scores) const {
    multiply_(panels_.panel(0), room() / kPanelRows, query, panels_.size(), scores);
    for (std::size_t i = 0; i < norms_.size(); ++i) scores[i] = norms_[i] - 2 * scores[i];
}

std::size_t ListMeans::nearest(const PanelQuery& query, std::vector<std::int32_t>& scratch) const {
    if (scratch.size() < room()) scratch.resize(room());
    score(query, scratch.data());
    return static_cast<std::size_t>(std::min_element(scratch.begin(), scratch.begin() + static_cast<std::ptrdiff_t>(count())) -
                                    scratch.begin());
}

void mean_of(const ByteVectors& vectors, std::span<const std::uint32_t> rows, std::int8_t* mean) {
    std::vector<std::int64_t> sums(vectors.size);
    for (const std::uint32_t row : rows) {
        const std::int8_t* values = vectors.row(row);
        for (std::size_t i = 0; i < vectors.size; ++i) sums[i] += values[i];
    }
    const auto count = static_cast<double>(rows.size());
    for (std::size_t i = 0; i < vectors.size; ++i) {
        mean[i] = static_cast<std::int8_t>(std::nearbyint(static_cast<double>(sums[i]) / count));
    }
}

std::vector<std::int8_t> means_of(const ByteVectors& vectors, std::span<const std::uint32_t> rows, std::size_t count,
                                  SimdLevel level) {
    const std::size_t size = vectors.size, sampled = std::min(rows.size(), kSampleRows * count);
    std::vector<std::uint32_t> sample(sampled);
    for (std::size_t i = 0; i < sampled; ++i) sample[i] = rows[i * rows.size() / sampled];
    count = std::min(count, sampled);
    std::vector<std::int8_t> means(count * size);
    for (std::size_t i = 0; i < count; ++i) {
        std::copy_n(vectors.row(sample[i * sampled / count]), size, means.data() + i * size);
    }
    std::vector<std::int32_t> scratch;
    std::vector<std::uint32_t> clusters(sampled), grouped, begins;
    ListMeans nearest_of(size, level);
    for (int iteration = 0; iteration < kIterations && count > 1; ++iteration) {
        nearest_of.clear();
        for (std::size_t i = 0; i < count; ++i) nearest_of.append(means.data() + i * size);
        for (std::size_t i = 0; i < sampled; ++i) {
            clusters[i] = static_cast<std::uint32_t>(
                nearest_of.nearest(panel_query(vectors.row(sample[i]), size), scratch));
        }
        group(sample, clusters, count, grouped, begins);
        std::size_t kept = 0;
        for (std::size_t i = 0; i < count; ++i) {  // the empty ones are left out
            if (begins[i] == begins[i + 1]) continue;
            mean_of(vectors, std::span(grouped).subspan(begins[i], begins[i + 1] - begins[i]), means.data() + kept * size);
            ++kept;
        }
        count = kept;
    }
    means.resize(count * size);
    return means;
}

void group(std::span<const std::uint32_t> rows, std::span<const std::uint32_t> clusters, std::size_t count,
           std::vector<std::uint32_t>& grouped, std::vector<std::uint32_t>& begins) {
    begins.assign(count + 1, 0);
    for (const std::uint32_t cluster : clusters) ++begins[cluster + 1];
    for (std::size_t i = 0; i < count; ++i) begins[i + 1] += begins[i];
    std::vector<std::uint32_t> next(begins.begin(), begins.end() - 1);
    grouped.resize(rows.size());
    for (std::size_t i = 0; i < rows.size(); ++i) grouped[next[clusters[i]]++] = rows[i];
}

}  // namespace lutra
