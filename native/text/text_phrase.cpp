#include "text_phrase.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <vector>

#include "text_clauses.h"

namespace lutra::text {

namespace {

// Nanoseconds that the positions of a document take, roughly.
constexpr std::size_t kDocNs = 500;
constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::max();

std::vector<Word> terms_of(std::span<const PhraseWord> words) {
    std::vector<Word> terms;
    for (const PhraseWord& word : words) terms.push_back({word.term, 0});
    return terms;
}

class Phrase {
  public:
    Phrase(const Part& part, std::span<const PhraseWord> words, std::uint32_t slop)
        : slop_(slop), clauses_(part, terms_of(words)) {
        if (clauses_.times != words.size()) return;  // one of them is not there
        places_.resize(clauses_.all.size());
        positions_.resize(clauses_.all.size());
        for (const PhraseWord& word : words) {
            for (std::size_t i = 0; i < clauses_.all.size(); ++i) {
                if (clauses_.all[i].term == clipped(word.term)) places_[i].push_back(word.position);
            }
        }
        for (std::vector<std::uint32_t>& places : places_) {
            std::sort(places.begin(), places.end());
            places.erase(std::unique(places.begin(), places.end()), places.end());
        }
        is_there_ = !words.empty();
    }

    // Calls look(document) for each that may have it.
    template <class Look>
    void each(const Look& look) {
        if (is_there_) clauses_.each_common(0, kNoDoc - 1, look);
    }
    // Whether `doc`, later than the one before, has all words.
    bool has_words(std::uint32_t doc) { return is_there_ && clauses_.common(doc, doc) == doc; }

    // How much of it the document has that was looked up last; once it is sure that it has some, where that is enough.
    double frequency(bool whether) {
        for (std::size_t i = 0; i < positions_.size(); ++i) {
            if (clauses_.all[i].postings->frequency() < places_[i].size()) return 0;
        }
        for (std::size_t i = 0; i < positions_.size(); ++i) {
            Postings& postings = *clauses_.all[i].postings;
            postings.positions(postings.place(), positions_[i]);
        }
        return slop_ == 0 ? exactly(whether) : nearly(whether);
    }

  private:
    double exactly(bool whether) {
        double found = 0;
        std::size_t rarest = 0;
        for (std::size_t i = 1; i < positions_.size(); ++i) {
            if (positions_[i].size() < positions_[rarest].size()) rarest = i;
        }
        for (const std::uint32_t position : positions_[rarest]) {
            const std::int64_t begin = std::int64_t{position} - places_[rarest].front();
            bool all = true;
            for (std::size_t i = 0; i < positions_.size() && all; ++i) {
                for (const std::uint32_t place : places_[i]) {
                    const std::int64_t wanted = begin + place;
                    all = all && wanted >= 0 && wanted <= kPositionMax &&
                          std::binary_search(positions_[i].begin(), positions_[i].end(),
                                             static_cast<std::uint32_t>(wanted));
                }
            }
            if (all && whether) return 1;
            found += all;
        }
        return found;
    }

    // The greatest place where the least is `begin` or a later one and the greatest as small as it can be; kNever where
    // words are missing. Each word takes the first occurrence that is left: of those of one term in order, that is best.
    std::int64_t greatest_from(std::int64_t begin) {
        std::int64_t greatest = begin;
        for (std::size_t i = 0, word = 0; i < places_.size(); ++i) {
            const std::vector<std::uint32_t>& positions = positions_[i];
            std::size_t free = 0;
            for (const std::uint32_t place : places_[i]) {
                std::size_t& at = firsts_[word++];
                while (at < positions.size() && positions[at] < begin + place) ++at;
                free = std::max(free, at);
                if (free == positions.size()) return kNever;
                greatest = std::max(greatest, std::int64_t{positions[free++]} - place);
            }
        }
        return greatest;
    }

    double nearly(bool whether) {
        begins_.clear();
        std::size_t words = 0;
        for (std::size_t i = 0; i < places_.size(); ++i) {
            words += places_[i].size();
            for (const std::uint32_t place : places_[i]) {
                for (const std::uint32_t position : positions_[i]) begins_.push_back(std::int64_t{position} - place);
            }
        }
        std::sort(begins_.begin(), begins_.end());
        begins_.erase(std::unique(begins_.begin(), begins_.end()), begins_.end());
        firsts_.assign(words, 0);
        double found = 0;
        std::int64_t begin = 0, end = kNever;  // of the stretch before, if any
        const auto add = [&] {
            if (end != kNever && end - begin <= std::int64_t{slop_}) found += 1.0 / static_cast<double>(1 + end - begin);
        };
        for (const std::int64_t next : begins_) {
            const std::int64_t next_end = greatest_from(next);
            if (next_end != end) add();
            if (found > 0 && whether) return found;
            begin = next;
            end = next_end;
            if (end == kNever) break;
        }
        add();
        return found;
    }

    const std::uint32_t slop_;
    Clauses clauses_;
    bool is_there_ = false;
    std::vector<std::vector<std::uint32_t>> places_;     // of each term in the phrase
    std::vector<std::vector<std::uint32_t>> positions_;  // of each term in the document
    std::vector<std::size_t> firsts_;  // of each word: its term's first position that is not before the stretch
    std::vector<std::int64_t> begins_;
};

}  // namespace

Words phrase_matches(const Part& part, std::span<const PhraseWord> words, std::uint32_t slop) {
    Words found((std::size_t{part.size()} + 63) / 64);
    const auto phrase = std::make_unique<Phrase>(part, words, slop);
    Pace pace;
    phrase->each([&](std::uint32_t doc) {
        pace.step(kDocNs);
        if (phrase->frequency(true) > 0) found[doc / 64] |= std::uint64_t{1} << doc % 64;
    });
    return found;
}

void phrase_scores(const Part& part, std::span<const PhraseWord> words, std::uint32_t slop, double weight,
                   double average_length, std::span<const std::int64_t> docs, double* scores) {
    const auto phrase = std::make_unique<Phrase>(part, words, slop);
    const Scorer scorer(weight, average_length);
    const std::unique_ptr<Lengths> lengths = part.lengths();
    Pace pace;
    for (std::size_t i = 0; i < docs.size(); ++i) {
        pace.step(kDocNs);
        const auto doc = static_cast<std::uint32_t>(docs[i]);
        const double frequency = phrase->has_words(doc) ? phrase->frequency(false) : 0;
        scores[i] = frequency > 0 ? scorer.score_of(weight, frequency, lengths->length(doc)) : 0;
    }
}

}  // namespace lutra::text
