#include "text_query.h"

#include <algorithm>
#include <memory>

#include "text_clauses.h"
#include "time_limit.h"

namespace lutra::text {

namespace {

constexpr std::uint32_t kCountedDocs = 1 << 16;
// Nanoseconds that the length of a document takes, and its score for a word, roughly.
constexpr std::size_t kLengthNs = 3;
constexpr std::size_t kScoreNs = 20;

void set(Words& words, std::uint32_t doc) { words[doc / 64] |= std::uint64_t{1} << doc % 64; }

// Counts the words of some documents at a time.
void count_matches(Clauses& clauses, std::uint32_t size, std::uint32_t needed, Words& found) {
    std::vector<std::uint32_t> counts(std::min(size, kCountedDocs));
    for (std::uint32_t from = 0; from < size;) {
        const std::uint32_t until = std::min(size - 1, from + kCountedDocs - 1);
        std::fill(counts.begin(), counts.end(), 0);
        for (Clause& clause : clauses.all) {
            clause.postings->each(from, until, [&](std::uint32_t doc, std::uint32_t) {
                counts[doc - from] += clause.times;
            });
        }
        for (std::uint32_t doc = from; doc <= until; ++doc) {
            if (counts[doc - from] >= needed) set(found, doc);
        }
        from = until + 1;
    }
}

}  // namespace

Words matches(const Part& part, std::span<const std::string_view> terms, std::uint32_t needed) {
    const std::uint32_t size = part.size();
    Words found((std::size_t{size} + 63) / 64);
    std::vector<Word> words;
    for (const std::string_view term : terms) words.push_back({term, 0});
    Clauses clauses(part, words);
    needed = std::max(needed, 1u);
    if (clauses.times < needed) return found;
    if (needed == 1) {
        for (Clause& clause : clauses.all) {
            clause.postings->each(0, kNoDoc - 1, [&](std::uint32_t doc, std::uint32_t) { set(found, doc); });
        }
    } else if (clauses.all_needed(needed)) {
        Pace pace;
        clauses.each_common(0, kNoDoc - 1, [&](std::uint32_t doc) {
            pace.step(kScoreNs);
            set(found, doc);
        });
    } else {
        count_matches(clauses, size, needed, found);
    }
    return found;
}

std::uint32_t documents_of(const Part& part, std::string_view term, const RowMask* left_out) {
    if (left_out == nullptr || left_out->count() == 0) return part.documents_of(term);
    const std::unique_ptr<Postings> postings = part.postings(term);
    if (!postings) return 0;
    std::uint32_t count = postings->document_count();
    const std::uint32_t size = part.size();
    // Only blocks that can have one of them are read.
    for (std::size_t doc = left_out->first(0, size); doc < size; doc = left_out->first(doc, size)) {
        if (!postings->seek(static_cast<std::uint32_t>(doc))) break;
        postings->decode();
        for (std::uint32_t i = 0; i < postings->count(); ++i) count -= left_out->contains(postings->docs()[i]);
        doc = std::size_t{postings->last()} + 1;
    }
    return count;
}

Totals totals(const Part& part, const RowMask* left_out) {
    Totals found{part.document_count(), part.token_count()};
    if (left_out == nullptr || left_out->count() == 0) return found;
    const std::unique_ptr<Lengths> lengths = part.lengths();
    left_out->each(0, part.size(), [&](std::size_t doc) {
        const std::uint32_t length = lengths->length(static_cast<std::uint32_t>(doc));
        found.documents -= length > 0;
        found.tokens -= length;
    });
    return found;
}

Words exists(const Part& part) {
    Words found((std::size_t{part.size()} + 63) / 64);
    const std::unique_ptr<Lengths> lengths = part.lengths();
    Pace pace;
    for (std::uint32_t doc = 0; doc < part.size(); ++doc) {
        pace.step(kLengthNs);
        found[doc / 64] |= static_cast<std::uint64_t>(lengths->stored(doc) != 0) << doc % 64;
    }
    return found;
}

void scores(const Part& part, std::span<const Word> words, double average_length, std::span<const std::int64_t> docs,
            double* scores) {
    std::fill(scores, scores + docs.size(), 0.0);
    Clauses clauses(part, words);
    const Scorer scorer(clauses.total_weight, average_length);
    const std::unique_ptr<Lengths> lengths = part.lengths();
    Pace pace;
    for (Clause& clause : clauses.all) {
        for (std::size_t i = 0; i < docs.size(); ++i) {
            pace.step(kScoreNs);
            const auto doc = static_cast<std::uint32_t>(docs[i]);
            const std::uint32_t found = clause.postings->advance(doc);
            if (found == kNoDoc) break;
            if (found != doc) continue;
            scores[i] += scorer.score(clause.weight, clause.postings->frequency(), lengths->length(doc));
        }
    }
}

}  // namespace lutra::text
