// The words of a TEXT field of the newest rows, in memory. One writer; readers need no lock but where they look a term up.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstdint>
#include <memory>
#include <shared_mutex>
#include <span>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "text_part.h"

namespace lutra::text {

// An array whose elements stay where they are. Readers may look at what the writer has made known to them.
template <class T>
class Stable {
  public:
    Stable() = default;
    Stable(const Stable&) = delete;
    Stable& operator=(const Stable&) = delete;
    ~Stable() {
        for (std::size_t i = 0; i < chunks_.size(); ++i) delete[] chunks_[i].load(std::memory_order_relaxed);
    }

    T& operator[](std::size_t i) const {
        const auto [chunk, at] = place(i);
        return chunks_[chunk].load(std::memory_order_acquire)[at];
    }
    // nullptr where there is no room for element `i` yet.
    T* find(std::size_t i) const {
        const auto [chunk, at] = place(i);
        T* data = chunks_[chunk].load(std::memory_order_acquire);
        return data == nullptr ? nullptr : data + at;
    }
    // For the writer: has room for element `i`.
    void reach(std::size_t i) {
        const std::size_t chunk = place(i).first;
        if (chunks_[chunk].load(std::memory_order_relaxed) != nullptr) return;
        chunks_[chunk].store(new T[kFirst << chunk](), std::memory_order_release);
        held_bytes_ += (kFirst << chunk) * sizeof(T);
    }
    // So many elements, at most, from `i` on lie one after the other.
    std::size_t run(std::size_t i) const {
        const auto [chunk, at] = place(i);
        return (kFirst << chunk) - at;
    }
    std::size_t held_bytes() const { return held_bytes_; }

  private:
    static constexpr std::size_t kFirst = 256;

    static std::pair<std::size_t, std::size_t> place(std::size_t i) {
        const std::size_t chunk = static_cast<std::size_t>(std::bit_width(i / kFirst + 1)) - 1;
        return {chunk, i - ((kFirst << chunk) - kFirst)};
    }

    std::array<std::atomic<T*>, 32> chunks_{};
    std::size_t held_bytes_ = 0;
};

class BufferText {
  public:
    BufferText() = default;
    BufferText(const BufferText&) = delete;
    BufferText& operator=(const BufferText&) = delete;
    ~BufferText();

    struct Token {
        std::uint32_t term, position;
    };

    // The number of a term; new ones are numbered now. For the writer; `term` is clipped.
    std::uint32_t number_of(std::string_view term);
    // Takes the tokens of `doc`, later than all before it, in any order. Nobody sees it before `publish`.
    void stage(std::uint32_t doc, std::span<Token> tokens);
    // Makes what is staged part of views whose size covers it.
    void publish();
    // Of what is published.
    std::uint32_t document_count() const { return document_count_; }
    std::uint64_t token_count() const { return token_count_; }
    std::size_t held_bytes() const;

    // A new one without the documents whose number in `renumber` is negative. Others keep their order.
    std::shared_ptr<BufferText> compacted(std::span<const std::int32_t> renumber) const;

  private:
    friend class BufferPart;
    friend class BufferPostings;
    friend class BufferTerms;
    friend class BufferLengths;

    struct Entry {
        std::uint32_t doc, frequency, at;  // `at`: the position where it is the only one, else where those begin
    };
    struct Chunk {
        Chunk(std::uint32_t entries) : capacity(entries) {}
        Entry* entries() { return reinterpret_cast<Entry*>(this + 1); }

        std::atomic<Chunk*> next{nullptr};
        const std::uint32_t capacity;
        std::atomic<std::uint32_t> count{0};
        // As in Impacts; they only grow looser.
        std::atomic<std::uint16_t> once{Impacts::kMost}, twice{Impacts::kMost}, more{Impacts::kMost}, frequency{0};
    };
    struct Term {
        const char* text = nullptr;
        std::uint32_t length = 0;
        std::atomic<Chunk*> first{nullptr};
        Chunk* last = nullptr;  // the writer's own

        std::string_view view() const { return {text, length}; }
    };
    struct Staged {
        std::uint32_t doc, begin;
    };

    void append(std::uint32_t doc, std::span<const Token> tokens);
    void add(Term& term, std::uint32_t doc, std::span<const Token> tokens, std::uint32_t length);
    const Term* find(std::string_view term) const;
    static Chunk* new_chunk(std::uint32_t capacity);
    static Impacts impacts_of(const Chunk& chunk);

    mutable std::shared_mutex mutex_;  // of what follows
    std::unordered_map<std::string_view, std::uint32_t> numbers_;

    Stable<Term> terms_;
    std::atomic<std::uint32_t> term_count_{0};
    Stable<std::uint32_t> lengths_;    // as Lengths::stored gives them
    Stable<std::uint32_t> positions_;  // of terms that are in a document more than once
    std::uint64_t positions_end_ = 0;
    std::vector<std::unique_ptr<char[]>> texts_;
    std::size_t text_room_ = 0;
    char* text_at_ = nullptr;
    std::uint32_t document_count_ = 0;
    std::uint64_t token_count_ = 0;
    std::size_t held_bytes_ = 0;
    std::vector<Staged> staged_;
    std::vector<Token> staged_tokens_;
    std::vector<Token> sorted_;
};

// The first `size` documents, with the counts of when it was taken.
class BufferPart final : public Part, public std::enable_shared_from_this<BufferPart> {
  public:
    BufferPart(std::shared_ptr<const BufferText> text, std::uint32_t size)
        : text_(std::move(text)),
          size_(size),
          document_count_(text_->document_count()),
          token_count_(text_->token_count()) {}

    std::uint32_t size() const override { return size_; }
    std::uint32_t document_count() const override { return document_count_; }
    std::uint64_t token_count() const override { return token_count_; }
    std::unique_ptr<Postings> postings(std::string_view term) const override;
    std::uint32_t documents_of(std::string_view term) const override;
    std::unique_ptr<Lengths> lengths() const override;
    std::unique_ptr<TermCursor> terms(std::string_view prefix, bool sweeps) const override;

    const BufferText& text() const { return *text_; }

  private:
    std::shared_ptr<const BufferText> text_;
    std::uint32_t size_, document_count_;
    std::uint64_t token_count_;
};

}  // namespace lutra::text
