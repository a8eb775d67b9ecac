// The terms of a segment: which there are, in their order, and where their postings lie.
#include <algorithm>

#include "text_segment.h"

namespace lutra::text {

namespace {

// Reads numbers of bytes that end where `end` says; what is not there is a corruption at `place`.
class Numbers {
  public:
    Numbers(const Window& window, std::uint64_t place, const std::uint8_t*& at, const std::uint8_t* end)
        : window_(window), place_(place), at_(at), end_(end) {}

    std::uint64_t next(std::uint64_t most, const char* what) {
        std::uint64_t value;
        if (!get_varint(at_, end_, value) || value > most) {
            window_.fail(place_, std::string("its terms make no sense: ") + what);
        }
        return value;
    }

  private:
    const Window& window_;
    std::uint64_t place_;
    const std::uint8_t*& at_;
    const std::uint8_t* end_;
};

}  // namespace

DictionaryIndex::DictionaryIndex(Window& window, const SegmentLayout& layout) {
    const std::uint64_t length = layout.end - layout.index;
    const std::uint8_t* at = window.view(layout.index, length);
    const std::uint8_t* const end = at + length;
    const std::uint64_t blocks = (layout.term_count + kTermsPerBlock - 1) / kTermsPerBlock;
    if (blocks > length) window.fail(layout.index, "the index of terms is too short for so many");
    starts_.reserve(blocks + 1);
    places_.reserve(blocks + 1);
    Place place{layout.dictionary, layout.postings};
    Numbers numbers(window, layout.index, at, end);
    for (std::uint64_t block = 0; block < blocks; ++block) {
        starts_.push_back(static_cast<std::uint32_t>(terms_.size()));
        places_.push_back(place);
        const std::uint64_t size = numbers.next(kTermBytesMax, "a term's length");
        if (size > static_cast<std::uint64_t>(end - at)) window.fail(layout.index, "the index of terms is cut short");
        const std::string_view term(reinterpret_cast<const char*>(at), size);
        if (block > 0 && std::string_view(terms_).substr(starts_[block - 1], starts_[block] - starts_[block - 1]) >= term) {
            window.fail(layout.index, "terms do not ascend");
        }
        terms_.append(term);
        if (terms_.size() > 0xffffffff) window.fail(layout.index, "the index of terms is too long");
        at += size;
        place.dictionary += numbers.next(layout.index - place.dictionary, "a block's length");
        place.postings += numbers.next(layout.dictionary - place.postings, "the length of postings");
    }
    starts_.push_back(static_cast<std::uint32_t>(terms_.size()));
    places_.push_back(place);
    if (at != end || place.dictionary != layout.index || place.postings != layout.dictionary) {
        window.fail(layout.index, "the index of terms does not cover them");
    }
}

std::size_t DictionaryIndex::block_of(std::string_view term) const {
    std::size_t low = 0, high = blocks();
    while (high - low > 1) {
        const std::size_t middle = low + (high - low) / 2;
        (first(middle) <= term ? low : high) = middle;
    }
    return low;
}

std::size_t DictionaryIndex::state_bytes() const {
    return terms_.capacity() + starts_.capacity() * sizeof starts_[0] + places_.capacity() * sizeof places_[0];
}

TermReader::TermReader(std::shared_ptr<const ByteStream> stream, const SegmentLayout& layout,
                       const DictionaryIndex& index, std::size_t block, bool past_cache)
    : window_(std::move(stream), past_cache), layout_(layout), index_(index), block_(block) {
    if (block_ < index_.blocks()) open();
}

void TermReader::open() {
    const std::uint64_t begin = index_.place(block_), length = index_.place(block_ + 1) - begin;
    data_ = window_.view(begin, length);
    data_end_ = data_ + length;
    postings_ = index_.postings(block_);
    at_ = 0;
    in_block_ = static_cast<std::uint32_t>(
        std::min<std::uint64_t>(kTermsPerBlock, layout_.term_count - block_ * std::uint64_t{kTermsPerBlock}));
    term_.clear();
}

bool TermReader::next() {
    if (block_ >= index_.blocks()) return false;
    if (at_ == in_block_) {
        if (data_ != data_end_ || postings_ != index_.postings(block_ + 1)) {
            window_.fail(place(), "its terms do not end where it does");
        }
        if (++block_ >= index_.blocks()) return false;
        open();
    }
    const std::uint64_t place = index_.place(block_);
    Numbers numbers(window_, place, data_, data_end_);
    const std::uint64_t shared = numbers.next(term_.size(), "how much a term shares");
    const std::uint64_t own = numbers.next(kTermBytesMax - shared, "a term's length");
    if (own > static_cast<std::uint64_t>(data_end_ - data_)) window_.fail(place, "its terms are cut short");
    const std::string_view rest(reinterpret_cast<const char*>(data_), own);
    if (at_ > 0 ? std::string_view(term_).substr(shared) >= rest : rest != index_.first(block_)) {
        window_.fail(place, at_ > 0 ? "its terms do not ascend" : "it does not begin with the term that its index has");
    }
    term_.resize(shared);
    term_.append(rest);
    data_ += own;
    entry_.documents = static_cast<std::uint32_t>(numbers.next(layout_.size, "a number of documents"));
    if (entry_.documents == 0) window_.fail(place, "a term is in no document");
    entry_.occurrences = entry_.documents + numbers.next(layout_.token_count - std::min<std::uint64_t>(
                                                layout_.token_count, entry_.documents), "a number of occurrences");
    const std::uint64_t rest_bytes = index_.postings(block_ + 1) - postings_;
    entry_.document_bytes = numbers.next(rest_bytes, "the length of postings");
    entry_.position_bytes = numbers.next(rest_bytes - entry_.document_bytes, "the length of positions");
    entry_.begin = postings_;
    postings_ += entry_.document_bytes + entry_.position_bytes;
    ++at_;
    return true;
}

}  // namespace lutra::text
