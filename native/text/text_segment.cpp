#include "text_segment.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "io_read.h"

namespace lutra::text {

namespace {

// Impacts of more blocks than this are those of the term: true, and had at once.
constexpr std::uint32_t kImpactBlocksMax = 32;
constexpr unsigned kFrequencyWidthMax = 21;
// Gaps of so many bits do not add up to more than a document's number and the block before leave room for.
constexpr unsigned kGapWidthSafe = 24;
// Of a term that a sweep has read whole.
constexpr std::uint64_t kWholeTermBytesMax = 1 << 20;

Impacts impacts_at(const std::uint8_t* data) {
    Impacts impacts;
    std::memcpy(&impacts, data, sizeof impacts);
    return impacts;
}

class SegmentPostings final : public Postings {
  public:
    SegmentPostings(std::shared_ptr<const ByteStream> stream, const TermEntry& entry, std::uint32_t size,
                    bool past_cache)
        : entry_(entry),
          size_(size),
          past_cache_(past_cache),
          blocks_(blocks_of(entry.documents)),
          docs_window_(stream, past_cache) {
        document_count_ = entry.documents;
        std::uint64_t head = 0;
        impacts_ = {1, 1, 1, Impacts::kMost};
        if (document_count_ >= kImpactsFrom) {
            if (entry.document_bytes < kImpactBytes) docs_window_.fail(entry.begin, "a term's postings are cut short");
            impacts_ = impacts_at(docs_window_.view(entry.begin, kImpactBytes));
            head = kImpactBytes;
        }
        skips_begin_ = entry.begin + head;
        if (blocks_ > 1) {
            head += std::uint64_t{blocks_} * kSkipBytes;
            skips_window_.emplace(std::move(stream), past_cache);
        }
        if (head > entry.document_bytes) docs_window_.fail(entry.begin, "a term's postings are cut short");
        docs_begin_ = entry.begin + head;
        docs_bytes_ = entry.document_bytes - head;
        positions_begin_ = entry.begin + entry.document_bytes;
    }

    Impacts impacts_until(std::uint32_t until) override {
        if (blocks_ == 1) return impacts_;
        Impacts found = skip(block_).impacts;
        std::uint32_t last = last_;
        for (std::uint32_t block = block_ + 1; last < until && block < blocks_; ++block) {
            if (block - block_ > kImpactBlocksMax) return impacts_;
            const Skip next = skip(block);
            found.add(next.impacts);
            last = next.last;
        }
        return found;
    }

    void positions(std::uint32_t i, std::vector<std::uint32_t>& positions) override {
        if (!positions_window_) positions_window_.emplace(docs_window_.stream(), past_cache_);
        if (firsts_block_ != block_) {
            std::uint64_t sum = 0;
            for (std::uint32_t doc = 0; doc < count_; ++doc) {
                firsts_[doc] = sum;
                sum += frequencies_[doc];
            }
            const std::uint64_t begin = blocks_ > 1 ? skip(block_).positions : 0;
            const std::uint64_t end =
                blocks_ > 1 && block_ + 1 < blocks_ ? skip(block_ + 1).positions : entry_.position_bytes;
            if (begin >= end || end > entry_.position_bytes) fail("its positions are not there");
            width_ = *positions_window_->view(positions_begin_ + begin, 1);
            if (width_ > 31 || (sum * width_ + 7) / 8 != end - begin - 1) fail("its positions are too many or too few");
            packed_ = positions_begin_ + begin + 1;
            firsts_block_ = block_;
        }
        const std::uint32_t count = frequencies_[i];
        const std::uint64_t bit = firsts_[i] * width_, byte = bit / 8;
        const std::uint8_t* data =
            positions_window_->view(packed_ + byte, (bit + std::uint64_t{count} * width_ + 7) / 8 - byte);
        positions.resize(count);
        std::uint64_t position = 0;
        for (std::uint32_t k = 0; k < count; ++k) {
            position += read_bits(data, bit % 8 + std::uint64_t{k} * width_, width_);
            positions[k] = static_cast<std::uint32_t>(position);
        }
        if (position > kPositionMax) fail("a position is out of range");
    }

  protected:
    bool move(std::uint32_t target) override {
        if (ended_) return false;
        if (blocks_ == 1) {
            if (!started_) {
                started_ = true;
                block_ = 0;
                read_block();
                decoded_ = true;
                at_ = 0;
                last_ = docs_[count_ - 1];
            }
        } else {
            find(target);
        }
        if (ended_ || target > last_) {
            ended_ = true;
            last_ = kNoDoc;
            return false;
        }
        return true;
    }

