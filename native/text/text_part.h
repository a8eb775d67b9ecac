// The words of a TEXT field over the documents of a part, be it a buffer or a segment: what queries and merges read.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "text_format.h"
#include "time_limit.h"

namespace lutra::text {

inline constexpr std::uint32_t kNoDoc = 0xffffffff;

// The documents of a term, block by block, forward only.
class Postings {
  public:
    Postings() = default;
    Postings(const Postings&) = delete;
    Postings& operator=(const Postings&) = delete;
    virtual ~Postings() = default;

    // How many documents there are, and how often the term is in them.
    std::uint32_t document_count() const { return document_count_; }
    // Of all documents.
    const Impacts& impacts() const { return impacts_; }

    // Goes on to the first block whose last document is `target` or a later one. False where there is none.
    bool seek(std::uint32_t target) {
        if (started_ && target <= last_) return !ended_;
        return move(target);
    }
    // The last document of the block.
    std::uint32_t last() const { return last_; }
    // Of the documents from those of the block up to document `until`.
    virtual Impacts impacts_until(std::uint32_t until) = 0;
    // Reads the block's documents, once: `count()` of them, ascending, and how often the term is in each.
    void decode() {
        if (decoded_) return;
        read_block();
        decoded_ = true;
        at_ = 0;
    }
    bool decoded() const { return decoded_; }
    std::uint32_t count() const { return count_; }
    const std::uint32_t* docs() const { return docs_; }
    const std::uint32_t* frequencies() const { return frequencies_; }
    // The positions in the i-th document of the block, ascending.
    virtual void positions(std::uint32_t i, std::vector<std::uint32_t>& positions) = 0;

    // Goes on to the first document that is `target` or a later one, and gives it, kNoDoc where there is none.
    std::uint32_t advance(std::uint32_t target) {
        if (!seek(target)) return kNoDoc;
        decode();
        while (docs_[at_] < target) ++at_;
        return docs_[at_];
    }
    // Calls look(document, frequency) for each document from `from` up to `until`.
    template <class Look>
    void each(std::uint32_t from, std::uint32_t until, const Look& look) {
        while (seek(from)) {
            pace_.step(kBlockNs);
            decode();
            std::uint32_t i = at_;
            while (docs_[i] < from) ++i;
            for (; i < count_ && docs_[i] <= until; ++i) look(docs_[i], frequencies_[i]);
            at_ = std::min(i, count_ - 1);
            if (last_ >= until) return;
            from = last_ + 1;
        }
    }
    // Of the document that `advance` gave.
    std::uint32_t frequency() const { return frequencies_[at_]; }
    std::uint32_t place() const { return at_; }

  protected:
    // As `seek`, where the block is another one. Sets started_, last_ and decoded_, or ended_.
    virtual bool move(std::uint32_t target) = 0;
    virtual void read_block() = 0;

    // Nanoseconds that a block takes, roughly.
    static constexpr std::size_t kBlockNs = 1'000;

    Pace pace_;  // of who asked for them
    std::uint32_t document_count_ = 0;
    Impacts impacts_;
    bool started_ = false, ended_ = false, decoded_ = false;
    std::uint32_t last_ = 0;
    std::uint32_t count_ = 0;
    std::uint32_t at_ = 0;
    std::uint32_t docs_[kBlockDocs];
    std::uint32_t frequencies_[kBlockDocs];
};

// How many tokens each document has. Fastest where documents are asked for in order.
class Lengths {
  public:
    virtual ~Lengths() = default;

    // 0 where the document has no text; else the number of its tokens and 1.
    std::uint32_t stored(std::uint32_t doc) {
        if (doc - begin_ >= count_) load(doc);
        const std::uint32_t i = doc - begin_;
        return width_ == 1   ? data_[i]
               : width_ == 2 ? static_cast<std::uint32_t>(get_number(data_ + 2 * i, 2))
                             : static_cast<std::uint32_t>(get_number(data_ + std::size_t{4} * i, 4));
    }
    std::uint32_t length(std::uint32_t doc) {
        const std::uint32_t found = stored(doc);
        return found == 0 ? 0 : found - 1;
    }

  protected:
    // Sets what follows so that `doc` lies in it.
    virtual void load(std::uint32_t doc) = 0;

    std::uint32_t begin_ = 0, count_ = 0;
    unsigned width_ = 1;
    const std::uint8_t* data_ = nullptr;
};

// Terms in the order of their bytes.
class TermCursor {
  public:
    virtual ~TermCursor() = default;

    // Goes on to the next one. False where there is none.
    virtual bool next() = 0;
    std::string_view term() const { return term_; }
    std::uint32_t documents() const { return documents_; }
    std::uint64_t occurrences() const { return occurrences_; }
    virtual std::unique_ptr<Postings> postings() = 0;

  protected:
    std::string term_;
    std::uint32_t documents_ = 0;
    std::uint64_t occurrences_ = 0;
};

class Part {
  public:
    virtual ~Part() = default;

    virtual std::uint32_t size() const = 0;
    // Documents that have a token, and tokens of all documents.
    virtual std::uint32_t document_count() const = 0;
    virtual std::uint64_t token_count() const = 0;

    // nullptr where no document has the term. `term` need not be clipped.
    virtual std::unique_ptr<Postings> postings(std::string_view term) const = 0;
    virtual std::uint32_t documents_of(std::string_view term) const = 0;
    virtual std::unique_ptr<Lengths> lengths() const = 0;
    // Those that begin with `prefix`. `sweeps`: for who reads all of it, once.
    virtual std::unique_ptr<TermCursor> terms(std::string_view prefix, bool sweeps) const = 0;
};

}  // namespace lutra::text
