#include <algorithm>
#include <stdexcept>

#include "text_writer.h"

namespace lutra::text {

void TermEncoder::add(std::uint32_t doc, std::span<const std::uint32_t> positions, std::uint32_t length) {
    if (doc > kDocsMax || (last_ != kNoDoc && doc <= last_) || positions.empty() || positions.back() > kPositionMax ||
        !std::is_sorted(positions.begin(), positions.end())) {
        throw std::invalid_argument("documents of a term, or positions in one, do not ascend");
    }
    docs_[count_] = doc;
    const auto frequency = static_cast<std::uint32_t>(positions.size());
    frequencies_[count_++] = frequency;
    std::uint32_t before = 0;
    for (const std::uint32_t position : positions) {
        gaps_.push_back(position - before);
        before = position;
    }
    block_impacts_.add(frequency, length);
    last_ = doc;
    ++documents_;
    occurrences_ += frequency;
    if (count_ == kBlockDocs) flush();
}

void TermEncoder::flush() {
    if (count_ == 0) return;
    put_number(skips_, last_, 4);
    put_number(skips_, docs_bytes_.size(), 5);
    put_number(skips_, positions_bytes_.size(), 5);
    skips_.append(reinterpret_cast<const char*>(&block_impacts_), kImpactBytes);
    std::uint32_t before = before_block_;
    if (count_ == kBlockDocs) {
        std::uint32_t gaps[kBlockDocs], frequencies[kBlockDocs], most_gap = 0, most_frequency = 0;
        for (std::uint32_t i = 0; i < kBlockDocs; ++i) {
            gaps[i] = docs_[i] - before - 1;
            before = docs_[i];
            frequencies[i] = frequencies_[i] - 1;
            most_gap |= gaps[i];
            most_frequency |= frequencies[i];
        }
        docs_bytes_.push_back(static_cast<char>(width_of(most_gap)));
        docs_bytes_.push_back(static_cast<char>(width_of(most_frequency)));
        pack_block(gaps, width_of(most_gap), docs_bytes_);
        pack_block(frequencies, width_of(most_frequency), docs_bytes_);
    } else {
        for (std::uint32_t i = 0; i < count_; ++i) {
            const std::uint64_t gap = docs_[i] - before - 1;
            before = docs_[i];
            put_varint(docs_bytes_, gap << 1 | (frequencies_[i] == 1));
            if (frequencies_[i] > 1) put_varint(docs_bytes_, frequencies_[i] - 2);
        }
    }
    std::uint32_t most = 0;
    for (const std::uint32_t gap : gaps_) most |= gap;
    positions_bytes_.push_back(static_cast<char>(width_of(most)));
    BitWriter bits(positions_bytes_);
    for (const std::uint32_t gap : gaps_) bits.write(gap, width_of(most));
    bits.finish();
    impacts_.add(block_impacts_);
    block_impacts_ = {};
    before_block_ = last_;
    count_ = 0;
    gaps_.clear();
}

void TermEncoder::finish(std::string& out, TermEntry& entry) {
    flush();
    entry.documents = documents_;
    entry.occurrences = occurrences_;
    const std::size_t begin = out.size();
    if (documents_ >= kImpactsFrom) out.append(reinterpret_cast<const char*>(&impacts_), kImpactBytes);
    if (blocks_of(documents_) > 1) out.append(skips_);
    out.append(docs_bytes_);
    entry.document_bytes = out.size() - begin;
    out.append(positions_bytes_);
    entry.position_bytes = positions_bytes_.size();
    last_ = before_block_ = kNoDoc;
    impacts_ = {};
    documents_ = 0;
    occurrences_ = 0;
    skips_.clear();
    docs_bytes_.clear();
    positions_bytes_.clear();
}

void DictionaryWriter::add(std::string_view term, const TermEntry& entry) {
    const bool first = term_count_ % kTermsPerBlock == 0;
    if (first) {
        finish();
        put_varint(index_, term.size());
        index_.append(term);
        last_.clear();
    }
    const std::size_t most = std::min(last_.size(), term.size());
    const std::size_t shared =
        static_cast<std::size_t>(std::mismatch(term.begin(), term.begin() + most, last_.begin()).first - term.begin());
    put_varint(blocks_, shared);
    put_varint(blocks_, term.size() - shared);
    blocks_.append(term.substr(shared));
    put_varint(blocks_, entry.documents);
    put_varint(blocks_, entry.occurrences - entry.documents);
    put_varint(blocks_, entry.document_bytes);
    put_varint(blocks_, entry.position_bytes);
    block_postings_ += entry.document_bytes + entry.position_bytes;
    last_ = term;
    ++term_count_;
}

void DictionaryWriter::finish() {
    if (blocks_.size() == block_begin_) return;
    put_varint(index_, blocks_.size() - block_begin_);
    put_varint(index_, block_postings_);
    block_begin_ = blocks_.size();
    block_postings_ = 0;
}

}  // namespace lutra::text