    void read_block() override {
        const bool several = blocks_ > 1;
        const std::uint64_t begin = several ? skip(block_).docs : 0;
        const std::uint64_t end = several && block_ + 1 < blocks_ ? skip(block_ + 1).docs : docs_bytes_;
        if (begin >= end || end > docs_bytes_) fail("its documents are not there");
        const std::uint8_t* data = docs_window_.view(docs_begin_ + begin, end - begin);
        const std::uint32_t before = several && block_ > 0 ? skip(block_ - 1).last : kNoDoc;  // kNoDoc + 1 is 0
        if (before != kNoDoc && before >= size_) fail("the block before it ends out of range");
        count_ = std::min(kBlockDocs, document_count_ - block_ * kBlockDocs);
        if (count_ == kBlockDocs) {
            read_packed(data, end - begin, before);
        } else {
            read_rest(data, data + (end - begin), before);
        }
        if (docs_[count_ - 1] >= size_ || (several && docs_[count_ - 1] != last_)) fail("its documents are out of range");
        at_ = 0;
    }

  private:
    struct Skip {
        std::uint32_t last;
        std::uint64_t docs, positions;
        Impacts impacts;
    };

    [[noreturn]] void fail(const char* what) const {
        docs_window_.fail(entry_.begin, "block " + std::to_string(block_) + " of a term makes no sense: " + what);
    }

    Skip skip(std::uint32_t block) {
        const std::uint8_t* data = skips_window_->view(skips_begin_ + std::uint64_t{block} * kSkipBytes, kSkipBytes);
        return {static_cast<std::uint32_t>(get_number(data, 4)), get_number(data + 4, 5), get_number(data + 9, 5),
                impacts_at(data + 14)};
    }
    std::uint32_t last_of(std::uint32_t block) {
        return static_cast<std::uint32_t>(
            get_number(skips_window_->view(skips_begin_ + std::uint64_t{block} * kSkipBytes, 4), 4));
    }

    void find(std::uint32_t target) {
        std::uint32_t low = started_ ? block_ + 1 : 0, high = low;
        for (std::uint32_t step = 1; high < blocks_ && last_of(high) < target; step *= 2) {
            low = high + 1;
            high = step < blocks_ - high ? high + step : blocks_;
        }
        while (low < high) {
            const std::uint32_t middle = low + (high - low) / 2;
            if (last_of(middle) < target) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        started_ = true;
        decoded_ = false;
        block_ = low;
        if (block_ >= blocks_) {
            ended_ = true;
        } else {
            last_ = last_of(block_);
        }
    }

    void read_packed(const std::uint8_t* data, std::uint64_t length, std::uint32_t before) {
        const unsigned gaps = length >= 2 ? data[0] : 33, frequencies = length >= 2 ? data[1] : 33;
        if (gaps > 32 || frequencies > kFrequencyWidthMax || length != 2 + std::uint64_t{16} * (gaps + frequencies)) {
            fail("its length is wrong");
        }
        unpack_block(data + 2, gaps, docs_);
        sum_gaps(docs_, before);
        unpack_block(data + 2 + 16 * gaps, frequencies, frequencies_);
        for (std::uint32_t i = 0; i < kBlockDocs; ++i) ++frequencies_[i];
        if (gaps > kGapWidthSafe && (docs_[0] < before + 1 || !std::is_sorted(docs_, docs_ + kBlockDocs))) {
            fail("its documents do not ascend");
        }
    }

    void read_rest(const std::uint8_t* at, const std::uint8_t* end, std::uint32_t before) {
        std::uint64_t doc = static_cast<std::uint32_t>(before + 1);  // the least that it may be
        for (std::uint32_t i = 0; i < count_; ++i) {
            std::uint64_t code, times = 1;
            if (!get_varint(at, end, code) || code >> 1 > kDocsMax) fail("a document is not there");
            if ((code & 1) == 0 && (!get_varint(at, end, times) || (times += 2) > kTokensMax)) {
                fail("how often it is in a document is not there");
            }
            doc += code >> 1;
            if (doc > kDocsMax) fail("its documents are out of range");
            docs_[i] = static_cast<std::uint32_t>(doc++);
            frequencies_[i] = static_cast<std::uint32_t>(times);
        }
        if (at != end) fail("it is longer than its documents");
    }

    const TermEntry entry_;
    const std::uint32_t size_;
    const bool past_cache_;
    const std::uint32_t blocks_;
    Window docs_window_;
    std::optional<Window> skips_window_, positions_window_;
    std::uint64_t skips_begin_ = 0, docs_begin_ = 0, docs_bytes_ = 0, positions_begin_ = 0;
    std::uint32_t block_ = 0;
    // Of positions: the block that what follows is of.
    std::uint32_t firsts_block_ = kNoDoc;
    unsigned width_ = 0;
    std::uint64_t packed_ = 0;
    std::array<std::uint64_t, kBlockDocs> firsts_;
};

class SegmentLengths final : public Lengths {
  public:
    SegmentLengths(std::shared_ptr<const ByteStream> stream, const SegmentLayout& layout)
        : window_(std::move(stream)), size_(layout.size) {
        width_ = layout.length_bytes;
    }

