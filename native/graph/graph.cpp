#include "graph.h"

#include <algorithm>
#include <memory>
#include <random>
#include <span>

#include "graph_entries.h"
#include "graph_repair.h"
#include "graph_search.h"
#include "parallel.h"

namespace lutra {

namespace {

// Rows of a batch do not see each other: at most this share of the graph, and no more than a progress report may wait
// for.
constexpr std::size_t kBatchesPerGraph = 50;
constexpr std::size_t kBatchRowsMax = 10'000;
constexpr std::size_t kBlockRows = 4;       // of a batch, that a thread takes at once
constexpr std::size_t kTargetRanges = 256;  // that the edges back to older rows are shared out by
constexpr std::size_t kStartRoots = 16;     // rows of a graph to start from where searches begin, beside the entries
// Below this the neighbours by int8 differ from those by float32 too often.
constexpr double kAgreementMin = 0.9;

// An edge to be set from `row` to `neighbour`.
struct Edge {
    std::uint32_t row;
    std::uint32_t neighbour;

    bool operator<(const Edge& other) const {
        return row != other.row ? row < other.row : neighbour < other.neighbour;
    }
};

std::unique_ptr<RowSpace> make_space(const GraphVectors& vectors, const GraphOptions& options) {
    if (options.precision == Precision::kInt8) return int8_space(vectors, options.level, options.threads);
    std::unique_ptr<RowSpace> exact = float32_space(vectors, options.level, options.threads);
    if (options.precision == Precision::kFloat32) return exact;
    std::unique_ptr<RowSpace> codes = int8_space(vectors, options.level, options.threads);
    if (agreement(*codes, *exact, options.threads) >= kAgreementMin) return codes;
    if (vectors.basis != nullptr) {
        codes.reset();
        GraphVectors without = vectors;
        without.basis = nullptr;
        return make_space(without, options);
    }
    return exact;
}

class Builder {
  public:
    Builder(const RowSpace& space, const GraphOptions& options)
        : space_(space), options_(options), links_(space.row_count(), options.degree) {
        searches_.reserve(options.threads);
        for (unsigned i = 0; i < options.threads; ++i) searches_.emplace_back(space_, links_);
        targets_per_range_ = space.row_count() / kTargetRanges + 1;
    }

    // False where `progress` stopped it.
    bool run(const StartGraph* start, const Progress& progress) {
        entries_ = choose_entries(space_, options_.seed, options_.threads);
        roots_ = entries_;
        if (start != nullptr) adopt(*start);
        std::size_t batch = plan();
        const std::size_t total = space_.row_count();
        for (std::size_t begin = 0; begin < order_.size(); begin += batch) {
            const std::size_t inserted = total - order_.size() + begin;
            if (!progress(inserted, total)) return false;
            if (begin > 0 || batch == 0) batch = std::clamp<std::size_t>(inserted, 1, batch_max());
            batch = std::min(batch, order_.size() - begin);
            insert(std::span(order_).subspan(begin, batch));
        }
        if (!progress(total, total)) return false;
        cut_to_degree();
        bool going_on = true;
        const auto go_on = [&] { return going_on = progress(total, total); };
        repaired_ = make_reachable(links_, entries_, searches_[0], options_.beam, go_on);
        if (going_on) linked_ = make_findable(links_, entries_, searches_, go_on);
        return going_on;
    }

    Graph take() && {
        Graph graph;
        graph.neighbours.assign(links_.row_count() * options_.degree, kNoRow);
        for (std::uint32_t row = 0; row < links_.row_count(); ++row) {
            const auto neighbours = links_.of(row);
            std::copy(neighbours.begin(), neighbours.end(), graph.neighbours.data() + row * options_.degree);
        }
        graph.entries = std::move(entries_);
        graph.counters.repaired = repaired_ + linked_;
        for (const GraphSearch& search : searches_) graph.counters.distances += search.distances();
        return graph;
    }

    // Held while rows are inserted, without the space.
    std::size_t size_bytes() const {
        const std::size_t batch = std::max(batch_max(), entries_.size());
        const std::size_t edges = batch * options_.degree * (2 * sizeof(Edge) + sizeof(std::uint32_t));
        return links_.size_bytes() + order_.size() * sizeof(std::uint32_t) + edges +
               searches_.size() * searches_[0].size_bytes();
    }

  private:
    std::size_t batch_max() const {
        return std::clamp<std::size_t>(space_.row_count() / kBatchesPerGraph, 1, kBatchRowsMax);
    }

    void adopt(const StartGraph& start) {
        std::vector<std::uint32_t> neighbours;
        for (std::uint32_t row = 0; row < start.row_count; ++row) {
            neighbours.clear();
            const std::uint32_t* given = start.neighbours + row * start.degree;
            for (std::size_t i = 0; i < start.degree && neighbours.size() < links_.room(); ++i) {
                const bool is_new = std::find(neighbours.begin(), neighbours.end(), given[i]) == neighbours.end();
                if (given[i] != kNoRow && given[i] != row && is_new) neighbours.push_back(given[i]);
            }
            links_.set(row, neighbours);
        }
        // The entries may all lie outside of it.
        for (std::size_t i = 0; i < kStartRoots && i < start.row_count; ++i) {
            const auto root = static_cast<std::uint32_t>(i * start.row_count / kStartRoots);
            if (std::find(roots_.begin(), roots_.end(), root) == roots_.end()) roots_.push_back(root);
        }
    }

