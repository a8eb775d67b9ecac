#include "io_remote_python.h"

#include <cstring>
#include <utility>
#include <vector>

namespace nb = nanobind;

namespace lutra {

namespace {

// Neighbours are asked for together up to so many bytes: what one answer holds in memory.
constexpr std::size_t kRangeBytesMax = std::size_t{8} << 20;

// May be called on any thread, also after Python has gone: then there is nothing left to free.
void let_go(PyObject* object) {
    if (!nb::is_alive()) return;
    nb::gil_scoped_acquire gil;
    Py_DECREF(object);
}

// Consecutive requests that lie side by side.
struct Range {
    std::uint64_t offset;
    std::size_t length;
    std::size_t first;
    std::size_t count;
};

std::vector<Range> ranges_of(std::span<const ReadRequest> requests) {
    std::vector<Range> ranges;
    for (std::size_t i = 0; i < requests.size(); ++i) {
        const ReadRequest& request = requests[i];
        if (!ranges.empty() && ranges.back().offset + ranges.back().length == request.offset &&
            ranges.back().length + request.length <= kRangeBytesMax) {
            ranges.back().length += request.length;
            ++ranges.back().count;
        } else {
            ranges.push_back({request.offset, request.length, i, 1});
        }
    }
    return ranges;
}

class RemoteReader : public RangeReader {
public:
    RemoteReader(nb::object fetch, const std::string& name, std::uint64_t size_bytes)
        : RangeReader(name, size_bytes), fetch_(fetch.release().ptr(), let_go) {}

    void read(std::span<ReadRequest> requests) override {
        const std::vector<Range> ranges = ranges_of(requests);
        nb::gil_scoped_acquire gil;
        try {
            nb::list wanted;
            for (const Range& range : ranges) wanted.append(nb::make_tuple(range.offset, range.length));
            const std::shared_ptr<PyObject> fetch = fetch_;
            if (!fetch) throw StorageError(name() + ": is closed");
            const nb::object answer = nb::handle(fetch.get())(wanted);
            const auto parts = nb::steal(PySequence_Fast(answer.ptr(), "fetch is to return a list of bytes"));
            if (!parts.is_valid()) throw nb::python_error();
            if (static_cast<std::size_t>(PySequence_Fast_GET_SIZE(parts.ptr())) != ranges.size()) {
                throw StorageError(this->name() + ": fetch returned " +
                                   std::to_string(PySequence_Fast_GET_SIZE(parts.ptr())) + " pieces for " +
                                   std::to_string(ranges.size()) + " ranges");
            }
            for (std::size_t i = 0; i < ranges.size(); ++i) {
                copy(PySequence_Fast_GET_ITEM(parts.ptr(), static_cast<Py_ssize_t>(i)), ranges[i], requests);
            }
        } catch (const nb::python_error& error) {
            throw FetchError(error);
        }
    }

    bool may_stall() const override { return true; }

    // The function may hold on to the cache that holds on to it.
    void close() override {
        if (!nb::is_alive()) return;
        nb::gil_scoped_acquire gil;
        fetch_.reset();
    }

private:
    void copy(PyObject* part, const Range& range, std::span<ReadRequest> requests) const {
        Py_buffer view;
        if (PyObject_GetBuffer(part, &view, PyBUF_SIMPLE) != 0) throw nb::python_error();
        const auto* bytes = static_cast<const std::byte*>(view.buf);
        const auto size = static_cast<std::size_t>(view.len);
        for (ReadRequest& request : requests.subspan(range.first, range.count)) {
            if (size == range.length) {
                std::memcpy(request.buffer, bytes + (request.offset - range.offset), request.length);
            } else {
                request.error = std::make_exception_ptr(
                    StorageError(name() + ": fetch returned " + std::to_string(size) + " bytes for the " +
                                 std::to_string(range.length) + " at offset " + std::to_string(range.offset)));
            }
        }
        PyBuffer_Release(&view);
    }

    std::shared_ptr<PyObject> fetch_;  // touched with the GIL only
};

}  // namespace

FetchError::FetchError(const nb::python_error& error) : exception_(error.value().inc_ref().ptr(), let_go) {}

void FetchError::raise() const {
    PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(exception_.get())), exception_.get());
}

std::shared_ptr<RangeReader> remote_reader(nb::object fetch, const std::string& name, std::uint64_t size_bytes) {
    return std::make_shared<RemoteReader>(std::move(fetch), name, size_bytes);
}

}  // namespace lutra
