// Arrays of numpy that keep what native code made, and calls that give the interpreter's lock away.
#pragma once

#include <nanobind/ndarray.h>

#include <cstddef>
#include <initializer_list>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "deadline_python.h"

namespace lutra {

// Owns the elements, in the order of C.
template <class T>
nanobind::object array_of(std::vector<T>&& elements, std::initializer_list<std::size_t> shape) {
    auto kept = std::make_unique<std::vector<T>>(std::move(elements));
    T* data = kept->data();
    nanobind::capsule owner(kept.get(), [](void* p) noexcept { delete static_cast<std::vector<T>*>(p); });
    kept.release();
    return nanobind::ndarray<nanobind::numpy, T>(data, shape, owner).cast();
}

template <class T>
nanobind::object array_of(std::vector<T>&& elements) {
    const std::size_t size = elements.size();
    return array_of(std::move(elements), {size});
}

// Works without the interpreter's lock, and by the thread's deadline, where there is much to do: more than Most things.
// Up to so many, giving it away and taking it back costs more than it is worth.
template <std::size_t Most>
class MaybeUnlocked {
  public:
    explicit MaybeUnlocked(std::size_t things) {
        if (things > Most) released_.emplace();
    }

  private:
    std::optional<TimelyUnlocked> released_;
};

}  // namespace lutra
