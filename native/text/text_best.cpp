// The best documents without looking at all: what the best of some documents could have is known before they are read.
#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <memory>

#include "text_clauses.h"
#include "text_query.h"
#include "time_limit.h"

namespace lutra::text {

namespace {

// Documents that are scored together, where several words have to be looked at.
constexpr std::uint32_t kWindowDocs = 4096;
// Nanoseconds that a block of postings takes, and a window, roughly.
constexpr std::size_t kBlockNs = 1'000;
constexpr std::size_t kWindowNs = 10'000;

bool is_better(const Hit& one, const Hit& other) {
    return one.score != other.score ? one.score > other.score : one.doc < other.doc;
}

// The k best so far. Documents come in order: of those with one score the earlier stay.
class Heap {
  public:
    Heap(std::size_t k, double floor) : k_(k), threshold_(std::nextafter(floor, -std::numeric_limits<double>::infinity())) {
        hits_.reserve(std::min<std::size_t>(k, 1024));
    }

    // What has no higher score than this is not among them.
    double threshold() const { return threshold_; }

    void add(std::uint32_t doc, double score) {
        if (!(score > threshold_)) return;
        if (hits_.size() == k_) {
            std::pop_heap(hits_.begin(), hits_.end(), is_better);
            hits_.back() = {doc, score};
        } else {
            hits_.push_back({doc, score});
        }
        std::push_heap(hits_.begin(), hits_.end(), is_better);
        if (hits_.size() == k_) threshold_ = std::max(threshold_, hits_.front().score);
    }

    std::vector<Hit> take() {
        std::sort_heap(hits_.begin(), hits_.end(), is_better);
        return std::move(hits_);
    }

  private:
    std::size_t k_;
    double threshold_;
    std::vector<Hit> hits_;
};

class Search {
  public:
    Search(const Part& part, const Best& wanted)
        : wanted_(wanted),
          needed_(std::max(wanted.needed, 1u)),
          size_(part.size()),
          clauses_(part, wanted.words),
          scorer_(clauses_.total_weight, wanted.average_length),
          lengths_(part.lengths()),
          heap_(wanted.k, wanted.floor) {}

    std::vector<Hit> run() {
        if (wanted_.k == 0 || size_ == 0 || clauses_.times < needed_) return {};
        try {
            if (clauses_.all.size() > 1 && clauses_.all_needed(needed_)) {
                common();
            } else {
                any();
            }
        } catch (const TooLateError&) {
            if (wanted_.was_cut == nullptr) throw;
            *wanted_.was_cut = true;
        }
        return heap_.take();
    }

  private:
    bool counts(std::uint32_t doc) const { return wanted_.mask == nullptr || wanted_.mask->contains(doc); }
    double score(const Clause& clause, std::uint32_t doc, std::uint32_t frequency) {
        return scorer_.score(clause.weight, frequency, lengths_->length(doc));
    }

    // Documents that have all words: blocks of documents whose best cannot do are passed over.
    void common() {
        std::vector<Clause>& all = clauses_.all;
        for (std::uint32_t from = 0; from < size_;) {
            pace_.step(kBlockNs * all.size());
            std::uint32_t until = size_ - 1;
            for (Clause& clause : all) {
                if (!clause.postings->seek(from)) return;
                until = std::min(until, clause.postings->last());
            }
            double most = 0;
            for (Clause& clause : all) most += scorer_.bound(clause.weight, clause.postings->impacts_until(until));
            if (most > heap_.threshold()) {
                for (std::uint32_t doc = clauses_.common(from, until); doc != kNoDoc;
                     doc = doc == until ? kNoDoc : clauses_.common(doc + 1, until)) {
                    if (!counts(doc)) continue;
                    double sum = 0;
                    for (const Clause& clause : all) sum += score(clause, doc, clause.postings->frequency());
                    heap_.add(doc, sum);
                }
            }
            from = until + 1;
        }
    }

    // Documents that have some: window by window. Words whose best together cannot do are looked at only in documents
    // that others give (MaxScore; of blocks: Ding, Suel: Faster top-k document retrieval using block-max indexes, 2011).
    void any() {
        for (Clause& clause : clauses_.all) live_.push_back(&clause);
        first_ = 0;
        for (std::uint32_t from = 0; from < size_;) {
            pace_.step(kBlockNs * live_.size());
            std::erase_if(live_, [&](Clause* clause) { return !clause->postings->seek(from); });
            std::uint32_t times = 0;
            for (const Clause* clause : live_) times += clause->times;
            if (times < needed_) return;
            const std::uint32_t until = end_of_window();
            divide(until);
            if (first_ < live_.size()) {
                if (first_ + 1 == live_.size() && needed_ == 1) {
                    one(from, until);
                } else {
                    several(from, until);
                }
            }
            from = until + 1;
        }
    }

