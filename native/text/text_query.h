// Questions to one part: which documents have words, which have most of them.
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "row_mask.h"
#include "text_part.h"
#include "text_score.h"

namespace lutra::text {

using Words = std::vector<std::uint64_t>;  // a bit a document

// Sets the bits of the documents that have at least `needed` of the words. One that comes twice counts twice.
Words matches(const Part& part, std::span<const std::string_view> terms, std::uint32_t needed);

// How many documents have the term, those of `left_out` not counted.
std::uint32_t documents_of(const Part& part, std::string_view term, const RowMask* left_out);

struct Totals {
    std::uint64_t documents;  // that have a token
    std::uint64_t tokens;
};
Totals totals(const Part& part, const RowMask* left_out);

// Documents that have a text, be it without a token.
Words exists(const Part& part);

// Fills `scores`, one for each of `docs`, which ascend; 0 where it has none of the words.
void scores(const Part& part, std::span<const Word> words, double average_length, std::span<const std::int64_t> docs,
            double* scores);

struct Hit {
    std::uint32_t doc;
    double score;
};

struct Best {
    std::span<const Word> words;
    double average_length;
    std::uint32_t needed;  // of the words
    std::size_t k;
    const RowMask* mask;  // nullptr: all documents count
    double floor = -std::numeric_limits<double>::infinity();  // what scores less may be left out
    // Where the thread's time is up: set, and the best of what was looked at by then are the answer. nullptr: TooLateError
    // is thrown.
    bool* was_cut = nullptr;
};

// The k documents with the highest scores, highest first, and equals by number.
std::vector<Hit> best(const Part& part, const Best& wanted);

}  // namespace lutra::text
