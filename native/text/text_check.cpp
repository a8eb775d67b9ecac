#include "text_check.h"

#include <algorithm>
#include <memory>

#include "io_read.h"

namespace lutra::text {

namespace {

constexpr std::size_t kFaultsMax = 16;
constexpr std::size_t kShownBytes = 64;

// The finalizer of splitmix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
std::uint64_t mixed(std::uint64_t value) {
    value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9;
    value = (value ^ value >> 27) * 0x94d049bb133111eb;
    return value ^ value >> 31;
}

std::uint64_t hash_of(std::string_view term, std::uint64_t salt) {
    std::uint64_t hash = mixed(salt ^ term.size());
    for (std::size_t at = 0; at < term.size(); at += 8) {
        std::uint64_t word = 0;
        std::memcpy(&word, term.data() + at, std::min<std::size_t>(8, term.size() - at));
        hash = mixed(hash ^ word) + salt;
    }
    return hash;
}

class Check {
  public:
    explicit Check(const std::shared_ptr<const SegmentText>& text) : text_(text), layout_(text->layout()) {}

    std::vector<std::string> run() {
        try {
            read_lengths();
            const std::unique_ptr<TermCursor> terms = text_->terms("", true);
            std::uint64_t count = 0;
            while (terms->next() && faults_.size() < kFaultsMax) {
                check_term(*terms);
                ++count;
            }
            if (faults_.size() < kFaultsMax) check_sums(count);
        } catch (const CorruptionError& error) {
            faults_.emplace_back(error.what());
        }
        return std::move(faults_);
    }

  private:
    void add(std::string fault) {
        if (faults_.size() < kFaultsMax) faults_.push_back(std::move(fault));
    }

    void read_lengths() {
        const std::unique_ptr<Lengths> lengths = text_->lengths();
        std::uint64_t tokens = 0;
        std::uint32_t documents = 0;
        lengths_.resize(layout_.size);
        found_.resize(layout_.size);
        for (std::uint32_t doc = 0; doc < layout_.size; ++doc) {
            lengths_[doc] = lengths->length(doc);
            tokens += lengths_[doc];
            documents += lengths_[doc] > 0;
        }
        if (tokens != layout_.token_count || documents != layout_.document_count) {
            add("its documents have " + std::to_string(tokens) + " words in " + std::to_string(documents) +
                " of them, not " + std::to_string(layout_.token_count) + " in " + std::to_string(layout_.document_count));
        }
    }

    void check_term(TermCursor& terms) {
        const std::unique_ptr<Postings> postings = terms.postings();
        const std::string name = "word '" + std::string(terms.term().substr(0, kShownBytes)) + "'";
        std::uint64_t occurrences = 0;
        std::uint32_t documents = 0, from = 0;
        Impacts all;
        while (postings->seek(from)) {
            postings->decode();
            Impacts block;
            for (std::uint32_t i = 0; i < postings->count(); ++i) {
                const std::uint32_t doc = postings->docs()[i];
                if (doc < from) throw CorruptionError("the documents of " + name + " do not ascend");
                from = doc + 1;
                postings->positions(i, positions_);
                occurrences += positions_.size();
                found_[doc] += positions_.size();
                block.add(postings->frequencies()[i], lengths_[doc]);
            }
            documents += postings->count();
            all.add(block);
            if (documents < postings->document_count() || documents > kBlockDocs) {
                if (!(postings->impacts_until(postings->last()) == block)) {
                    add("block " + std::to_string((documents - 1) / kBlockDocs) + " of " + name +
                        " does not have the impacts that are said of it");
                }
            }
        }
        if (documents != terms.documents() || occurrences != terms.occurrences()) {
            add(name + " is " + std::to_string(occurrences) + " times in " + std::to_string(documents) +
                " documents, not " + std::to_string(terms.occurrences()) + " times in " +
                std::to_string(terms.documents()));
        }
        if (documents >= kImpactsFrom && !(postings->impacts() == all)) {
            add(name + " does not have the impacts that are said of it");
        }
    }

    void check_sums(std::uint64_t count) {
        if (count != layout_.term_count) {
            add("it has " + std::to_string(count) + " words, not " + std::to_string(layout_.term_count));
        }
        for (std::uint32_t doc = 0; doc < layout_.size; ++doc) {
            if (found_[doc] == lengths_[doc]) continue;
            add("document " + std::to_string(doc) + " has " + std::to_string(found_[doc]) + " words, not " +
                std::to_string(lengths_[doc]));
        }
    }

    std::shared_ptr<const SegmentText> text_;
    const SegmentLayout& layout_;
    std::vector<std::uint32_t> lengths_, positions_;
    std::vector<std::uint64_t> found_;
    std::vector<std::string> faults_;
};

}  // namespace

std::vector<std::string> faults(const std::shared_ptr<const SegmentText>& text) { return Check(text).run(); }

void add_digests(const Part& part, std::uint64_t salt, std::span<std::uint64_t> digests) {
    const std::unique_ptr<Lengths> lengths = part.lengths();
    const std::uint64_t there = mixed(salt ^ 0x9e3779b97f4a7c15);
    for (std::uint32_t doc = 0; doc < part.size(); ++doc) {
        if (lengths->stored(doc) != 0) digests[doc] += there;
    }
    const std::unique_ptr<TermCursor> terms = part.terms("", true);
    std::vector<std::uint32_t> positions;
    while (terms->next()) {
        const std::uint64_t hash = hash_of(terms->term(), salt);
        const std::unique_ptr<Postings> postings = terms->postings();
        for (std::uint32_t doc = postings->advance(0); doc != kNoDoc; doc = postings->advance(doc + 1)) {
            postings->positions(postings->place(), positions);
            for (const std::uint32_t position : positions) {
                digests[doc] += mixed(hash + (std::uint64_t{position} + 1) * 0x9e3779b97f4a7c15);
            }
        }
    }
}

}  // namespace lutra::text
