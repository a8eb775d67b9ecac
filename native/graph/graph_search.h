// The work one thread of a build does on a row: search the graph for what is near it, and prune that to its neighbours.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "beam.h"
#include "graph_links.h"
#include "graph_space.h"

namespace lutra {

class GraphSearch {
  public:
    GraphSearch(const RowSpace& space, const Links& links) : space_(space), links_(links) {}

    // The rows whose neighbours were looked at on the way from the entries to `row`, nearest first, without `row`.
    const std::vector<Candidate>& near(std::uint32_t row, std::span<const std::uint32_t> entries, std::size_t width);

    // Whether a search from the entries comes by a row that has an edge to `row`; it ends there. `expanded` then says
    // what it came by.
    bool meets(std::uint32_t row, std::span<const std::uint32_t> entries, std::size_t width);
    // The rows whose neighbours the last search looked at, nearest first.
    const std::vector<Candidate>& expanded() const { return expanded_; }

    // Distances from `row` to `others`, sorted; `row` itself and repetitions are left out.
    const std::vector<Candidate>& measure(std::uint32_t row, std::span<const std::uint32_t> others);

    // At most `degree` of the candidates (sorted by distance from `row`, none twice, not `row`), nearest first: one is
    // left out where another that is kept lies alpha times nearer to it than `row` does (distances squared); what is
    // left out at alpha 1 fills remaining places (DiskANN). Rows at distance 0 take at most a quarter of the places, so
    // that many equal rows stay linked to each other and to the rest.
    const std::vector<std::uint32_t>& prune(std::uint32_t row, std::span<const Candidate> candidates,
                                            std::size_t degree, float alpha);

    std::uint64_t distances() const { return distances_; }
    std::size_t size_bytes() const { return space_.row_count() / 8; }

  private:
    void begin(std::uint32_t row, std::span<const std::uint32_t> entries, std::size_t width);
    // The neighbours of the nearest row of the beam that was not looked at yet; none: the search is over.
    std::optional<std::span<const std::uint32_t>> next();
    void look_at(std::span<const std::uint32_t> rows);
    void occlude(const Candidate& kept, std::span<const Candidate> candidates, std::size_t begin, float alpha);

    const RowSpace& space_;
    const Links& links_;
    std::uint64_t distances_ = 0;
    Probe probe_;
    Probe kept_probe_;
    Beam beam_;
    RowSet seen_;
    std::vector<std::uint32_t> rows_;
    std::vector<float> found_;
    std::vector<Candidate> fresh_;
    std::vector<Candidate> expanded_;
    std::vector<float> occlusion_;
    std::vector<std::size_t> places_;
    std::vector<Candidate> shuffled_;
    std::vector<std::uint32_t> kept_;
};

}  // namespace lutra