    // Where the first block ends of a word that had to be looked at in the window before.
    std::uint32_t end_of_window() {
        std::uint32_t until = size_ - 1;
        const std::size_t begin = first_ < live_.size() ? first_ : 0;
        for (std::size_t i = begin; i < live_.size(); ++i) until = std::min(until, live_[i]->postings->last());
        return until;
    }

    // Sorts words by what they can add up to document `until`, and says from which on they have to be looked at.
    void divide(std::uint32_t until) {
        for (Clause* clause : live_) {
            clause->bound = scorer_.bound(clause->weight, clause->postings->impacts_until(until));
        }
        std::sort(live_.begin(), live_.end(), [](const Clause* a, const Clause* b) {
            return a->bound != b->bound ? a->bound < b->bound : a->term < b->term;
        });
        rest_.assign(live_.size() + 1, 0);
        for (std::size_t i = 0; i < live_.size(); ++i) rest_[i + 1] = rest_[i] + live_[i]->bound;
        first_ = 0;
        while (first_ < live_.size() && rest_[first_ + 1] <= heap_.threshold()) ++first_;
        if (needed_ > 1 && first_ < live_.size()) first_ = 0;  // all have to be counted
    }

    // Adds what the other words give to a document that has `sum`, as long as it can do.
    void finish(std::uint32_t doc, double sum) {
        for (std::size_t i = first_; i-- > 0;) {
            if (sum + rest_[i + 1] <= heap_.threshold()) return;
            if (live_[i]->postings->advance(doc) == doc) sum += score(*live_[i], doc, live_[i]->postings->frequency());
        }
        heap_.add(doc, sum);
    }

    void one(std::uint32_t from, std::uint32_t until) {
        Clause& clause = *live_[first_];
        clause.postings->each(from, until, [&](std::uint32_t doc, std::uint32_t frequency) {
            if (!counts(doc)) return;
            const double sum = score(clause, doc, frequency);
            if (sum + rest_[first_] > heap_.threshold()) finish(doc, sum);
        });
    }

    void several(std::uint32_t from, std::uint32_t until) {
        for (;;) {
            std::uint32_t begin = kNoDoc;
            for (std::size_t i = first_; i < live_.size(); ++i) {
                begin = std::min(begin, live_[i]->postings->advance(from));
            }
            if (begin > until) return;
            pace_.step(kWindowNs);
            const std::uint32_t end = std::min(until - begin, kWindowDocs - 1) + begin;
            for (std::size_t i = first_; i < live_.size(); ++i) add(*live_[i], begin, end);
            collect(begin, end);
            if (end == until) return;
            from = end + 1;
        }
    }

    void add(Clause& clause, std::uint32_t begin, std::uint32_t end) {
        clause.postings->each(begin, end, [&](std::uint32_t doc, std::uint32_t frequency) {
            if (!counts(doc)) return;
            const std::uint32_t i = doc - begin;
            std::uint64_t& word = found_[i / 64];
            const std::uint64_t bit = std::uint64_t{1} << i % 64;
            const double added = score(clause, doc, frequency);
            if ((word & bit) == 0) {
                word |= bit;
                sums_[i] = added;
                times_[i] = clause.times;
            } else {
                sums_[i] += added;
                times_[i] += clause.times;
            }
        });
    }

    void collect(std::uint32_t begin, std::uint32_t end) {
        for (std::uint32_t first = 0; first <= end - begin; first += 64) {
            for (std::uint64_t word = found_[first / 64]; word != 0; word &= word - 1) {
                const std::uint32_t i = first + static_cast<std::uint32_t>(std::countr_zero(word));
                if (times_[i] >= needed_) finish(begin + i, sums_[i]);
            }
            found_[first / 64] = 0;
        }
    }

    const Best& wanted_;
    const std::uint32_t needed_, size_;
    Clauses clauses_;
    const Scorer scorer_;
    const std::unique_ptr<Lengths> lengths_;
    Heap heap_;
    Pace pace_;
    std::vector<Clause*> live_;  // by what they can add to the window
    std::size_t first_ = 0;      // of those that have to be looked at
    std::vector<double> rest_;   // what those before each can add together
    std::uint64_t found_[kWindowDocs / 64] = {};
    double sums_[kWindowDocs];
    std::uint32_t times_[kWindowDocs];
};

}  // namespace

std::vector<Hit> best(const Part& part, const Best& wanted) {
    try {
        return std::make_unique<Search>(part, wanted)->run();
    } catch (const TooLateError&) {  // before anything was looked at
        if (wanted.was_cut == nullptr) throw;
        *wanted.was_cut = true;
        return {};
    }
}

}  // namespace lutra::text
