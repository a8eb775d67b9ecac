#include "graph_repair.h"

#include <optional>

#include "graph.h"

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

std::vector<bool> reachable(const Links& links, std::span<const std::uint32_t> entries) {
    const Reached reached(links, entries);
    std::vector<bool> result(links.row_count());
    for (std::uint32_t row = 0; row < links.row_count(); ++row) result[row] = reached.contains(row);
    return result;
}

}  // namespace lutra