  protected:
    void load(std::uint32_t doc) override {
        if (doc >= size_) throw std::out_of_range("there is no such document in the segment");
        const std::uint32_t per_page = static_cast<std::uint32_t>(window_.stream()->page_bytes() / width_);
        // Whole pages where a length takes one byte; else a little less or more than one.
        begin_ = doc / per_page * per_page;
        count_ = std::min(per_page, size_ - begin_);
        data_ = window_.view(std::uint64_t{begin_} * width_, std::uint64_t{count_} * width_);
    }

  private:
    Window window_;
    std::uint32_t size_;
};

class SegmentTerms final : public TermCursor {
  public:
    SegmentTerms(std::shared_ptr<const SegmentText> text, std::string_view prefix, bool sweeps)
        : text_(std::move(text)),
          prefix_(prefix),
          sweeps_(sweeps),
          reader_(text_->stream(), text_->layout(), text_->index(), text_->index().block_of(prefix), sweeps) {
        if (sweeps_) postings_window_.emplace(text_->stream(), true);
    }

    bool next() override {
        while (reader_.next()) {
            if (reader_.term() < prefix_) continue;
            if (!reader_.term().starts_with(prefix_)) return false;
            term_ = reader_.term();
            documents_ = reader_.entry().documents;
            occurrences_ = reader_.entry().occurrences;
            return true;
        }
        return false;
    }

    std::unique_ptr<Postings> postings() override {
        TermEntry entry = reader_.entry();
        const std::uint64_t bytes = entry.document_bytes + entry.position_bytes;
        if (!sweeps_ || bytes > kWholeTermBytesMax) {
            return open_postings(text_->stream(), entry, text_->size(), sweeps_);
        }
        const auto* data = reinterpret_cast<const char*>(postings_window_->view(entry.begin, bytes));
        auto stream = stream_of(text_->stream()->name(), std::string(data, bytes), entry.begin);
        entry.begin = 0;
        return open_postings(std::move(stream), entry, text_->size(), false);
    }

  private:
    std::shared_ptr<const SegmentText> text_;
    std::string prefix_;
    bool sweeps_;
    TermReader reader_;
    std::optional<Window> postings_window_;
};

}  // namespace

std::unique_ptr<Postings> open_postings(std::shared_ptr<const ByteStream> stream, const TermEntry& entry,
                                        std::uint32_t size, bool past_cache) {
    return std::make_unique<SegmentPostings>(std::move(stream), entry, size, past_cache);
}

SegmentText::SegmentText(std::shared_ptr<const ByteStream> stream, const SegmentLayout& layout)
    : stream_(std::move(stream)), layout_(layout) {
    const auto require = [&](bool holds, const char* what) {
        if (!holds) throw CorruptionError("section '" + stream_->name() + "': " + what);
    };
    require(layout.format == kFormat, "it is of a format that is not known here");
    require(layout.size <= kDocsMax, "it has too many documents");
    require(layout.length_bytes == 1 || layout.length_bytes == 2 || layout.length_bytes == 4, "lengths of no width");
    require(layout.document_count <= layout.size, "more documents have words than there are");
    require(std::uint64_t{layout.size} * layout.length_bytes == layout.postings &&
                layout.postings <= layout.dictionary && layout.dictionary <= layout.index &&
                layout.index <= layout.end && layout.end <= stream_->size_bytes(),
            "its parts do not follow each other");
}

const DictionaryIndex& SegmentText::index() const {
    const std::lock_guard lock(mutex_);
    if (!index_) {
        Window window(stream_);
        index_ = std::make_shared<DictionaryIndex>(window, layout_);
    }
    return *index_;
}

std::size_t SegmentText::state_bytes() const {
    const std::lock_guard lock(mutex_);
    return index_ ? index_->state_bytes() : 0;
}

bool SegmentText::find(std::string_view term, TermEntry& entry) const {
    term = clipped(term);
    const DictionaryIndex& terms = index();
    const std::size_t block = terms.block_of(term);
    if (block >= terms.blocks() || terms.first(block) > term) return false;
    TermReader reader(stream_, layout_, terms, block, false);
    while (reader.next()) {
        const int order = std::string_view(reader.term()).compare(term);
        if (order == 0) {
            entry = reader.entry();
            return true;
        }
        if (order > 0 || reader.last_of_block()) return false;
    }
    return false;
}

std::unique_ptr<Postings> SegmentText::postings(std::string_view term) const {
    TermEntry entry;
    return find(term, entry) ? open_postings(stream_, entry, layout_.size, false) : nullptr;
}

std::uint32_t SegmentText::documents_of(std::string_view term) const {
    TermEntry entry;
    return find(term, entry) ? entry.documents : 0;
}

std::unique_ptr<Lengths> SegmentText::lengths() const { return std::make_unique<SegmentLengths>(stream_, layout_); }

std::unique_ptr<TermCursor> SegmentText::terms(std::string_view prefix, bool sweeps) const {
    return std::make_unique<SegmentTerms>(shared_from_this(), prefix, sweeps);
}

}  // namespace lutra::text
