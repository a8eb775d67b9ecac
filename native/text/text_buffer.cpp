#include "text_buffer.h"

#include <algorithm>
#include <cstring>
#include <mutex>
#include <new>
#include <stdexcept>

namespace lutra::text {

namespace {

constexpr std::uint32_t kFirstEntries = 2;
constexpr std::size_t kTextBytes = 1 << 16;
constexpr std::size_t kMapEntryBytes = 64;  // about, of a term in the map

}  // namespace

BufferText::Chunk* BufferText::new_chunk(std::uint32_t capacity) {
    void* place = ::operator new(sizeof(Chunk) + capacity * sizeof(Entry));
    return new (place) Chunk(capacity);
}

BufferText::~BufferText() {
    const std::uint32_t count = term_count_.load(std::memory_order_relaxed);
    for (std::uint32_t i = 0; i < count; ++i) {
        for (Chunk* chunk = terms_[i].first.load(std::memory_order_relaxed); chunk != nullptr;) {
            Chunk* next = chunk->next.load(std::memory_order_relaxed);
            chunk->~Chunk();
            ::operator delete(chunk);
            chunk = next;
        }
    }
}

Impacts BufferText::impacts_of(const Chunk& chunk) {
    return {chunk.once.load(std::memory_order_relaxed), chunk.twice.load(std::memory_order_relaxed),
            chunk.more.load(std::memory_order_relaxed), chunk.frequency.load(std::memory_order_relaxed)};
}

std::uint32_t BufferText::number_of(std::string_view term) {
    if (const auto found = numbers_.find(term); found != numbers_.end()) return found->second;
    const std::uint32_t number = term_count_.load(std::memory_order_relaxed);
    if (term.size() > text_room_) {
        const std::size_t room = std::max(kTextBytes, term.size());
        texts_.push_back(std::make_unique<char[]>(room));
        text_at_ = texts_.back().get();
        text_room_ = room;
        held_bytes_ += room;
    }
    std::memcpy(text_at_, term.data(), term.size());
    terms_.reach(number);
    terms_[number].text = text_at_;
    terms_[number].length = static_cast<std::uint32_t>(term.size());
    {
        const std::unique_lock lock(mutex_);
        numbers_.emplace(terms_[number].view(), number);
    }
    text_at_ += term.size();
    text_room_ -= term.size();
    held_bytes_ += kMapEntryBytes;
    term_count_.store(number + 1, std::memory_order_release);
    return number;
}

void BufferText::stage(std::uint32_t doc, std::span<Token> tokens) {
    staged_.push_back({doc, static_cast<std::uint32_t>(staged_tokens_.size())});
    staged_tokens_.insert(staged_tokens_.end(), tokens.begin(), tokens.end());
}

void BufferText::publish() {
    for (std::size_t i = 0; i < staged_.size(); ++i) {
        const std::size_t begin = staged_[i].begin;
        const std::size_t end = i + 1 < staged_.size() ? staged_[i + 1].begin : staged_tokens_.size();
        sorted_.assign(staged_tokens_.begin() + begin, staged_tokens_.begin() + end);
        std::sort(sorted_.begin(), sorted_.end(), [](const Token& one, const Token& other) {
            return one.term != other.term ? one.term < other.term : one.position < other.position;
        });
        append(staged_[i].doc, sorted_);
    }
    staged_.clear();
    staged_tokens_.clear();
}

void BufferText::append(std::uint32_t doc, std::span<const Token> tokens) {
    const auto length = static_cast<std::uint32_t>(tokens.size());
    lengths_.reach(doc);
    lengths_[doc] = length + 1;
    for (std::size_t begin = 0, end; begin < tokens.size(); begin = end) {
        for (end = begin + 1; end < tokens.size() && tokens[end].term == tokens[begin].term;) ++end;
        add(terms_[tokens[begin].term], doc, tokens.subspan(begin, end - begin), length);
    }
    document_count_ += length > 0;
    token_count_ += length;
}

void BufferText::add(Term& term, std::uint32_t doc, std::span<const Token> tokens, std::uint32_t length) {
    Chunk* chunk = term.last;
    if (chunk == nullptr || chunk->count.load(std::memory_order_relaxed) == chunk->capacity) {
        const std::uint32_t capacity = chunk == nullptr ? kFirstEntries : std::min(kBlockDocs, 2 * chunk->capacity);
        Chunk* added = new_chunk(capacity);
        held_bytes_ += sizeof(Chunk) + capacity * sizeof(Entry);
        (chunk == nullptr ? term.first : chunk->next).store(added, std::memory_order_release);
        term.last = chunk = added;
    }
    const auto frequency = static_cast<std::uint32_t>(tokens.size());
    std::uint32_t at = tokens.front().position;
    if (frequency > 1) {
        if (positions_end_ + frequency > 0xffffffff) throw std::length_error("a buffer of texts holds too many words");
        at = static_cast<std::uint32_t>(positions_end_);
        for (const Token& token : tokens) {
            positions_.reach(positions_end_);
            positions_[positions_end_++] = token.position;
        }
    }
    Impacts impacts = impacts_of(*chunk);
    impacts.add(frequency, length);
    chunk->once.store(impacts.once, std::memory_order_relaxed);
    chunk->twice.store(impacts.twice, std::memory_order_relaxed);
    chunk->more.store(impacts.more, std::memory_order_relaxed);
    chunk->frequency.store(impacts.frequency, std::memory_order_relaxed);
    const std::uint32_t count = chunk->count.load(std::memory_order_relaxed);
    chunk->entries()[count] = {doc, frequency, at};
    chunk->count.store(count + 1, std::memory_order_release);
}

std::size_t BufferText::held_bytes() const {
    return held_bytes_ + terms_.held_bytes() + lengths_.held_bytes() + positions_.held_bytes();
}

const BufferText::Term* BufferText::find(std::string_view term) const {
    const std::shared_lock lock(mutex_);
    const auto found = numbers_.find(clipped(term));
    return found == numbers_.end() ? nullptr : &terms_[found->second];
}

// The blocks are the chunks, as far as they are of the first `size` documents.
class BufferPostings final : public Postings {
  public:
    BufferPostings(std::shared_ptr<const BufferText> text, const BufferText::Term& term, std::uint32_t size)
        : text_(std::move(text)), size_(size), next_(term.first.load(std::memory_order_acquire)) {
        for (BufferText::Chunk* chunk = next_; chunk != nullptr;) {
            const std::uint32_t count = covered(*chunk);
            document_count_ += count;
            if (count > 0) impacts_.add(BufferText::impacts_of(*chunk));
            chunk = count < chunk->capacity ? nullptr : chunk->next.load(std::memory_order_acquire);
        }
    }

