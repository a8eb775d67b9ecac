// What each kernel family adds to the extension module.
#pragma once

#include <nanobind/nanobind.h>

namespace lutra {

void bind_aggregate(nanobind::module_& m);
void bind_checksum(nanobind::module_& m);
void bind_block_cache(nanobind::module_& m);
void bind_codes(nanobind::module_& m);
void bind_plainbuffer(nanobind::module_& m);
void bind_deadline(nanobind::module_& m);
void bind_distance(nanobind::module_& m);
void bind_fast_codes(nanobind::module_& m);
void bind_forks(nanobind::module_& m);
void bind_geo(nanobind::module_& m);
void bind_graph(nanobind::module_& m);
void bind_lists(nanobind::module_& m);
void bind_link_codes(nanobind::module_& m);
void bind_log_frames(nanobind::module_& m);
void bind_row_mask(nanobind::module_& m);
void bind_searcher(nanobind::module_& m);
void bind_text(nanobind::module_& m);
void bind_vector_values(nanobind::module_& m);
void bind_walk(nanobind::module_& m);
void bind_wildcard(nanobind::module_& m);

}  // namespace lutra
