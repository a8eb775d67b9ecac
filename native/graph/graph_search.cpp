#include "graph_search.h"

#include <algorithm>
#include <limits>

namespace lutra {

namespace {

// Candidates a prune looks at: the nearest ones.
constexpr std::size_t kPruneCandidatesMax = 400;

// What a narrow beam comes by, as long as it is not spent, a wider one comes by, too: and it costs less to keep.
constexpr std::size_t kTriedWidth = 8;

constexpr float kOccluded = std::numeric_limits<float>::infinity();

// An order of equal rows that differs from row to row, so that they do not all choose the same neighbours.
std::uint64_t scattered(std::uint32_t row, std::uint32_t other) {
    std::uint64_t mixed = (std::uint64_t{row} << 32 | other) * 0x9e3779b97f4a7c15u;
    mixed ^= mixed >> 32;
    return mixed * 0xd6e8feb86659fd93u;
}

}  // namespace

void GraphSearch::look_at(std::span<const std::uint32_t> rows) {
    seen_.insert(rows, rows_);
    if (rows_.empty()) return;
    space_.prefetch(rows_);
    found_.resize(rows_.size());
    space_.distances(probe_, rows_.data(), rows_.size(), found_.data());
    distances_ += rows_.size();
    beam_.choose(rows_.data(), found_.data(), rows_.size(), fresh_);
    beam_.merge(fresh_);
}

void GraphSearch::begin(std::uint32_t row, std::span<const std::uint32_t> entries, std::size_t width) {
    space_.load(row, probe_);
    beam_.reset(width);
    seen_.reset(space_.row_count());
    seen_.insert(row);
    expanded_.clear();
    look_at(entries);
}

std::optional<std::span<const std::uint32_t>> GraphSearch::next() {
    const Candidate* nearest = beam_.expand();
    if (nearest == nullptr) return std::nullopt;
    expanded_.push_back(*nearest);
    std::uint32_t after;
    if (beam_.peek(&after, 1) == 1) links_.prefetch(after);
    return links_.of(expanded_.back().row);
}

const std::vector<Candidate>& GraphSearch::near(std::uint32_t row, std::span<const std::uint32_t> entries,
                                                std::size_t width) {
    begin(row, entries, width);
    while (const auto neighbours = next()) look_at(*neighbours);
    std::sort(expanded_.begin(), expanded_.end());
    return expanded_;
}

bool GraphSearch::meets(std::uint32_t row, std::span<const std::uint32_t> entries, std::size_t width) {
    for (const std::size_t tried : {std::min(width, kTriedWidth), width}) {
        begin(row, entries, tried);
        while (const auto neighbours = next()) {
            if (tried < width && beam_.is_spent()) break;
            if (std::find(neighbours->begin(), neighbours->end(), row) != neighbours->end()) return true;
            look_at(*neighbours);
        }
        if (tried == width) break;
    }
    std::sort(expanded_.begin(), expanded_.end());
    return false;
}

const std::vector<Candidate>& GraphSearch::measure(std::uint32_t row, std::span<const std::uint32_t> others) {
    space_.load(row, probe_);
    rows_.clear();
    for (const std::uint32_t other : others) {
        if (other != row) rows_.push_back(other);
    }
    space_.prefetch(rows_);
    found_.resize(rows_.size());
    space_.distances(probe_, rows_.data(), rows_.size(), found_.data());
    distances_ += rows_.size();
    expanded_.clear();
    for (std::size_t i = 0; i < rows_.size(); ++i) expanded_.push_back({found_[i], rows_[i]});
    std::sort(expanded_.begin(), expanded_.end());
    const auto same = [](const Candidate& a, const Candidate& b) { return a.row == b.row; };
    expanded_.erase(std::unique(expanded_.begin(), expanded_.end(), same), expanded_.end());
    return expanded_;
}

void GraphSearch::occlude(const Candidate& kept, std::span<const Candidate> candidates, std::size_t begin,
                          float alpha) {
    places_.clear();
    rows_.clear();
    for (std::size_t i = begin; i < candidates.size(); ++i) {
        if (occlusion_[i] > alpha) continue;
        places_.push_back(i);
        rows_.push_back(candidates[i].row);
    }
    if (rows_.empty()) return;
    found_.resize(rows_.size());
    space_.load(kept.row, kept_probe_);
    space_.distances(kept_probe_, rows_.data(), rows_.size(), found_.data());
    distances_ += rows_.size();
    for (std::size_t i = 0; i < rows_.size(); ++i) {
        const float between = found_[i];
        const float ratio = between > 0 ? candidates[places_[i]].distance / between : kOccluded;
        occlusion_[places_[i]] = std::max(occlusion_[places_[i]], ratio);
    }
}

const std::vector<std::uint32_t>& GraphSearch::prune(std::uint32_t row, std::span<const Candidate> candidates,
                                                     std::size_t degree, float alpha) {
    kept_.clear();
    std::size_t equal = 0;
    while (equal < candidates.size() && candidates[equal].distance <= 0) ++equal;
    if (equal > 0) {
        shuffled_.assign(candidates.begin(), candidates.begin() + static_cast<std::ptrdiff_t>(equal));
        std::sort(shuffled_.begin(), shuffled_.end(), [&](const Candidate& a, const Candidate& b) {
            return scattered(row, a.row) < scattered(row, b.row);
        });
        const std::size_t places = std::max<std::size_t>(1, degree / 4);
        for (std::size_t i = 0; i < std::min(equal, places); ++i) kept_.push_back(shuffled_[i].row);
        candidates = candidates.subspan(equal);
    }
    candidates = candidates.first(std::min(candidates.size(), kPruneCandidatesMax));
    occlusion_.assign(candidates.size(), 0.0f);
    for (const float limit : {1.0f, alpha}) {
        for (std::size_t i = 0; i < candidates.size() && kept_.size() < degree; ++i) {
            if (occlusion_[i] > limit) continue;
            occlusion_[i] = kOccluded;
            kept_.push_back(candidates[i].row);
            occlude(candidates[i], candidates, i + 1, alpha);
        }
    }
    return kept_;
}

}  // namespace lutra
