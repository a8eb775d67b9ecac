// Every row of a graph made reachable from its entries.
#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "graph_links.h"
#include "graph_search.h"

namespace lutra {

// Gives each row that cannot be reached an edge from a near one that can. An edge is replaced only where it is not the
// one by which a row was first reached, so what was reachable stays so. Returns how many edges were set; stops early
// where `go_on` says no. A row has at most `degree` neighbours before and after.
std::size_t make_reachable(Links& links, std::span<const std::uint32_t> entries, GraphSearch& search,
                           std::size_t width, const std::function<bool()>& go_on);

// Asks for every row by a narrow walk, which ends where it meets the row. Who is not met gets an edge from a near row that
// the walk came by: rows far from all others are nobody's neighbours, and some lie beside the ways that lead to theirs. No
// edge is replaced that a row is reached by, or whose row has few. Returns how many edges were set, the same on any number
// of threads; there is a search for each. Stops early where `go_on` says no.
std::size_t make_findable(Links& links, std::span<const std::uint32_t> entries, std::span<GraphSearch> searches,
                          const std::function<bool()>& go_on);

// Whether each row can be reached from the entries; [row_count].
std::vector<bool> reachable(const Links& links, std::span<const std::uint32_t> entries);

}  // namespace lutra
