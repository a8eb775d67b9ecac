#include "text_writer.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "io_read.h"

namespace lutra::text {

namespace {

constexpr std::size_t kPieceBytes = 256 << 10;

}  // namespace

// The terms of one input, and the documents of the term it is at under their new numbers, in the order of those.
class Writer::Source {
  public:
    explicit Source(const Input& input) : renumber_(input.renumber), cursor_(input.part->terms("", true)) {
        std::int32_t last = -1;
        for (const std::int32_t doc : renumber_) {
            if (doc < 0) continue;
            in_order_ = in_order_ && doc > last;
            last = doc;
        }
    }

    bool next_term() { return cursor_->next(); }
    std::string_view term() const { return cursor_->term(); }

    // Begins with the first document of the term.
    void open() {
        postings_ = cursor_->postings();
        from_ = 0;
        gathered_.clear();
        gathered_positions_.clear();
        at_ = 0;
        if (!in_order_) gather();
        next();
    }

    // kNoDoc: there are no more.
    std::uint32_t doc() const { return doc_; }
    std::span<const std::uint32_t> positions() const { return positions_; }

    void next() {
        if (!in_order_) {
            if (at_ == gathered_.size()) {
                doc_ = kNoDoc;
                return;
            }
            const Gathered& one = gathered_[at_++];
            doc_ = one.doc;
            positions_.assign(gathered_positions_.begin() + static_cast<std::ptrdiff_t>(one.begin),
                              gathered_positions_.begin() + static_cast<std::ptrdiff_t>(one.begin + one.count));
            return;
        }
        doc_ = next_kept();
        if (doc_ != kNoDoc) postings_->positions(postings_->place(), positions_);
    }

  private:
    struct Gathered {
        std::uint32_t doc, count;
        std::size_t begin;
    };

    // The new number of the next document that has one.
    std::uint32_t next_kept() {
        for (;;) {
            const std::uint32_t doc = postings_->advance(from_);
            if (doc == kNoDoc) return kNoDoc;
            from_ = doc + 1;
            if (renumber_[doc] >= 0) return static_cast<std::uint32_t>(renumber_[doc]);
        }
    }

    void gather() {
        for (std::uint32_t doc = next_kept(); doc != kNoDoc; doc = next_kept()) {
            postings_->positions(postings_->place(), positions_);
            gathered_.push_back({doc, static_cast<std::uint32_t>(positions_.size()), gathered_positions_.size()});
            gathered_positions_.insert(gathered_positions_.end(), positions_.begin(), positions_.end());
        }
        std::sort(gathered_.begin(), gathered_.end(),
                  [](const Gathered& one, const Gathered& other) { return one.doc < other.doc; });
    }

    std::span<const std::int32_t> renumber_;
    std::unique_ptr<TermCursor> cursor_;
    bool in_order_ = true;
    std::unique_ptr<Postings> postings_;
    std::uint32_t from_ = 0, doc_ = kNoDoc;
    std::vector<std::uint32_t> positions_;
    std::vector<Gathered> gathered_;
    std::vector<std::uint32_t> gathered_positions_;
    std::size_t at_ = 0;
};

Writer::Writer(std::vector<Input> inputs, std::uint32_t size) : inputs_(std::move(inputs)) {
    layout_.size = size;
    if (size > kDocsMax) throw std::invalid_argument("more documents than a segment has room for");
    for (const Input& input : inputs_) {
        if (input.renumber.size() != input.part->size()) {
            throw std::invalid_argument("there is not a new number for each document");
        }
    }
    gather_lengths();
}

Writer::~Writer() = default;

void Writer::gather_lengths() {
    lengths_.assign(layout_.size, 0);
    std::vector<bool> given(layout_.size);
    std::uint32_t most = 0;
    for (const Input& input : inputs_) {
        const std::unique_ptr<Lengths> lengths = input.part->lengths();
        for (std::uint32_t doc = 0; doc < input.renumber.size(); ++doc) {
            if (input.renumber[doc] < 0) continue;
            const auto number = static_cast<std::uint32_t>(input.renumber[doc]);
            if (number >= layout_.size || given[number]) {
                throw std::invalid_argument("the new numbers of documents are given twice or out of range");
            }
            given[number] = true;
            const std::uint32_t stored = lengths->stored(doc);
            lengths_[number] = stored;
            most = std::max(most, stored);
            layout_.document_count += stored > 1;
            layout_.token_count += stored == 0 ? 0 : stored - 1;
        }
    }
    layout_.length_bytes = most <= 0xff ? 1 : most <= 0xffff ? 2 : 4;
    layout_.postings = layout_.dictionary = std::uint64_t{layout_.size} * layout_.length_bytes;
}

std::string Writer::next() {
    std::string piece;
    if (stage_ == Stage::kLengths) {
        if (lengths_written_ < layout_.size) return next_lengths();
        stage_ = Stage::kTerms;
        for (const Input& input : inputs_) sources_.push_back(std::make_unique<Source>(input));
        for (const auto& source : sources_) {
            if (source->next_term()) live_.push_back(source.get());
        }
    }
    if (stage_ == Stage::kTerms) {
        while (!live_.empty() && out_.size() < kPieceBytes) write_term();
        if (!out_.empty()) {
            layout_.dictionary += out_.size();
            return std::exchange(out_, {});
        }
        dictionary_.finish();
        sources_.clear();
        layout_.term_count = dictionary_.term_count();
        layout_.index = layout_.dictionary + dictionary_.blocks().size();
        layout_.end = layout_.index + dictionary_.index().size();
        stage_ = Stage::kDictionary;
    }
    if (stage_ == Stage::kDictionary) {
        stage_ = Stage::kIndex;
        if (!dictionary_.blocks().empty()) return dictionary_.blocks();
    }
    if (stage_ == Stage::kIndex) {
        stage_ = Stage::kEnd;
        if (!dictionary_.index().empty()) return dictionary_.index();
    }
    return {};
}

std::string Writer::next_lengths() {
    std::string piece;
    for (; lengths_written_ < layout_.size && piece.size() < kPieceBytes; ++lengths_written_) {
        put_number(piece, lengths_[lengths_written_], layout_.length_bytes);
    }
    return piece;
}

void Writer::write_term() {
    std::string_view least = live_.front()->term();
    for (const Source* source : live_) least = std::min(least, source->term());
    const std::string term(least);
    std::vector<Source*> sources;
    for (Source* source : live_) {
        if (source->term() != term) continue;
        source->open();
        sources.push_back(source);
    }
    merge(sources);
    TermEntry entry;
    encoder_.finish(out_, entry);
    if (entry.documents > 0) dictionary_.add(term, entry);
    std::erase_if(live_, [&](Source* source) { return source->term() == term && !source->next_term(); });
}

void Writer::merge(const std::vector<Source*>& sources) {
    for (;;) {
        Source* least = nullptr;
        for (Source* source : sources) {
            if (source->doc() != kNoDoc && (least == nullptr || source->doc() < least->doc())) least = source;
        }
        if (least == nullptr) return;
        const std::uint32_t stored = lengths_[least->doc()];
        if (stored <= least->positions().size()) {
            throw CorruptionError("a document of the parts that were to be one segment has more words than its length");
        }
        encoder_.add(least->doc(), least->positions(), stored - 1);
        least->next();
    }
}

}  // namespace lutra::text
