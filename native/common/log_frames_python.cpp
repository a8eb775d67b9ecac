// Frames of a log over a numpy array. The GIL is released.
#include "log_frames.h"

#include <nanobind/ndarray.h>

#include "bindings.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace lutra {

namespace {

using Bytes = nb::ndarray<const std::uint8_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

template <class Item, class Pick>
nb::ndarray<nb::numpy, Item, nb::ndim<1>> column(const std::vector<LogFrame>& frames, const Pick& pick) {
    auto* items = new Item[frames.size()];
    nb::capsule owner(items, [](void* p) noexcept { delete[] static_cast<Item*>(p); });
    for (std::size_t i = 0; i < frames.size(); ++i) items[i] = static_cast<Item>(pick(frames[i]));
    return nb::ndarray<nb::numpy, Item, nb::ndim<1>>(items, {frames.size()}, owner);
}

nb::tuple py_log_frames(const Bytes& data) {
    LogFrames read;
    {
        nb::gil_scoped_release no_gil;
        read = read_log_frames({data.data(), data.shape(0)});
    }
    return nb::make_tuple(column<std::int64_t>(read.frames, [](const LogFrame& frame) { return frame.payload; }),
                          column<std::int64_t>(read.frames, [](const LogFrame& frame) { return frame.length; }),
                          column<std::uint8_t>(read.frames, [](const LogFrame& frame) { return frame.type; }),
                          read.end, static_cast<int>(read.why));
}

}  // namespace

void bind_log_frames(nb::module_& m) {
    m.def("log_frames", &py_log_frames, "data"_a);
}

}  // namespace lutra
