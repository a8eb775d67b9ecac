// The block cache as Python objects hold it: for kernels that take one as an argument.
#pragma once

#include <nanobind/nanobind.h>

#include <memory>
#include <utility>

#include "block_cache.h"

namespace lutra {

// Lets go of the GIL before it lets go of its object: that may have to wait for a thread that wants the GIL.
template <class T>
class Held {
public:
    explicit Held(std::shared_ptr<T> object) : object_(std::move(object)) {}
    Held(Held&&) noexcept = default;
    ~Held() {
        if (!object_) return;
        nanobind::gil_scoped_release no_gil;
        object_.reset();
    }

    T& operator*() const { return *object_; }
    T* operator->() const { return object_.get(); }
    const std::shared_ptr<T>& shared() const { return object_; }

private:
    std::shared_ptr<T> object_;
};

using HeldCache = Held<BlockCache>;    // lutra.kernels._native.BlockCache
using HeldSource = Held<BlockSource>;  // lutra.kernels._native.BlockSource

}  // namespace lutra
