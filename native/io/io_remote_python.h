// A source that is a Python function: where the remote tier plugs in.
#pragma once

#include <nanobind/nanobind.h>

#include <exception>
#include <memory>
#include <string>

#include "io_read.h"

namespace lutra {

// The exception a Python function raised, on its way to everybody who waits for what it was to fetch: unlike
// nanobind::python_error it can be raised more than once, and travels without the GIL.
class FetchError : public std::exception {
public:
    explicit FetchError(const nanobind::python_error& error);

    // Sets the Python error. Needs the GIL.
    void raise() const;
    const char* what() const noexcept override { return "fetching from a remote source failed"; }

private:
    std::shared_ptr<PyObject> exception_;
};

// Reads by calling fetch([(offset, length), ...]) -> [bytes, ...]; neighbouring requests become one range. `read`
// needs no GIL, and takes it for the call: no thread may hold it while it waits for another's read.
std::shared_ptr<RangeReader> remote_reader(nanobind::object fetch, const std::string& name, std::uint64_t size_bytes);

}  // namespace lutra