    // Puts the rows to insert in order, entries first; returns how many those are. They see each other, as every search
    // starts at them, and so are one batch.
    std::size_t plan() {
        std::vector<bool> is_planned(space_.row_count());
        for (const std::uint32_t entry : entries_) {
            is_planned[entry] = true;
            if (links_.of(entry).empty()) order_.push_back(entry);
        }
        const std::size_t first = order_.size();
        for (std::uint32_t row = 0; row < space_.row_count(); ++row) {
            if (!is_planned[row] && links_.of(row).empty()) order_.push_back(row);
        }
        std::mt19937_64 random(options_.seed);
        for (std::size_t i = order_.size(); i > first + 1; --i) {  // not std::shuffle: it differs between libraries
            std::swap(order_[i - 1], order_[first + random() % (i - first)]);
        }
        return first;
    }

    void insert(std::span<const std::uint32_t> rows) {
        const std::size_t degree = options_.degree;
        chosen_.assign(rows.size() * degree, kNoRow);
        const auto choose_some = [&](unsigned thread, std::size_t begin, std::size_t end) {
            for (std::size_t i = begin; i < end; ++i) {
                const std::vector<std::uint32_t>& kept = choose(searches_[thread], rows[i]);
                std::copy(kept.begin(), kept.end(), chosen_.data() + i * degree);
            }
        };
        parallel_for(options_.threads, rows.size(), kBlockRows, choose_some);
        std::vector<std::size_t> ends(kTargetRanges + 1, 0);
        for (const std::uint32_t row : chosen_) {
            if (row != kNoRow) ++ends[row / targets_per_range_ + 1];
        }
        for (std::size_t i = 1; i <= kTargetRanges; ++i) ends[i] += ends[i - 1];
        const std::vector<std::size_t> begins = ends;
        back_edges_.resize(ends.back());
        for (std::size_t i = 0; i < rows.size(); ++i) {
            const std::uint32_t* chosen = chosen_.data() + i * degree;
            const auto count = static_cast<std::size_t>(std::find(chosen, chosen + degree, kNoRow) - chosen);
            links_.set(rows[i], {chosen, count});
            for (std::size_t j = 0; j < count; ++j) {
                back_edges_[ends[chosen[j] / targets_per_range_]++] = {chosen[j], rows[i]};
            }
        }
        parallel_for(options_.threads, kTargetRanges, 1, [&](unsigned thread, std::size_t range, std::size_t) {
            add_back(searches_[thread], std::span(back_edges_).subspan(begins[range], ends[range] - begins[range]));
        });
    }

    // The neighbours a new row is to have, out of those near it and those it got before it was inserted.
    const std::vector<std::uint32_t>& choose(GraphSearch& search, std::uint32_t row) const {
        const std::vector<Candidate>* near = &search.near(row, roots_, options_.beam);
        const auto given = links_.of(row);
        if (!given.empty()) {
            std::vector<std::uint32_t> all(given.begin(), given.end());
            for (const Candidate& candidate : *near) all.push_back(candidate.row);
            near = &search.measure(row, all);
        }
        return search.prune(row, *near, options_.degree, options_.alpha);
    }

    // Adds edges, all of whose rows are this thread's to change.
    void add_back(GraphSearch& search, std::span<Edge> edges) {
        std::sort(edges.begin(), edges.end());
        std::vector<std::uint32_t> all;
        for (std::size_t begin = 0, end = 0; begin < edges.size(); begin = end) {
            const std::uint32_t row = edges[begin].row;
            const auto now = links_.of(row);
            all.assign(now.begin(), now.end());
            for (end = begin; end < edges.size() && edges[end].row == row; ++end) {
                if (std::find(now.begin(), now.end(), edges[end].neighbour) == now.end()) {
                    all.push_back(edges[end].neighbour);
                }
            }
            set(search, row, all, links_.room());
        }
    }

    // Sets a row's neighbours, pruned where they are more than `most`.
    void set(GraphSearch& search, std::uint32_t row, const std::vector<std::uint32_t>& all, std::size_t most) {
        if (all.size() <= most) {
            links_.set(row, all);
        } else {
            links_.set(row, search.prune(row, search.measure(row, all), options_.degree, options_.alpha));
        }
    }

    void cut_to_degree() {
        parallel_for(options_.threads, space_.row_count(), kTargetRanges,
                     [&](unsigned thread, std::size_t begin, std::size_t end) {
                         std::vector<std::uint32_t> all;
                         for (std::size_t row = begin; row < end; ++row) {
                             const auto now = links_.of(static_cast<std::uint32_t>(row));
                             all.assign(now.begin(), now.end());
                             set(searches_[thread], static_cast<std::uint32_t>(row), all, options_.degree);
                         }
                     });
    }

    const RowSpace& space_;
    const GraphOptions& options_;
    Links links_;
    std::vector<GraphSearch> searches_;  // one a thread
    std::size_t targets_per_range_;
    std::vector<std::uint32_t> entries_;
    std::vector<std::uint32_t> roots_;  // where searches start
    std::vector<std::uint32_t> order_;  // rows to insert
    std::vector<std::uint32_t> chosen_;  // [batch, degree], then kNoRow
    std::vector<Edge> back_edges_;
    std::size_t repaired_ = 0;
    std::size_t linked_ = 0;
};

}  // namespace

std::optional<Graph> build_graph(const GraphVectors& vectors, const GraphOptions& options, const StartGraph* start,
                                 const Progress& progress) {
    std::unique_ptr<RowSpace> space = make_space(vectors, options);
    Builder builder(*space, options);
    if (!builder.run(start, progress)) return std::nullopt;
    const Precision precision = space->precision();
    const std::size_t peak = space->size_bytes() + builder.size_bytes();
    space.reset();  // its bytes pay for the result's
    Graph graph = std::move(builder).take();
    graph.counters.precision = precision;
    graph.counters.peak_bytes = peak;
    return graph;
}

}  // namespace lutra
