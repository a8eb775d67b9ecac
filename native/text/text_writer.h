// Writes the words of a TEXT field as a segment has them, out of those of several parts.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text_part.h"
#include "text_segment.h"

namespace lutra::text {

// The postings of one term, encoded.
class TermEncoder {
  public:
    // Documents ascend; positions do, too, and there is at least one. Throws std::invalid_argument where that is not so.
    void add(std::uint32_t doc, std::span<const std::uint32_t> positions, std::uint32_t length);
    // Appends what was added, and says how much there is; then begins anew. `entry.documents` is 0 where there is none.
    void finish(std::string& out, TermEntry& entry);

  private:
    void flush();

    std::uint32_t count_ = 0;  // in the block
    std::uint32_t docs_[kBlockDocs], frequencies_[kBlockDocs];
    std::vector<std::uint32_t> gaps_;  // between positions, document by document
    std::uint32_t last_ = kNoDoc, before_block_ = kNoDoc;
    Impacts block_impacts_, impacts_;
    std::uint32_t documents_ = 0;
    std::uint64_t occurrences_ = 0;
    std::string skips_, docs_bytes_, positions_bytes_;
};

// The terms of a segment and their index.
class DictionaryWriter {
  public:
    void add(std::string_view term, const TermEntry& entry);
    // The last block ends.
    void finish();

    std::uint64_t term_count() const { return term_count_; }
    const std::string& blocks() const { return blocks_; }
    const std::string& index() const { return index_; }

  private:
    std::string blocks_, index_, last_;
    std::uint64_t term_count_ = 0;
    std::size_t block_begin_ = 0;
    std::uint64_t block_postings_ = 0;
};

struct Input {
    std::shared_ptr<const Part> part;
    std::span<const std::int32_t> renumber;  // each document's new number; negative where it is left out
};

// Makes the stream piece by piece. Holds 4 bytes a document, the terms, and the encoded postings of one term.
class Writer {
  public:
    // Throws std::invalid_argument where a new number is not below `size`, or is given twice.
    Writer(std::vector<Input> inputs, std::uint32_t size);
    ~Writer();

    // The stream's next bytes, some 256 KB; none at its end. Throws CorruptionError, and what reading a part does.
    std::string next();
    // Of what was written; once it is at its end.
    const SegmentLayout& layout() const { return layout_; }

  private:
    class Source;

    void gather_lengths();
    std::string next_lengths();
    void write_term();
    void merge(const std::vector<Source*>& sources);

    std::vector<Input> inputs_;
    std::vector<std::uint32_t> lengths_;  // as stored
    std::vector<std::unique_ptr<Source>> sources_;
    std::vector<Source*> live_;
    enum class Stage { kLengths, kTerms, kDictionary, kIndex, kEnd } stage_ = Stage::kLengths;
    std::uint32_t lengths_written_ = 0;
    std::string out_;
    TermEncoder encoder_;
    DictionaryWriter dictionary_;
    SegmentLayout layout_;
};

}  // namespace lutra::text