    Impacts impacts_until(std::uint32_t until) override {
        if (last_ >= until) return BufferText::impacts_of(*chunk_);
        return impacts_;
    }

    void positions(std::uint32_t i, std::vector<std::uint32_t>& positions) override {
        const BufferText::Entry& entry = chunk_->entries()[i];
        positions.resize(entry.frequency);
        if (entry.frequency == 1) {
            positions[0] = entry.at;
            return;
        }
        for (std::uint32_t k = 0; k < entry.frequency; ++k) positions[k] = text_->positions_[entry.at + std::size_t{k}];
    }

    std::uint64_t occurrences() {
        std::uint64_t sum = 0;
        for (BufferText::Chunk* chunk = next_; chunk != nullptr;) {
            const std::uint32_t count = covered(*chunk);
            for (std::uint32_t i = 0; i < count; ++i) sum += chunk->entries()[i].frequency;
            chunk = count < chunk->capacity ? nullptr : chunk->next.load(std::memory_order_acquire);
        }
        return sum;
    }

  protected:
    bool move(std::uint32_t target) override {
        started_ = true;
        decoded_ = false;
        while (!ended_ && next_ != nullptr) {
            chunk_ = next_;
            count_ = covered(*chunk_);
            if (count_ == 0) break;
            next_ = count_ < chunk_->capacity ? nullptr : chunk_->next.load(std::memory_order_acquire);
            last_ = chunk_->entries()[count_ - 1].doc;
            if (last_ >= target) return true;
        }
        ended_ = true;
        last_ = kNoDoc;
        return false;
    }

    void read_block() override {
        for (std::uint32_t i = 0; i < count_; ++i) {
            docs_[i] = chunk_->entries()[i].doc;
            frequencies_[i] = chunk_->entries()[i].frequency;
        }
        at_ = 0;
    }

  private:
    // How many entries are of the first `size_` documents.
    std::uint32_t covered(BufferText::Chunk& chunk) const {
        const std::uint32_t count = chunk.count.load(std::memory_order_acquire);
        const BufferText::Entry* entries = chunk.entries();
        if (count == 0 || entries[count - 1].doc < size_) return count;
        const auto* end = std::partition_point(entries, entries + count,
                                               [this](const BufferText::Entry& entry) { return entry.doc < size_; });
        return static_cast<std::uint32_t>(end - entries);
    }

    std::shared_ptr<const BufferText> text_;
    std::uint32_t size_;
    BufferText::Chunk* chunk_ = nullptr;
    BufferText::Chunk* next_;
};

class BufferLengths final : public Lengths {
  public:
    BufferLengths(std::shared_ptr<const BufferText> text, std::uint32_t size) : text_(std::move(text)), size_(size) {
        width_ = 4;
    }

