// The block cache for Python. Whatever may wait runs without the GIL; a remote source's function is called with it.
#include "block_cache_python.h"

#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bindings.h"
#include "deadline_python.h"
#include "io_file.h"
#include "io_remote_python.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace lutra {

namespace {

// Copied at once, at most: what a call holds of the cache, or needs beside it.
constexpr std::size_t kWindowBytes = std::size_t{1} << 20;
constexpr std::uint64_t kChecksumBytes = 4;  // of a block that ends in its crc32c

IoEngine engine_of(const std::string& name) {
    if (name == "auto") return IoEngine::kAuto;
    if (name == "io_uring") return IoEngine::kRing;
    if (name == "threads") return IoEngine::kThreads;
    throw std::invalid_argument("an engine is auto, io_uring or threads, not '" + name + "'");
}

HeldSource open_section(const HeldCache& cache, std::shared_ptr<RangeReader> reader, std::uint64_t offset,
                        std::optional<std::uint64_t> length, std::uint32_t block_bytes, const std::string& owner,
                        unsigned kind, bool checksums) {
    if (kind >= kBlockKinds) throw std::invalid_argument("there is no kind of block " + std::to_string(kind));
    const std::uint64_t size = reader->size_bytes();
    nb::gil_scoped_release no_gil;
    return HeldSource(cache->open(std::move(reader), {
        .offset = offset,
        .length = length.value_or(size - std::min(offset, size)),
        .block_bytes = block_bytes,
        .kind = static_cast<BlockKind>(kind),
        .owner = owner,
        .verify = checksums ? BlockVerifier(ends_in_its_crc32c) : BlockVerifier(),
    }));
}

HeldSource open_file(const HeldCache& cache, const std::string& path, std::uint64_t offset,
                     std::optional<std::uint64_t> length, std::uint32_t block_bytes, const std::string& owner,
                     unsigned kind, bool checksums, const std::string& engine, bool direct, unsigned queue_depth) {
    if (queue_depth < 1 || queue_depth > 64) {
        throw std::invalid_argument("a queue depth is 1 to 64, not " + std::to_string(queue_depth));
    }
    const FileOptions options{engine_of(engine), direct, queue_depth};
    std::shared_ptr<BlockFile> file;
    {
        nb::gil_scoped_release no_gil;
        file = BlockFile::open(path, options);
    }
    return open_section(cache, std::move(file), offset, length, block_bytes, owner, kind, checksums);
}

HeldSource open_remote(const HeldCache& cache, nb::object fetch, std::uint64_t size_bytes, const std::string& name,
                       std::uint32_t block_bytes, const std::string& owner, unsigned kind, bool checksums) {
    return open_section(cache, remote_reader(std::move(fetch), name, size_bytes), 0, std::nullopt, block_bytes, owner,
                        kind, checksums);
}

HeldSource section(const HeldSource& source, std::uint64_t offset, std::uint64_t length, std::uint32_t block_bytes,
                   const std::string& owner, unsigned kind, bool checksums) {
    return open_section(HeldCache(source->cache()), source->reader(), offset, length, block_bytes, owner, kind,
                        checksums);
}

struct FreeAligned {
    void operator()(std::byte* frames) const { std::free(frames); }
};

// Calls copy(i, bytes) for each block in turn, a window of them at a time.
template <class Copy>
void copy_blocks(BlockSource& source, std::span<const std::uint64_t> numbers, bool bypass, const Copy& copy) {
    const std::size_t block_bytes = source.section().block_bytes;
    const std::size_t window = std::max<std::size_t>(1, kWindowBytes / block_bytes);
    if (bypass) {
        const std::unique_ptr<std::byte, FreeAligned> frames(static_cast<std::byte*>(
            std::aligned_alloc(kPageBytes, std::max<std::size_t>(1, std::min(window, numbers.size())) * block_bytes)));
        if (!frames) throw std::bad_alloc();
        for (std::size_t begin = 0; begin < numbers.size(); begin += window) {
            const auto part = numbers.subspan(begin, std::min(window, numbers.size() - begin));
            source.read_past_cache(part, frames.get());
            for (std::size_t i = 0; i < part.size(); ++i) {
                copy(begin + i, std::span<const std::byte>{frames.get() + i * block_bytes, source.length_of(part[i])});
            }
        }
        return;
    }
    std::vector<PinnedBlock> pinned;
    for (std::size_t begin = 0; begin < numbers.size(); begin += pinned.size()) {
        pinned.clear();  // before asking for more: who waits holds nothing
        source.pin_some(numbers.subspan(begin, std::min(window, numbers.size() - begin)), pinned);
        for (std::size_t i = 0; i < pinned.size(); ++i) copy(begin + i, pinned[i].bytes());
    }
}

nb::object new_bytes(std::size_t size) {
    nb::object bytes = nb::steal(PyBytes_FromStringAndSize(nullptr, static_cast<Py_ssize_t>(size)));
    if (!bytes.is_valid()) throw nb::python_error();
    return bytes;
}

nb::list read(const HeldSource& source, const std::vector<std::uint64_t>& numbers, bool bypass) {
    nb::list blocks;
    std::vector<char*> places;
    places.reserve(numbers.size());
    for (const std::uint64_t number : numbers) {
        source->check({&number, 1});
        nb::object bytes = new_bytes(source->length_of(number));
        places.push_back(PyBytes_AS_STRING(bytes.ptr()));
        blocks.append(std::move(bytes));
    }
    const TimelyUnlocked no_gil;
    copy_blocks(*source, numbers, bypass, [&](std::size_t i, std::span<const std::byte> block) {
        std::memcpy(places[i], block.data(), block.size());
    });
    return blocks;
}

nb::object read_range(const HeldSource& source, std::uint64_t offset, std::uint64_t length, bool bypass) {
    const Section& section = source->section();
    source->check({});
    if (offset > section.length || length > section.length - offset) {
        throw std::out_of_range(source->reader()->name() + ": " + std::to_string(length) + " bytes at offset " +
                                std::to_string(offset) + " are not among its " + std::to_string(section.length));
    }
    nb::object bytes = new_bytes(length);
    char* to = PyBytes_AS_STRING(bytes.ptr());
    const TimelyUnlocked no_gil;
    std::vector<std::uint64_t> numbers;
    const std::uint64_t first = offset / section.block_bytes;
    for (std::uint64_t n = first; n * section.block_bytes < offset + length && length > 0; ++n) numbers.push_back(n);
    copy_blocks(*source, numbers, bypass, [&](std::size_t i, std::span<const std::byte> block) {
        const std::uint64_t place = (first + i) * section.block_bytes;
        const std::uint64_t begin = std::max(offset, place);
        const std::uint64_t end = std::min(offset + length, place + block.size());
        std::memcpy(to + (begin - offset), block.data() + (begin - place), end - begin);
    });
    return bytes;
}

// Bytes of the stream that blocks are without the checksums at their ends: each range as if it were all there is.
nb::list read_payloads(const HeldSource& source, const std::vector<std::pair<std::uint64_t, std::uint64_t>>& ranges,
                       bool bypass) {
    struct Piece {
        char* to;
        std::uint64_t begin, size;  // in the block
    };
    const Section& section = source->section();
    if (!section.verify) throw std::invalid_argument(source->reader()->name() + ": its blocks have no checksums");
    source->check({});
    const std::uint64_t payload = section.block_bytes - kChecksumBytes;
    const std::uint64_t count = source->block_count();
    const std::uint64_t last = count == 0 ? 0 : source->length_of(count - 1);
    const std::uint64_t total = count == 0 ? 0 : (count - 1) * payload + last - std::min(last, kChecksumBytes);
    nb::list parts;
    std::vector<std::uint64_t> numbers;
    std::vector<Piece> pieces;
    for (const auto& [offset, length] : ranges) {
        if (offset > total || length > total - offset) {
            throw std::out_of_range(source->reader()->name() + ": " + std::to_string(length) + " bytes at offset " +
                                    std::to_string(offset) + " are not among the " + std::to_string(total) +
                                    " of its blocks without their checksums");
        }
        nb::object bytes = new_bytes(length);
        char* to = PyBytes_AS_STRING(bytes.ptr());
        parts.append(std::move(bytes));
        for (std::uint64_t at = offset; at < offset + length;) {
            const std::uint64_t begin = at % payload;
            const std::uint64_t size = std::min(payload - begin, offset + length - at);
            numbers.push_back(at / payload);
            pieces.push_back({to, begin, size});
            to += size;
            at += size;
        }
    }
    const TimelyUnlocked no_gil;
    copy_blocks(*source, numbers, bypass, [&](std::size_t i, std::span<const std::byte> block) {
        std::memcpy(pieces[i].to, block.data() + pieces[i].begin, pieces[i].size);
    });
    return parts;
}

nb::dict as_dict(const BlockCounters& counters) {
    nb::dict dict;
    dict["hits"] = counters.hits;
    dict["joined"] = counters.joined;
    dict["misses"] = counters.misses;
    dict["prefetches"] = counters.prefetches;
    dict["reads"] = counters.reads;
    dict["read_bytes"] = counters.read_bytes;
    dict["failures"] = counters.failures;
    dict["evictions"] = counters.evictions;
    dict["bypass_reads"] = counters.bypass_reads;
    dict["bypass_bytes"] = counters.bypass_bytes;
    dict["held_bytes"] = counters.held_bytes;
    dict["held_blocks"] = counters.held_blocks;
    return dict;
}

nb::dict counters(const HeldCache& cache) {
    BlockCache::Counters counters;
    {
        nb::gil_scoped_release no_gil;
        counters = cache->counters();
    }
    nb::dict dict;
    dict["budget_bytes"] = counters.budget_bytes;
    dict["used_bytes"] = counters.used_bytes;
    dict["used_bytes_max"] = counters.used_bytes_max;
    dict["overhead_bytes"] = counters.overhead_bytes;
    dict["ghosts"] = counters.ghosts;
    nb::list owners;
    for (const BlockCache::OwnerCounters& owner : counters.owners) {
        owners.append(nb::make_tuple(owner.owner, static_cast<unsigned>(owner.kind), as_dict(owner.counters)));
    }
    dict["owners"] = owners;
    return dict;
}

// Each error as the class of lutra.model.errors that it is.
void translate(const std::exception_ptr& thrown, void*) {
    const auto raise = [](const char* name, const std::exception& error) {
        const nb::object type = nb::module_::import_("lutra.model.errors").attr(name);
        PyErr_SetString(type.ptr(), error.what());
    };
    try {
        std::rethrow_exception(thrown);
    } catch (const FetchError& error) {
        error.raise();
    } catch (const StorageError& error) {
        raise("StorageFailure", error);
    } catch (const CorruptionError& error) {
        raise("Corruption", error);
    } catch (const NoRoomError& error) {
        raise("ServerBusy", error);
    }
}

}  // namespace

