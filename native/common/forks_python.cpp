// What a process is to do that was forked from one with threads of native code, and goes on in Python.
#include <nanobind/nanobind.h>

#include <cstdio>
#include <cstdlib>
#include <unistd.h>

#include "bindings.h"

namespace nb = nanobind;

namespace lutra {

namespace {

// Destructors of libraries that were loaded before the fork join threads that the child does not have.
[[maybe_unused]] void end_here(int status, void*) {
    std::fflush(nullptr);
    _exit(status);
}

void begin_child() {
    nb::set_leak_warnings(false);
#if defined(__GLIBC__)
    // Runs after Python's own end, and after the destructors of what the child itself has loaded.
    on_exit(end_here, nullptr);
#endif
}

}  // namespace

void bind_forks(nb::module_& m) {
    m.def("begin_child", &begin_child);
}

}  // namespace lutra
