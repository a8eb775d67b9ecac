// Scans of codes: the k rows nearest by estimate, and the rows that may be among the k nearest by true distance.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "row_mask.h"

namespace lutra {

struct CodeScan {
    const std::uint8_t* records;  // [row_count, record_bytes of the query]; row_count <= kRowsMax
    std::size_t row_count;
    const RowMask* mask;          // of row_count rows; nullptr: all rows count
    unsigned threads;          // at most; 0: as many as the process may use. Fewer where there is little to do.
    // Where the thread's time is up: set, and what was looked at by then is the answer. nullptr: TooLateError is thrown.
    bool* was_cut = nullptr;

    std::size_t counting() const { return mask == nullptr ? row_count : mask->count(); }
};

struct Estimated {
    std::uint32_t row;
    float estimate;
    float lower_bound;
};

// The k rows of the smallest estimates, in ascending order and equals by row; all that count where they are fewer.
// `Query` is QueryCode or ProductQuery.
template <class Query>
std::vector<Estimated> nearest_by_code(const Query& query, const CodeScan& scan, std::size_t k);

// The rows whose lower bound does not exceed the k-th smallest upper bound, in the same order: as far as the bounds
// hold, the k nearest are among them.
template <class Query>
std::vector<Estimated> candidates_by_code(const Query& query, const CodeScan& scan, std::size_t k);

}  // namespace lutra