void bind_block_cache(nb::module_& m) {
    nb::register_exception_translator(translate);
    nb::class_<HeldCache>(m, "BlockCache")
        .def(
            "__init__",
            [](HeldCache* self, std::size_t budget_bytes, unsigned shards) {
                new (self) HeldCache(BlockCache::create(budget_bytes, shards));
            },
            "budget_bytes"_a, "shards"_a = 0)
        .def("open_file", &open_file, "path"_a, "offset"_a, "length"_a.none(), "block_bytes"_a, "owner"_a, "kind"_a,
             "checksums"_a, "engine"_a, "direct"_a, "queue_depth"_a)
        .def("open_remote", &open_remote, "fetch"_a, "size_bytes"_a, "name"_a, "block_bytes"_a, "owner"_a, "kind"_a,
             "checksums"_a)
        .def("counters", &counters)
        .def("resize", [](const HeldCache& self, std::size_t bytes) { self->resize(bytes); }, "budget_bytes"_a,
             nb::call_guard<nb::gil_scoped_release>())
        .def("close", [](const HeldCache& self) { self->close(); }, nb::call_guard<nb::gil_scoped_release>());
    nb::class_<HeldSource>(m, "BlockSource")
        .def("section", &section, "offset"_a, "length"_a, "block_bytes"_a, "owner"_a, "kind"_a, "checksums"_a)
        .def("read", &read, "numbers"_a, "bypass"_a)
        .def("read_range", &read_range, "offset"_a, "length"_a, "bypass"_a)
        .def("read_payloads", &read_payloads, "ranges"_a, "bypass"_a)
        .def("prefetch",
             [](const HeldSource& self, const std::vector<std::uint64_t>& numbers) { self->prefetch(numbers); },
             "numbers"_a, nb::call_guard<nb::gil_scoped_release>())
        .def("close", [](const HeldSource& self) { self->close(); }, nb::call_guard<nb::gil_scoped_release>())
        .def_prop_ro("name", [](const HeldSource& self) { return self->reader()->name(); })
        .def_prop_ro("size_bytes", [](const HeldSource& self) { return self->section().length; })
        .def_prop_ro("block_bytes", [](const HeldSource& self) { return self->section().block_bytes; })
        .def_prop_ro("block_count", [](const HeldSource& self) { return self->block_count(); })
        .def_prop_ro("reads_by", [](const HeldSource& self) {
            const auto* file = dynamic_cast<const BlockFile*>(self->reader().get());
            if (file == nullptr) return std::string("fetch");
            return std::string(file->engine()) + (file->direct() ? ", direct" : ", buffered");
        });
}

}  // namespace lutra
