#include "graph_entries.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

#include "parallel.h"

namespace lutra {

namespace {

constexpr std::size_t kEntriesMax = 256;
constexpr std::size_t kSampleRowsPerEntry = 64;
constexpr std::size_t kMedoidProbes = 64;
constexpr std::size_t kBlockRows = 512;

// Calls use(i, distance) for each of `rows`, from several threads.
template <class Use>
void measure(const RowSpace& space, std::uint32_t from, const std::vector<std::uint32_t>& rows, unsigned threads,
             const Use& use) {
    Probe probe;
    space.load(from, probe);
    parallel_for(threads, rows.size(), kBlockRows, [&](unsigned, std::size_t begin, std::size_t end) {
        float distances[kBlockRows];
        space.distances(probe, rows.data() + begin, end - begin, distances);
        for (std::size_t i = begin; i < end; ++i) use(i, distances[i - begin]);
    });
}

// The row of the sample nearest to some of the others, taken together.
std::uint32_t medoid(const RowSpace& space, const std::vector<std::uint32_t>& sample, unsigned threads) {
    std::vector<double> totals(sample.size(), 0.0);
    const std::size_t probes = std::min(sample.size(), kMedoidProbes);
    for (std::size_t p = 0; p < probes; ++p) {
        measure(space, sample[p * sample.size() / probes], sample, threads,
                [&](std::size_t i, float distance) { totals[i] += static_cast<double>(distance); });
    }
    return sample[static_cast<std::size_t>(std::min_element(totals.begin(), totals.end()) - totals.begin())];
}

// The first place where the running sum passes `target`, of places whose weight is not 0.
std::size_t draw(const std::vector<float>& weights, double target) {
    std::size_t last = 0;
    for (std::size_t i = 0; i < weights.size(); ++i) {
        if (weights[i] <= 0) continue;
        last = i;
        target -= static_cast<double>(weights[i]);
        if (target < 0) break;
    }
    return last;
}

}  // namespace

std::size_t entries_max(std::size_t row_count) {
    const auto root = static_cast<std::size_t>(std::sqrt(static_cast<double>(row_count)));
    return std::min(row_count, std::clamp<std::size_t>(root, 1, kEntriesMax));
}

std::vector<std::uint32_t> choose_entries(const RowSpace& space, std::uint64_t seed, unsigned threads) {
    const std::size_t rows = space.row_count();
    if (rows == 0) return {};
    const std::size_t count = entries_max(rows);
    std::vector<std::uint32_t> sample(std::min(rows, count * kSampleRowsPerEntry));
    for (std::size_t i = 0; i < sample.size(); ++i) sample[i] = static_cast<std::uint32_t>(i * rows / sample.size());
    std::vector<std::uint32_t> entries{medoid(space, sample, threads)};
    std::vector<float> nearest(sample.size(), std::numeric_limits<float>::max());
    std::mt19937_64 random(seed);
    while (entries.size() < count) {
        measure(space, entries.back(), sample, threads,
                [&](std::size_t i, float distance) { nearest[i] = std::min(nearest[i], distance); });
        double total = 0;
        for (const float distance : nearest) total += static_cast<double>(distance);
        if (total <= 0) break;
        // Not a std:: distribution: those differ between libraries.
        const double share = static_cast<double>(random() >> 11) * 0x1p-53;
        entries.push_back(sample[draw(nearest, share * total)]);
    }
    std::sort(entries.begin() + 1, entries.end());
    entries.erase(std::unique(entries.begin(), entries.end()), entries.end());
    return entries;
}

}  // namespace lutra
