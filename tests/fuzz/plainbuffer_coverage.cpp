// Tells libFuzzer which parts of the PlainBuffer codec an input reaches.
//
// libFuzzer reads counters as clang places them. The codec is compiled here by gcc with -fsanitize-coverage=trace-pc,
// which calls a function at every edge; this file, compiled without, is that function: it counts the calls in an array
// that libFuzzer is told of. tests/fuzz/fuzz_plainbuffer.py builds and loads it.
#include "plainbuffer.h"

#include <cstddef>
#include <cstdint>

namespace {

constexpr std::size_t kCounters = 1 << 13;

struct Place {
    std::uintptr_t address;
    std::uintptr_t flags;
};

std::uint8_t counters[kCounters];
Place places[kCounters];

struct Ignore {
    const char* key_cell(const lutra::plainbuffer::Cell&) { return nullptr; }
    const char* data_cell(const lutra::plainbuffer::Cell&) { return nullptr; }
};

}  // namespace

extern "C" {

void __sanitizer_cov_trace_pc() {
    const auto here = reinterpret_cast<std::uintptr_t>(__builtin_return_address(0));
    std::uint8_t& counter = counters[(here * 0x9e3779b97f4a7c15u) >> 51];  // the upper 13 bits
    if (counter != 0xff) ++counter;
}

// Registers the counters by libFuzzer's own functions, __sanitizer_cov_8bit_counters_init and __sanitizer_cov_pcs_init.
void register_coverage(void (*counters_init)(std::uint8_t*, std::uint8_t*), void (*places_init)(Place*, Place*)) {
    for (std::size_t i = 0; i < kCounters; ++i) places[i].address = reinterpret_cast<std::uintptr_t>(&counters[i]);
    counters_init(counters, counters + kCounters);
    places_init(places, places + kCounters);
}

// Whether `data` is rows that the codec accepts; what its strings hold is not looked at.
int accepts_rows(const char* data, std::size_t size) {
    using namespace lutra::plainbuffer;
    try {
        Reader reader(std::string_view(data, size));
        reader.read_header();
        Ignore sink;
        while (!reader.at_end()) {
            reader.read_row(sink, size);
            reader.skip_padding();
        }
        return 1;
    } catch (const Malformed&) {
        return 0;
    }
}

int accepts_variant(const char* data, std::size_t size) {
    using namespace lutra::plainbuffer;
    try {
        Reader(std::string_view(data, size)).read_only_variant();
        return 1;
    } catch (const Malformed&) {
        return 0;
    }
}

}
