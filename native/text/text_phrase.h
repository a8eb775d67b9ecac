// Documents in which words stand as near to each other as in a phrase.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "row_mask.h"
#include "text_part.h"
#include "text_query.h"

namespace lutra::text {

// A word and where it stands in the phrase.
struct PhraseWord {
    std::string_view term;
    std::uint32_t position;
};

// Each word takes an occurrence of its own; where it stands in the text, less where it stands in the phrase, is its
// place. A document matches where places can be chosen of which the greatest less the least is at most `slop`: 0 is the
// phrase itself, and two neighbours the other way round take 2 (Lucene's sloppy phrases).
Words phrase_matches(const Part& part, std::span<const PhraseWord> words, std::uint32_t slop);

// Fills `scores` for `docs`, which ascend, as `scores` does for one word of that weight, which is there as often as the
// phrase is. With slop, each stretch that matches and has no other within it counts 1 / (1 + its places' difference).
void phrase_scores(const Part& part, std::span<const PhraseWord> words, std::uint32_t slop, double weight,
                   double average_length, std::span<const std::int64_t> docs, double* scores);

}  // namespace lutra::text
