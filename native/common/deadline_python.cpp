#include "deadline_python.h"

#include <cmath>
#include <exception>

#include "bindings.h"

namespace nb = nanobind;

namespace lutra {

namespace {

// The objects of lutra.model.deadline, looked up once and kept as long as the process lives.
struct Known {
    PyObject* current;
    PyObject* never;

    static const Known& get() {
        static const Known known;
        return known;
    }

  private:
    Known() {
        const nb::object module_ = nb::module_::import_("lutra.model.deadline");
        current = nb::object(module_.attr("_current")).release().ptr();
        never = nb::object(module_.attr("NEVER")).release().ptr();
    }
};

// As the deadline tells it, whose work this was.
void translate(const std::exception_ptr& thrown, void*) {
    try {
        std::rethrow_exception(thrown);
    } catch (const TooLateError&) {
        const nb::object error = nb::module_::import_("lutra.model.deadline").attr("current_deadline")().attr("error")();
        PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(error.ptr())), error.ptr());
    }
}

}  // namespace

TimeLimit limit_of(double until_s, const nb::handle& is_given_up) {
    using Clock = TimeLimit::Clock;
    if (std::isnan(until_s)) throw std::invalid_argument("until_s is not a time");
    if (!PyByteArray_Check(is_given_up.ptr()) || PyByteArray_GET_SIZE(is_given_up.ptr()) != 1) {
        throw std::invalid_argument("the flag is one byte");
    }
    const char* flag = PyByteArray_AS_STRING(is_given_up.ptr());
    if (std::isinf(until_s)) return {Clock::time_point::max(), flag};
    return {Clock::time_point(std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(until_s))), flag};
}

PythonDeadline::PythonDeadline() {
    const Known& known = Known::get();
    PyObject* found = nullptr;
    if (PyContextVar_Get(known.current, nullptr, &found) < 0) throw nb::python_error();
    const nb::object deadline = nb::steal(found);
    if (!deadline.is_valid() || deadline.ptr() == known.never) return;
    const nb::object native = deadline.attr("as_native");
    given_up_ = nb::borrow(PyTuple_GET_ITEM(native.ptr(), 1));
    limit_ = limit_of(PyFloat_AsDouble(PyTuple_GET_ITEM(native.ptr(), 0)), given_up_);
    working_.emplace(limit_);
}

void bind_deadline(nb::module_&) { nb::register_exception_translator(translate); }

}  // namespace lutra
