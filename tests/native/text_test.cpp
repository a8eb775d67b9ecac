// Words of texts without Python: what is written comes back, damaged bytes are refused within bounds, and readers of a
// buffer do not mind its writer. Meant to run under sanitizers.
#include <algorithm>
#include <atomic>
#include <cstring>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "check.h"
#include "guarded.h"
#include "io_read.h"
#include "text_buffer.h"
#include "text_check.h"
#include "text_packing.h"
#include "text_pattern.h"
#include "text_phrase.h"
#include "text_query.h"
#include "text_writer.h"

namespace {

using namespace lutra;
using namespace lutra::text;

using Random = std::mt19937_64;

std::string word(std::uint64_t number) { return "w" + std::to_string(number); }

std::shared_ptr<BufferText> random_buffer(Random& random, std::uint32_t size, std::uint32_t vocabulary) {
    auto buffer = std::make_shared<BufferText>();
    for (std::uint32_t doc = 0; doc < size; ++doc) {
        if (random() % 20 == 0) continue;
        std::vector<BufferText::Token> tokens(random() % 12);
        std::uint32_t position = 0;
        for (auto& token : tokens) {
            position += static_cast<std::uint32_t>(random() % 50 == 0 ? random() % 10000 : random() % 3);
            // Low words are in most documents.
            const std::uint64_t number = random() % (1 + random() % vocabulary);
            token = {buffer->number_of(word(number)), position};
        }
        buffer->stage(doc, tokens);
        if (random() % 30 == 0) buffer->publish();
    }
    buffer->publish();
    return buffer;
}

struct Written {
    std::string bytes;
    SegmentLayout layout;
};

Written written(std::shared_ptr<const Part> part) {
    std::vector<std::int32_t> renumber(part->size());
    for (std::uint32_t doc = 0; doc < renumber.size(); ++doc) renumber[doc] = static_cast<std::int32_t>(doc);
    Writer writer({{part, renumber}}, part->size());
    Written result;
    for (std::string piece = writer.next(); !piece.empty(); piece = writer.next()) result.bytes += piece;
    result.layout = writer.layout();
    return result;
}

std::shared_ptr<const SegmentText> segment(const Written& of) {
    return std::make_shared<SegmentText>(stream_of("text of t", of.bytes), of.layout);
}

// In pages that are read into windows, as they are from a file.
class Paged final : public ByteStream {
  public:
    explicit Paged(std::string bytes) : ByteStream("text of t"), bytes_(std::move(bytes)) {}
    std::uint64_t size_bytes() const override { return bytes_.size(); }
    std::size_t page_bytes() const override { return 96; }
    void read(std::uint64_t page, std::size_t count, bool, std::uint8_t* to) const override {
        const std::size_t begin = page * page_bytes();
        CHECK(begin < bytes_.size());
        std::memcpy(to, bytes_.data() + begin, std::min(count * page_bytes(), bytes_.size() - begin));
    }