  protected:
    void load(std::uint32_t doc) override {
        if (doc >= size_) throw std::out_of_range("there is no such document in the buffer");
        begin_ = doc;
        count_ = static_cast<std::uint32_t>(std::min<std::size_t>(size_ - doc, text_->lengths_.run(doc)));
        // Documents behind the last that has a text were never reached.
        const std::uint32_t* data = text_->lengths_.find(doc);
        data_ = data == nullptr ? kNone : reinterpret_cast<const std::uint8_t*>(data);
        if (data == nullptr) count_ = 1;
    }

  private:
    static constexpr std::uint8_t kNone[4] = {};

    std::shared_ptr<const BufferText> text_;
    std::uint32_t size_;
};

class BufferTerms final : public TermCursor {
  public:
    BufferTerms(std::shared_ptr<const BufferText> text, std::uint32_t size, std::string_view prefix)
        : text_(std::move(text)), size_(size) {
        const std::uint32_t count = text_->term_count_.load(std::memory_order_acquire);
        for (std::uint32_t i = 0; i < count; ++i) {
            const BufferText::Term& term = text_->terms_[i];
            if (term.view().starts_with(prefix)) terms_.push_back(&term);
        }
        std::sort(terms_.begin(), terms_.end(), [](const BufferText::Term* one, const BufferText::Term* other) {
            return one->view() < other->view();
        });
    }

    bool next() override {
        while (at_ < terms_.size()) {
            BufferPostings postings(text_, *terms_[at_++], size_);
            if (postings.document_count() == 0) continue;
            term_ = terms_[at_ - 1]->view();
            documents_ = postings.document_count();
            occurrences_ = postings.occurrences();
            return true;
        }
        return false;
    }

    std::unique_ptr<Postings> postings() override {
        return std::make_unique<BufferPostings>(text_, *terms_[at_ - 1], size_);
    }

  private:
    std::shared_ptr<const BufferText> text_;
    std::uint32_t size_;
    std::vector<const BufferText::Term*> terms_;
    std::size_t at_ = 0;
};

std::unique_ptr<Postings> BufferPart::postings(std::string_view term) const {
    const BufferText::Term* found = text_->find(term);
    if (found == nullptr) return nullptr;
    auto postings = std::make_unique<BufferPostings>(text_, *found, size_);
    if (postings->document_count() == 0) return nullptr;
    return postings;
}

std::uint32_t BufferPart::documents_of(std::string_view term) const {
    const BufferText::Term* found = text_->find(term);
    return found == nullptr ? 0 : BufferPostings(text_, *found, size_).document_count();
}

std::unique_ptr<Lengths> BufferPart::lengths() const { return std::make_unique<BufferLengths>(text_, size_); }

std::unique_ptr<TermCursor> BufferPart::terms(std::string_view prefix, bool) const {
    return std::make_unique<BufferTerms>(text_, size_, prefix);
}

std::shared_ptr<BufferText> BufferText::compacted(std::span<const std::int32_t> renumber) const {
    auto result = std::make_shared<BufferText>();
    const std::uint32_t count = term_count_.load(std::memory_order_relaxed);
    const auto number = [&](std::uint32_t doc) { return doc < renumber.size() ? renumber[doc] : -1; };
    std::vector<Token> tokens;
    for (std::uint32_t i = 0; i < count; ++i) {
        std::uint32_t added = kNoDoc;
        for (Chunk* chunk = terms_[i].first.load(std::memory_order_relaxed); chunk != nullptr;
             chunk = chunk->next.load(std::memory_order_relaxed)) {
            for (std::uint32_t k = 0; k < chunk->count.load(std::memory_order_relaxed); ++k) {
                const Entry& entry = chunk->entries()[k];
                const std::int32_t doc = number(entry.doc);
                if (doc < 0) continue;
                if (added == kNoDoc) added = result->number_of(terms_[i].view());
                tokens.clear();
                for (std::uint32_t p = 0; p < entry.frequency; ++p) {
                    tokens.push_back({added, entry.frequency == 1 ? entry.at : positions_[entry.at + std::size_t{p}]});
                }
                result->add(result->terms_[added], static_cast<std::uint32_t>(doc), tokens,
                            lengths_[entry.doc] - 1);
            }
        }
    }
    for (std::uint32_t doc = 0; doc < renumber.size(); ++doc) {
        const std::uint32_t* found = lengths_.find(doc);
        const std::uint32_t stored = found == nullptr ? 0 : *found;
        if (renumber[doc] < 0 || stored == 0) continue;
        result->lengths_.reach(static_cast<std::uint32_t>(renumber[doc]));
        result->lengths_[static_cast<std::uint32_t>(renumber[doc])] = stored;
        result->document_count_ += stored > 1;
        result->token_count_ += stored - 1;
    }
    return result;
}

}  // namespace lutra::text
