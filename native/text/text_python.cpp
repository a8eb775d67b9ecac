// The words of TEXT fields for Python. Whatever reads or may wait runs without the GIL.
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <cmath>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "arrays_python.h"
#include "bindings.h"
#include "block_cache_python.h"
#include "deadline_python.h"
#include "row_mask.h"
#include "text_blocks.h"
#include "text_buffer.h"
#include "text_check.h"
#include "text_pattern.h"
#include "text_phrase.h"
#include "text_query.h"
#include "text_writer.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace lutra {

namespace {

using Docs = nb::ndarray<const std::int64_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Weights = nb::ndarray<const double, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Numbers = nb::ndarray<const std::int32_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Unlocked = TimelyUnlocked;

// A part's words; a segment's as such, too.
struct PyPart {
    std::shared_ptr<const text::Part> part;
    std::shared_ptr<const text::SegmentText> segment;

    PyPart(std::shared_ptr<const text::Part> of, std::shared_ptr<const text::SegmentText> as_segment)
        : part(std::move(of)), segment(std::move(as_segment)) {}
    PyPart(PyPart&&) noexcept = default;
    ~PyPart() {  // the last one who holds blocks may have to wait
        if (!part) return;
        const nb::gil_scoped_release no_gil;
        segment.reset();
        part.reset();
    }
};

void require(bool holds, const char* message) {
    if (!holds) throw std::invalid_argument(message);
}

RowMask mask_of(text::Words&& words, std::uint32_t size) { return RowMask(std::move(words), size); }

std::vector<std::string_view> views_of(const std::vector<std::string>& terms) { return {terms.begin(), terms.end()}; }

std::vector<text::Word> words_of(const std::vector<std::string>& terms, const Weights& weights) {
    require(weights.shape(0) == terms.size(), "there is not a weight for each term");
    std::vector<text::Word> words;
    for (std::size_t i = 0; i < terms.size(); ++i) {
        require(std::isfinite(weights.data()[i]) && weights.data()[i] >= 0, "weights are finite and not negative");
        words.push_back({terms[i], weights.data()[i]});
    }
    return words;
}

std::vector<text::PhraseWord> phrase_of(const std::vector<std::string>& terms,
                                        const std::vector<std::uint32_t>& positions) {
    require(terms.size() == positions.size(), "there is not a position for each term");
    std::vector<text::PhraseWord> words;
    for (std::size_t i = 0; i < terms.size(); ++i) {
        require(positions[i] <= text::kPositionMax, "a position is out of range");
        words.push_back({terms[i], positions[i]});
    }
    return words;
}

void check_mask(const PyPart& self, const RowMask* mask) {
    require(mask == nullptr || mask->row_count() == self.part->size(), "the mask is not of the part's documents");
}

void check_docs(const PyPart& self, const Docs& docs) {
    std::int64_t last = -1;
    for (std::size_t i = 0; i < docs.shape(0); ++i) {
        require(docs.data()[i] > last, "documents do not ascend");
        last = docs.data()[i];
    }
    require(last < static_cast<std::int64_t>(self.part->size()), "there is no such document");
}

text::Pattern pattern_of(int kind, const std::string& pattern) {
    require(kind >= 0 && kind <= 2, "there is no such kind of pattern");
    return {static_cast<text::PatternKind>(kind), pattern};
}

// The documents and scores of several parts: what one has found, the next need not look below.
nb::list best(const std::vector<const PyPart*>& parts, const std::vector<const RowMask*>& masks,
              const std::vector<std::string>& terms, const Weights& weights, double average_length,
              std::uint32_t needed, std::size_t k, bool in_part) {
    require(parts.size() == masks.size(), "there is not a mask for each part");
    const std::vector<text::Word> words = words_of(terms, weights);
    std::vector<std::pair<std::vector<std::int64_t>, std::vector<double>>> found(parts.size());
    std::vector<bool> are_whole;
    for (std::size_t i = 0; i < parts.size(); ++i) {
        require(parts[i] != nullptr, "a part is none");
        check_mask(*parts[i], masks[i]);
    }
    {
        const Unlocked no_gil;
        std::vector<double> all;
        for (std::size_t i = 0; i < parts.size(); ++i) {
            bool was_cut = false;
            text::Best wanted{words, average_length, needed, k, masks[i]};
            if (in_part) wanted.was_cut = &was_cut;
            if (k > 0 && all.size() >= k) wanted.floor = all[k - 1];
            for (const text::Hit& hit : text::best(*parts[i]->part, wanted)) {
                found[i].first.push_back(hit.doc);
                found[i].second.push_back(hit.score);
                all.push_back(hit.score);
            }
            are_whole.push_back(!was_cut);
            std::sort(all.begin(), all.end(), std::greater<>());
            if (all.size() > k) all.resize(k);
        }
    }
    nb::list results;
    for (std::size_t i = 0; i < found.size(); ++i) {
        auto& [docs, scores] = found[i];
        results.append(nb::make_tuple(array_of(std::move(docs)), array_of(std::move(scores)), bool{are_whole[i]}));
    }
    return results;
}

// Takes the words of a document out of two lists of one length. False where there are too many.
bool stage(text::BufferText& self, std::uint32_t doc, const nb::list& terms, const nb::list& positions) {
    const std::size_t count = nb::len(terms);
    require(nb::len(positions) == count, "there is not a position for each term");
    if (count > text::kTokensMax) return false;
    require(doc <= text::kDocsMax, "a document's number is out of range");
    std::vector<text::BufferText::Token> tokens(count);
    for (std::size_t i = 0; i < count; ++i) {
        const unsigned long position = PyLong_AsUnsignedLong(PyList_GET_ITEM(positions.ptr(), i));
        if (PyErr_Occurred() != nullptr) throw nb::python_error();
        if (position > text::kPositionMax) return false;
        Py_ssize_t size = 0;
        const char* data = PyUnicode_AsUTF8AndSize(PyList_GET_ITEM(terms.ptr(), i), &size);
        if (data == nullptr) throw nb::python_error();
        const std::string_view term(data, static_cast<std::size_t>(size));
        tokens[i] = {self.number_of(text::clipped(term)), static_cast<std::uint32_t>(position)};
    }
    self.stage(doc, tokens);
    return true;
}

PyPart open_segment(const HeldSource& blocks, const std::string& name, std::uint32_t format, std::uint32_t size,
                    const std::vector<std::uint64_t>& layout) {
    require(layout.size() == 8, "a layout has eight numbers");
    require(layout[0] <= 4 && layout[1] <= text::kDocsMax, "a layout's numbers are out of range");
    auto segment = std::make_shared<const text::SegmentText>(
        text::stream_of_blocks(blocks.shared(), name),
        text::SegmentLayout{.format = format,
                            .size = size,
                            .length_bytes = static_cast<std::uint32_t>(layout[0]),
                            .document_count = static_cast<std::uint32_t>(layout[1]),
                            .token_count = layout[2],
                            .term_count = layout[3],
                            .postings = layout[4],
                            .dictionary = layout[5],
                            .index = layout[6],
                            .end = layout[7]});
    return PyPart(segment, segment);
}

// Keeps the arrays of numbers alive.
class PyWriter {
  public:
    PyWriter(const std::vector<const PyPart*>& parts, std::vector<Numbers> renumber, std::uint32_t size)
        : renumber_(std::move(renumber)) {
        require(parts.size() == renumber_.size(), "there are not new numbers for each part");
        std::vector<text::Input> inputs;
        for (std::size_t i = 0; i < parts.size(); ++i) {
            require(parts[i] != nullptr, "a part is none");
            inputs.push_back({parts[i]->part, {renumber_[i].data(), renumber_[i].shape(0)}});
        }
        const Unlocked no_gil;
        writer_ = std::make_unique<text::Writer>(std::move(inputs), size);
    }
    ~PyWriter() {
        const nb::gil_scoped_release no_gil;
        writer_.reset();
    }