  private:
    std::string bytes_;
};

using Found = std::map<std::string, std::map<std::uint32_t, std::vector<std::uint32_t>>>;

Found everything(const Part& part, bool sweeps) {
    Found found;
    const auto terms = part.terms("", sweeps);
    while (terms->next()) {
        auto& docs = found[std::string(terms->term())];
        const auto postings = terms->postings();
        for (std::uint32_t doc = postings->advance(0); doc != kNoDoc; doc = postings->advance(doc + 1)) {
            postings->positions(postings->place(), docs[doc]);
        }
        CHECK(docs.size() == terms->documents());
    }
    return found;
}

void numbers_come_back(Random& random) {
    for (unsigned width = 0; width <= 32; ++width) {
        std::uint32_t values[kBlockDocs], found[kBlockDocs];
        for (std::uint32_t& value : values) value = static_cast<std::uint32_t>(random() & ((1ULL << width) - 1));
        std::string packed;
        pack_block(values, width, packed);
        CHECK(packed.size() == 16 * width);
        const Guarded block(std::max<std::size_t>(1, packed.size()));
        std::memcpy(block.get(), packed.data(), packed.size());
        unpack_block(block.get(), width, found);
        CHECK(std::equal(values, values + kBlockDocs, found));
    }
    std::uint32_t gaps[kBlockDocs], expected[kBlockDocs], last = 77;
    for (std::uint32_t i = 0; i < kBlockDocs; ++i) {
        gaps[i] = static_cast<std::uint32_t>(random() % 1000);
        last = expected[i] = last + gaps[i] + 1;
    }
    sum_gaps(gaps, 77);
    CHECK(std::equal(gaps, gaps + kBlockDocs, expected));
}

void words_come_back(Random& random) {
    for (const std::uint32_t size : {0u, 1u, 5u, 127u, 128u, 129u, 300u, 2000u}) {
        const auto buffer = std::make_shared<BufferPart>(random_buffer(random, size, 200), size);
        const Found expected = everything(*buffer, false);
        const Written bytes = written(buffer);
        const auto whole = segment(bytes);
        const auto paged = std::make_shared<SegmentText>(std::make_shared<Paged>(bytes.bytes), bytes.layout);
        for (const auto& text : {whole, std::shared_ptr<const SegmentText>(paged)}) {
            CHECK(faults(text).empty());
            CHECK(everything(*text, true) == expected);
            CHECK(everything(*text, false) == expected);
            CHECK(text->token_count() == buffer->token_count());
            const auto of_segment = text->lengths(), of_buffer = buffer->lengths();
            for (std::uint32_t doc = 0; doc < size; ++doc) CHECK(of_segment->stored(doc) == of_buffer->stored(doc));
            for (const auto& [term, docs] : expected) CHECK(text->documents_of(term) == docs.size());
            CHECK(text->documents_of("nobody") == 0);
            CHECK(text->documents_of(std::string(5000, 'x')) == 0);
        }
    }
}

void ask_everything(const std::shared_ptr<const SegmentText>& text) {
    const auto tried = [](const auto& ask) {
        try {
            ask();
        } catch (const CorruptionError&) {
        }
    };
    const std::vector<std::string> names = {word(0), word(1), word(2), word(7), word(90)};
    const std::vector<std::string_view> terms(names.begin(), names.end());
    std::vector<Word> words;
    for (const std::string& name : names) words.push_back({name, 1.5});
    for (std::uint32_t needed = 1; needed <= 5; needed += 2) {
        tried([&] { matches(*text, terms, needed); });
        tried([&] { best(*text, {words, 8, needed, 10, nullptr}); });
    }
    tried([&] { best(*text, {{words.data() + 1, 1}, 8, 1, 3, nullptr}); });
    const std::vector<PhraseWord> phrase = {{names[0], 0}, {names[1], 1}, {names[0], 2}};
    tried([&] { phrase_matches(*text, phrase, 0); });
    tried([&] { phrase_matches(*text, phrase, 3); });
    tried([&] { like(*text, {PatternKind::kSuffix, "1"}); });
    tried([&] { exists(*text); });
    tried([&] { faults(text); });
    std::vector<std::uint64_t> digests(text->size());
    tried([&] { add_digests(*text, 1, digests); });
    std::vector<std::int64_t> docs(text->size());
    for (std::uint32_t doc = 0; doc < docs.size(); ++doc) docs[doc] = doc;
    std::vector<double> found(docs.size());
    tried([&] { scores(*text, words, 8, docs, found.data()); });
    tried([&] { phrase_scores(*text, phrase, 2, 1, 8, docs, found.data()); });
    tried([&] { written(text); });
}

void damage_is_refused_within_bounds(Random& random) {
    std::size_t noticed = 0, rounds = 0;
    for (const std::uint32_t size : {40u, 700u}) {
        const Written good = written(std::make_shared<BufferPart>(random_buffer(random, size, 120), size));
        ask_everything(segment(good));
        for (int round = 0; round < 150; ++round, ++rounds) {
            Written bad = good;
            for (int change = 1 + static_cast<int>(random() % 3); change > 0; --change) {
                bad.bytes[random() % bad.bytes.size()] = static_cast<char>(random());
            }
            const auto numbers = std::array{&bad.layout.token_count, &bad.layout.term_count, &bad.layout.postings,
                                            &bad.layout.dictionary, &bad.layout.index, &bad.layout.end};
            if (round % 5 == 0) *numbers[random() % numbers.size()] += random() % 200 - 100;
            if (round % 7 == 0) bad.bytes.resize(random() % bad.bytes.size());
            if (round % 11 == 0) bad.layout.size += static_cast<std::uint32_t>(random() % 100);
            try {
                const auto text = segment(bad);
                ask_everything(text);
                noticed += !faults(text).empty();
            } catch (const CorruptionError&) {
                ++noticed;
            }
        }
    }
    // Another word or position is as good as the one that was: only the blocks' checksums tell.
    CHECK(noticed * 2 > rounds);
}

void patterns() {
    const auto fits = [](PatternKind kind, std::string_view pattern, std::string_view term) {
        return Pattern{kind, pattern}.fits(term);
    };
    constexpr PatternKind kAny = PatternKind::kWildcard;
    for (const char* good : {"*", "abc", "a*", "*c", "a?c", "a*b*c", "*b*", "???", "**", "abc*", "a**c"}) {
        CHECK(fits(kAny, good, "abc"));
    }
    for (const char* bad : {"", "ab", "abcd", "a?", "????", "b*", "*b", "a*d", "*c*c", "c*a"}) {
        CHECK(!fits(kAny, bad, "abc"));
    }
    CHECK(fits(kAny, "?茶", "梨茶"));
    CHECK(!fits(kAny, "??茶", "梨茶"));
    CHECK(fits(kAny, "*?茶*", "a梨茶"));
    CHECK(fits(kAny, "", "") && fits(kAny, "*", "") && !fits(kAny, "?", ""));
    CHECK(fits(PatternKind::kPrefix, "ab", "abc") && !fits(PatternKind::kPrefix, "b", "abc"));
    CHECK(fits(PatternKind::kSuffix, "bc", "abc") && !fits(PatternKind::kSuffix, "b", "abc"));
}

void readers_do_not_mind_the_writer(Random& random) {
    constexpr std::uint32_t kDocs = 3000;
    const auto buffer = std::make_shared<BufferText>();
    std::atomic<std::uint32_t> published{0};
    std::atomic<bool> done{false};
    std::mutex taking;  // views and publishing take turns
    std::vector<std::thread> readers;
    for (int reader = 0; reader < 2; ++reader) {
        readers.emplace_back([&] {
            while (!done.load()) {
                std::shared_ptr<BufferPart> view;
                {
                    const std::lock_guard lock(taking);
                    view = std::make_shared<BufferPart>(buffer, published.load());
                }
                const std::string all = "all", own = "d" + std::to_string(view->size() / 2);
                CHECK(view->documents_of(all) == view->size());
                CHECK(view->documents_of(own) == (view->size() > 0));
                const std::vector<Word> words = {{all, 1}, {own, 2}};
                const std::vector<Hit> hits = best(*view, {words, 3, 1, 5, nullptr});
                CHECK(hits.size() == std::min(5u, view->size()));
                CHECK(hits.empty() || hits[0].doc == view->size() / 2);
                const std::vector<PhraseWord> phrase = {{all, 0}, {all, 2}};
                CHECK(phrase_matches(*view, phrase, 0).size() == (view->size() + 63) / 64);
            }
        });
    }
    for (std::uint32_t doc = 0; doc < kDocs; ++doc) {
        std::vector<BufferText::Token> tokens = {{buffer->number_of("all"), 0},
                                                 {buffer->number_of("d" + std::to_string(doc)), 1},
                                                 {buffer->number_of("all"), 2}};
        buffer->stage(doc, tokens);
        if (random() % 10 == 0 || doc + 1 == kDocs) {
            const std::lock_guard lock(taking);
            buffer->publish();
            published.store(doc + 1);
        }
    }
    done.store(true);
    for (std::thread& reader : readers) reader.join();
}

}  // namespace

int main() {
    Random random(11);
    numbers_come_back(random);
    words_come_back(random);
    damage_is_refused_within_bounds(random);
    patterns();
    readers_do_not_mind_the_writer(random);
    return 0;
}
