#include "graph_repair.h"

#include <algorithm>
#include <array>
#include <optional>
#include <vector>

#include "graph.h"
#include "parallel.h"

namespace lutra {

namespace {

// The rows reached so far and, of each, the row it was first reached from.
class Reached {
  public:
    Reached(const Links& links, std::span<const std::uint32_t> entries)
        : links_(links), from_(links.row_count(), kNoRow) {
        for (const std::uint32_t entry : entries) from_[entry] = entry;
        for (const std::uint32_t entry : entries) spread(entry);
    }

    bool contains(std::uint32_t row) const { return from_[row] != kNoRow; }

    // Whether the edge is the one by which `to` was first reached.
    bool needs(std::uint32_t from, std::uint32_t to) const { return from_[to] == from; }

    void add(std::uint32_t row, std::uint32_t from) {
        from_[row] = from;
        spread(row);
    }

  private:
    void spread(std::uint32_t row) {
        waiting_.push_back(row);
        while (!waiting_.empty()) {
            const std::uint32_t next = waiting_.back();
            waiting_.pop_back();
            for (const std::uint32_t neighbour : links_.of(next)) {
                if (contains(neighbour)) continue;
                from_[neighbour] = next;
                waiting_.push_back(neighbour);
            }
        }
    }

    const Links& links_;
    std::vector<std::uint32_t> from_;
    std::vector<std::uint32_t> waiting_;
};

// Rows with as few edges to them keep those they have.
constexpr std::uint32_t kFewEdges = 8;
// An edge set for one row may be the one that another was found by: those that lost one are asked for again.
constexpr std::size_t kRounds = 3;
// Of walks to a row, how wide: as those of searches that cost the least.
constexpr std::size_t kNarrowWidth = 24;
// The nearest rows that such a walk came by which may get an edge.
constexpr std::size_t kLinksTried = 8;
constexpr std::size_t kBlockRows = 64;
// Asked for before edges are set.
constexpr std::size_t kRowsAtOnce = 262'144;

// Sets an edge from `from` to `to`, where there is a place that no row's being reached depends on.
bool link(Links& links, const Reached& reached, std::uint32_t from, std::uint32_t to) {
    const std::span<const std::uint32_t> neighbours = links.of(from);
    if (neighbours.size() < links.degree()) {
        links.add(from, to);
        return true;
    }
    for (std::size_t at = neighbours.size(); at-- > 0;) {
        if (reached.needs(from, neighbours[at])) continue;
        links.replace(from, at, to);
        return true;
    }
    return false;
}

}  // namespace

std::size_t make_reachable(Links& links, std::span<const std::uint32_t> entries, GraphSearch& search,
                           std::size_t width, const std::function<bool()>& go_on) {
    Reached reached(links, entries);
    std::size_t repaired = 0;
    std::uint32_t any = 0;  // where the last row with a place for a far one was found
    for (std::uint32_t row = 0; row < links.row_count(); ++row) {
        if (reached.contains(row)) continue;
        if (repaired % 1024 == 1023 && !go_on()) return repaired;
        std::optional<std::uint32_t> from;
        for (const Candidate& near : search.near(row, entries, width)) {
            if (reached.contains(near.row) && link(links, reached, near.row, row)) {
                from = near.row;
                break;
            }
        }
        // All near ones are full of edges that others depend on: any row with a place will do. There is one, as fewer
        // edges are depended on than rows are reached.
        while (!from) {
            if (reached.contains(any) && link(links, reached, any, row)) {
                from = any;
            } else {
                any = any + 1 < links.row_count() ? any + 1 : 0;
            }
        }
        reached.add(row, *from);
        ++repaired;
    }
    return repaired;
}

namespace {

std::vector<std::uint32_t> edges_to(const Links& links) {
    std::vector<std::uint32_t> count(links.row_count(), 0);
    for (std::uint32_t row = 0; row < links.row_count(); ++row) {
        for (const std::uint32_t neighbour : links.of(row)) ++count[neighbour];
    }
    return count;
}

// A row that a walk did not meet, and the nearest rows that it came by, then kNoRow.
struct Missed {
    std::uint32_t row;
    std::array<std::uint32_t, kLinksTried> came_by;
};

// Of some rows, those missed, in the order of their numbers.
std::vector<Missed> missed_of(std::span<const std::uint32_t> rows, std::span<const std::uint32_t> entries,
                              std::span<GraphSearch> searches) {
    std::vector<std::vector<Missed>> by_thread(searches.size());
    parallel_for(static_cast<unsigned>(searches.size()), rows.size(), kBlockRows,
                 [&](unsigned thread, std::size_t begin, std::size_t end) {
                     for (const std::uint32_t row : rows.subspan(begin, end - begin)) {
                         if (searches[thread].meets(row, entries, kNarrowWidth)) continue;
                         Missed missed{row, {}};
                         missed.came_by.fill(kNoRow);
                         const std::vector<Candidate>& near = searches[thread].expanded();
                         for (std::size_t i = 0; i < std::min(near.size(), kLinksTried); ++i) {
                             missed.came_by[i] = near[i].row;
                         }
                         by_thread[thread].push_back(missed);
                     }
                 });
    std::vector<Missed> all;
    for (const std::vector<Missed>& some : by_thread) all.insert(all.end(), some.begin(), some.end());
    std::sort(all.begin(), all.end(), [](const Missed& a, const Missed& b) { return a.row < b.row; });
    return all;
}

// As `link`, but no edge is replaced whose row has few. Who loses one is added to `lost`.
bool link_spare(Links& links, const Reached& reached, std::vector<std::uint32_t>& edges, std::uint32_t from,
                std::uint32_t to, std::vector<std::uint32_t>& lost) {
    const std::span<const std::uint32_t> neighbours = links.of(from);
    ++edges[to];
    if (neighbours.size() < links.degree()) {
        links.add(from, to);
        return true;
    }
    for (std::size_t at = neighbours.size(); at-- > 0;) {
        const std::uint32_t replaced = neighbours[at];
        if (reached.needs(from, replaced) || edges[replaced] <= kFewEdges + 1) continue;
        --edges[replaced];
        lost.push_back(replaced);
        links.replace(from, at, to);
        return true;
    }
    --edges[to];
    return false;
}

}  // namespace

std::size_t make_findable(Links& links, std::span<const std::uint32_t> entries, std::span<GraphSearch> searches,
                          const std::function<bool()>& go_on) {
    std::vector<std::uint32_t> edges = edges_to(links);
    std::vector<std::uint32_t> asked;
    for (std::uint32_t row = 0; row < links.row_count(); ++row) {
        if (std::find(entries.begin(), entries.end(), row) == entries.end()) asked.push_back(row);
    }
    std::size_t linked = 0;
    for (std::size_t round = 0; round < kRounds; ++round) {
        std::vector<std::uint32_t> changed;
        for (std::size_t begin = 0; begin < asked.size(); begin += kRowsAtOnce) {
            if (!go_on()) return linked;
            const std::span<const std::uint32_t> rows = std::span(asked).subspan(begin);
            const std::vector<Missed> missed = missed_of(rows.first(std::min(rows.size(), kRowsAtOnce)), entries, searches);
            if (missed.empty()) continue;
            const Reached reached(links, entries);
            for (const Missed& one : missed) {
                const auto links_to_it = [&](std::uint32_t from) {
                    return from != kNoRow && link_spare(links, reached, edges, from, one.row, changed);
                };
                if (std::none_of(one.came_by.begin(), one.came_by.end(), links_to_it)) continue;
                changed.push_back(one.row);
                ++linked;
            }
        }
        std::sort(changed.begin(), changed.end());
        changed.erase(std::unique(changed.begin(), changed.end()), changed.end());
        asked.swap(changed);
    }
    return linked;
}

std::vector<bool> reachable(const Links& links, std::span<const std::uint32_t> entries) {
    const Reached reached(links, entries);
    std::vector<bool> result(links.row_count());
    for (std::uint32_t row = 0; row < links.row_count(); ++row) result[row] = reached.contains(row);
    return result;
}

}  // namespace lutra
