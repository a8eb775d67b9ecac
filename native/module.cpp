// The extension module lutra.kernels._native. Each kernel family binds itself.
#include <nanobind/nanobind.h>

#include "bindings.h"

NB_MODULE(_native, m) {
    lutra::bind_forks(m);
    lutra::bind_deadline(m);
    lutra::bind_checksum(m);
    lutra::bind_log_frames(m);
    lutra::bind_wildcard(m);
    lutra::bind_codes(m);
    lutra::bind_link_codes(m);
    lutra::bind_plainbuffer(m);
    lutra::bind_distance(m);
    lutra::bind_vector_values(m);
    lutra::bind_row_mask(m);
    lutra::bind_graph(m);
    lutra::bind_walk(m);
    lutra::bind_lists(m);
    lutra::bind_fast_codes(m);
    lutra::bind_block_cache(m);
    lutra::bind_searcher(m);
    lutra::bind_text(m);
    lutra::bind_geo(m);
    lutra::bind_aggregate(m);
}
