// Native work by the deadline that the thread has in Python (lutra.model.deadline).
#pragma once

#include <nanobind/nanobind.h>

#include <optional>

#include "time_limit.h"

namespace lutra {

// While it lives native code on this thread works for the deadline that Python code on it does. Made, and ended, with
// the interpreter's lock.
class PythonDeadline {
  public:
    PythonDeadline();
    const TimeLimit& limit() const { return limit_; }

  private:
    nanobind::object given_up_;  // keeps the flag
    TimeLimit limit_;
    std::optional<WorkingUntil> working_;
};

// The same without the interpreter's lock: for whatever may take long, or wait.
class TimelyUnlocked {
  private:
    PythonDeadline deadline_;
    nanobind::gil_scoped_release released_;
};

// A time of Python's time.monotonic(), which is this clock; and a flag of one byte, which has to stay.
TimeLimit limit_of(double until_s, const nanobind::handle& is_given_up);

}  // namespace lutra