    nb::bytes next() {
        std::string piece;
        {
            const Unlocked no_gil;
            piece = writer_->next();
        }
        return nb::bytes(piece.data(), piece.size());
    }

    std::vector<std::uint64_t> layout() const {
        const text::SegmentLayout& made = writer_->layout();
        return {made.length_bytes, made.document_count, made.token_count, made.term_count,
                made.postings,     made.dictionary,     made.index,       made.end};
    }

  private:
    std::vector<Numbers> renumber_;
    std::unique_ptr<text::Writer> writer_;
};

void bind_part(nb::module_& m) {
    nb::class_<PyPart>(m, "TextPart")
        .def_static("open", &open_segment, "blocks"_a, "name"_a, "format"_a, "size"_a, "layout"_a)
        .def_prop_ro("size", [](const PyPart& self) { return self.part->size(); })
        .def_prop_ro("state_bytes",
                     [](const PyPart& self) { return self.segment ? self.segment->state_bytes() : std::size_t{0}; })
        .def("exists",
             [](const PyPart& self) {
                 const Unlocked no_gil;
                 return mask_of(text::exists(*self.part), self.part->size());
             })
        .def(
            "statistics",
            [](const PyPart& self, const std::vector<std::string>& terms, const RowMask* left_out) {
                check_mask(self, left_out);
                std::vector<std::int64_t> documents;
                text::Totals totals;
                {
                    const Unlocked no_gil;
                    for (const std::string& term : terms) {
                        documents.push_back(text::documents_of(*self.part, term, left_out));
                    }
                    totals = text::totals(*self.part, left_out);
                }
                return nb::make_tuple(array_of(std::move(documents)), totals.documents, totals.tokens);
            },
            "terms"_a, "left_out"_a.none())
        .def(
            "matches",
            [](const PyPart& self, const std::vector<std::string>& terms, std::uint32_t needed) {
                const Unlocked no_gil;
                return mask_of(text::matches(*self.part, views_of(terms), needed), self.part->size());
            },
            "terms"_a, "needed"_a)
        .def(
            "phrase",
            [](const PyPart& self, const std::vector<std::string>& terms, const std::vector<std::uint32_t>& positions,
               std::uint32_t slop) {
                const std::vector<text::PhraseWord> words = phrase_of(terms, positions);
                const Unlocked no_gil;
                return mask_of(text::phrase_matches(*self.part, words, slop), self.part->size());
            },
            "terms"_a, "positions"_a, "slop"_a)
        .def(
            "like",
            [](const PyPart& self, int kind, const std::string& pattern) {
                const text::Pattern wanted = pattern_of(kind, pattern);
                const Unlocked no_gil;
                return mask_of(text::like(*self.part, wanted), self.part->size());
            },
            "kind"_a, "pattern"_a)
        .def(
            "terms_like",
            [](const PyPart& self, int kind, const std::string& pattern, std::size_t most) {
                const text::Pattern wanted = pattern_of(kind, pattern);
                const Unlocked no_gil;
                return text::terms_like(*self.part, wanted, most);
            },
            "kind"_a, "pattern"_a, "most"_a)
        .def(
            "scores",
            [](const PyPart& self, const std::vector<std::string>& terms, const Weights& weights,
               double average_length, const Docs& docs) {
                const std::vector<text::Word> words = words_of(terms, weights);
                std::vector<double> scores(docs.shape(0));
                {
                    const Unlocked no_gil;
                    check_docs(self, docs);
                    text::scores(*self.part, words, average_length, {docs.data(), docs.shape(0)}, scores.data());
                }
                return array_of(std::move(scores));
            },
            "terms"_a, "weights"_a, "average_length"_a, "docs"_a)
        .def(
            "phrase_scores",
            [](const PyPart& self, const std::vector<std::string>& terms, const std::vector<std::uint32_t>& positions,
               std::uint32_t slop, double weight, double average_length, const Docs& docs) {
                const std::vector<text::PhraseWord> words = phrase_of(terms, positions);
                require(std::isfinite(weight) && weight >= 0, "weights are finite and not negative");
                std::vector<double> scores(docs.shape(0));
                {
                    const Unlocked no_gil;
                    check_docs(self, docs);
                    text::phrase_scores(*self.part, words, slop, weight, average_length,
                                        {docs.data(), docs.shape(0)}, scores.data());
                }
                return array_of(std::move(scores));
            },
            "terms"_a, "positions"_a, "slop"_a, "weight"_a, "average_length"_a, "docs"_a)
        .def(
            "digests",
            [](const PyPart& self, std::uint64_t salt) {
                std::vector<std::uint64_t> digests(self.part->size());
                {
                    const Unlocked no_gil;
                    text::add_digests(*self.part, salt, digests);
                }
                return array_of(std::move(digests));
            },
            "salt"_a)
        .def("faults", [](const PyPart& self) {
            require(self.segment != nullptr, "a buffer is not checked");
            const Unlocked no_gil;
            return text::faults(self.segment);
        });
    m.def("text_best", &best, "parts"_a, "masks"_a, "terms"_a, "weights"_a, "average_length"_a, "needed"_a, "k"_a,
          "in_part"_a);
}

void bind_buffer(nb::module_& m) {
    using Buffer = std::shared_ptr<text::BufferText>;
    struct PyBuffer {
        Buffer text = std::make_shared<text::BufferText>();
    };
    nb::class_<PyBuffer>(m, "TextBuffer")
        .def(nb::init<>())
        .def(
            "stage",
            [](PyBuffer& self, std::uint32_t doc, const nb::list& terms, const nb::list& positions) {
                return stage(*self.text, doc, terms, positions);
            },
            "doc"_a, "terms"_a, "positions"_a)
        .def("publish", [](PyBuffer& self) { self.text->publish(); }, nb::call_guard<nb::gil_scoped_release>())
        .def_prop_ro("held_bytes", [](const PyBuffer& self) { return self.text->held_bytes(); })
        .def(
            "part",
            [](const PyBuffer& self, std::uint32_t size) {
                return PyPart(std::make_shared<text::BufferPart>(self.text, size), nullptr);
            },
            "size"_a)
        .def(
            "compacted",
            [](const PyBuffer& self, const Numbers& renumber) {
                PyBuffer result;
                const Unlocked no_gil;
                result.text = self.text->compacted({renumber.data(), renumber.shape(0)});
                return result;
            },
            "renumber"_a);
}

}  // namespace

void bind_text(nb::module_& m) {
    bind_part(m);
    bind_buffer(m);
    nb::class_<PyWriter>(m, "TextWriter")
        .def(nb::init<const std::vector<const PyPart*>&, std::vector<Numbers>, std::uint32_t>(), "parts"_a,
             "renumber"_a, "size"_a)
        .def("next", &PyWriter::next)
        .def_prop_ro("layout", &PyWriter::layout);
    m.attr("TEXT_FORMAT") = text::kFormat;
    m.attr("TEXT_TOKENS_MAX") = text::kTokensMax;
    m.attr("TEXT_TERM_BYTES_MAX") = text::kTermBytesMax;
}

}  // namespace lutra
