// The words of a TEXT field in a segment, read through the block cache as they are asked for.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "text_part.h"
#include "text_stream.h"

namespace lutra::text {

// Where everything lies in the stream, and how much of it there is.
struct SegmentLayout {
    std::uint32_t format = kFormat;
    std::uint32_t size = 0;             // documents
    std::uint32_t length_bytes = 1;     // of each length: 1, 2 or 4. They lie at the beginning.
    std::uint32_t document_count = 0;   // that have a token
    std::uint64_t token_count = 0;
    std::uint64_t term_count = 0;
    std::uint64_t postings = 0;         // where they begin
    std::uint64_t dictionary = 0;       // where they end, and the blocks of terms begin
    std::uint64_t index = 0;            // where those end, and their index begins
    std::uint64_t end = 0;
};

// What is kept in memory of the terms: the first of each block, and where that lies.
class DictionaryIndex {
  public:
    // Throws CorruptionError.
    DictionaryIndex(Window& window, const SegmentLayout& layout);

    std::size_t blocks() const { return places_.size() - 1; }
    std::string_view first(std::size_t block) const {
        return std::string_view(terms_).substr(starts_[block], starts_[block + 1] - starts_[block]);
    }
    // Where a block, or all of them, end: that is where the next begins.
    std::uint64_t place(std::size_t block) const { return places_[block].dictionary; }
    std::uint64_t postings(std::size_t block) const { return places_[block].postings; }
    // The last block whose first term is not after `term`; 0 where that is so of none.
    std::size_t block_of(std::string_view term) const;
    std::size_t state_bytes() const;

  private:
    struct Place {
        std::uint64_t dictionary, postings;
    };
    std::string terms_;
    std::vector<std::uint32_t> starts_;
    std::vector<Place> places_;  // and one for where the last ends
};

class SegmentText final : public Part, public std::enable_shared_from_this<SegmentText> {
  public:
    // Throws CorruptionError where the layout makes no sense for the stream.
    SegmentText(std::shared_ptr<const ByteStream> stream, const SegmentLayout& layout);

    std::uint32_t size() const override { return layout_.size; }
    std::uint32_t document_count() const override { return layout_.document_count; }
    std::uint64_t token_count() const override { return layout_.token_count; }
    std::unique_ptr<Postings> postings(std::string_view term) const override;
    std::uint32_t documents_of(std::string_view term) const override;
    std::unique_ptr<Lengths> lengths() const override;
    std::unique_ptr<TermCursor> terms(std::string_view prefix, bool sweeps) const override;

    const SegmentLayout& layout() const { return layout_; }
    const std::shared_ptr<const ByteStream>& stream() const { return stream_; }
    const DictionaryIndex& index() const;
    // In memory, now that it was used.
    std::size_t state_bytes() const;

  private:
    bool find(std::string_view term, TermEntry& entry) const;

    std::shared_ptr<const ByteStream> stream_;
    SegmentLayout layout_;
    mutable std::mutex mutex_;
    mutable std::shared_ptr<const DictionaryIndex> index_;
};

// Reads terms one after the other, from the beginning of a block on.
class TermReader {
  public:
    TermReader(std::shared_ptr<const ByteStream> stream, const SegmentLayout& layout, const DictionaryIndex& index,
               std::size_t block, bool past_cache);

    // Goes on to the next term. False where there is none. Throws CorruptionError.
    bool next();
    const std::string& term() const { return term_; }
    const TermEntry& entry() const { return entry_; }
    // Ends where its block does.
    bool last_of_block() const { return at_ == in_block_; }
    std::uint64_t place() const { return index_.place(block_); }

  private:
    void open();

    Window window_;
    const SegmentLayout& layout_;
    const DictionaryIndex& index_;
    std::size_t block_;
    std::uint32_t at_ = 0, in_block_ = 0;
    const std::uint8_t *data_ = nullptr, *data_end_ = nullptr;
    std::uint64_t postings_ = 0;
    std::string term_;
    TermEntry entry_;
};

// What `entry` says of a term of a segment of `size` documents.
std::unique_ptr<Postings> open_postings(std::shared_ptr<const ByteStream> stream, const TermEntry& entry,
                                        std::uint32_t size, bool past_cache);

}  // namespace lutra::text
