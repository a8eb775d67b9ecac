// The words of a query that a part has.
#pragma once

#include <algorithm>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "text_part.h"
#include "text_score.h"

namespace lutra::text {

struct Clause {
    std::unique_ptr<Postings> postings;
    std::string_view term;
    double weight;        // of all that are the same together
    std::uint32_t times;  // so many are the same
    double bound = 0;     // of the score it adds to a document of the window that is looked at
};

struct Clauses {
    // Words that are the same become one.
    Clauses(const Part& part, std::span<const Word> words) {
        std::vector<Word> sorted(words.begin(), words.end());
        for (Word& word : sorted) {
            word.term = clipped(word.term);
            total_weight += word.weight;
        }
        std::stable_sort(sorted.begin(), sorted.end(),
                         [](const Word& one, const Word& other) { return one.term < other.term; });
        for (std::size_t begin = 0, end; begin < sorted.size(); begin = end) {
            double weight = 0;
            for (end = begin; end < sorted.size() && sorted[end].term == sorted[begin].term; ++end) {
                weight += sorted[end].weight;
            }
            std::unique_ptr<Postings> postings = part.postings(sorted[begin].term);
            if (!postings) continue;
            const auto same = static_cast<std::uint32_t>(end - begin);
            all.push_back({std::move(postings), sorted[begin].term, weight, same});
            times += same;
        }
        std::stable_sort(all.begin(), all.end(), [](const Clause& one, const Clause& other) {
            return one.postings->document_count() < other.postings->document_count();
        });
    }

    // Whether a document has to have each of them for `needed` words.
    bool all_needed(std::uint32_t needed) const {
        return std::all_of(all.begin(), all.end(), [&](const Clause& clause) { return times - clause.times < needed; });
    }

    // The first document from `from` up to `until` that has them all; kNoDoc where there is none.
    std::uint32_t common(std::uint32_t from, std::uint32_t until) {
        std::uint32_t doc = from;
        for (std::size_t agreed = 0; doc <= until;) {
            if (agreed == all.size()) return doc;
            const std::uint32_t found = all[agreed].postings->advance(doc);
            if (found == doc) {
                ++agreed;
            } else {
                doc = found;
                agreed = 0;  // the rarest first: it goes the farthest
            }
        }
        return kNoDoc;
    }

    template <class Look>
    void each_common(std::uint32_t from, std::uint32_t until, const Look& look) {
        if (all.empty()) return;
        for (std::uint32_t doc = common(from, until); doc != kNoDoc; doc = common(doc + 1, until)) look(doc);
    }

    std::vector<Clause> all;  // the rarest first
    std::uint32_t times = 0;  // words of the query that the part has
    double total_weight = 0;  // of all words of the query
};

}  // namespace lutra::text
