// When native work has to be done, and how long loops look at that now and then.
#pragma once

#include <chrono>
#include <cstddef>
#include <stdexcept>

namespace lutra {

// The work was not done in the time it had.
struct TooLateError : std::runtime_error {
    using std::runtime_error::runtime_error;
};

// When work has to be done; whoever asked for it may give it up before.
struct TimeLimit {
    using Clock = std::chrono::steady_clock;

    Clock::time_point until = Clock::time_point::max();
    const char* is_given_up = nullptr;  // not 0: it is; another thread may say so at any time

    bool is_limited() const { return until != Clock::time_point::max() || is_given_up != nullptr; }
    bool was_given_up() const {
        return is_given_up != nullptr && __atomic_load_n(is_given_up, __ATOMIC_RELAXED) != 0;
    }
    bool is_over() const {
        return was_given_up() || (until != Clock::time_point::max() && Clock::now() >= until);
    }
    void check() const {
        if (was_given_up()) throw TooLateError("The search was given up.");
        if (is_over()) throw TooLateError("The search took longer than it may.");
    }
    // The same, but that it ends when `share` of what is left has passed.
    TimeLimit sooner(double share) const {
        if (until == Clock::time_point::max()) return *this;
        const Clock::time_point now = Clock::now();
        if (now >= until) return *this;
        return {now + std::chrono::duration_cast<Clock::duration>((until - now) * share), is_given_up};
    }
};

// Of what this thread does. Set by `WorkingUntil` where a call comes from Python, and by `parallel_for` on its threads.
inline const TimeLimit*& limit_of_thread() {
    thread_local const TimeLimit* limit = nullptr;
    return limit;
}

inline TimeLimit current_limit() {
    const TimeLimit* limit = limit_of_thread();
    return limit == nullptr ? TimeLimit{} : *limit;
}

// While it lives this thread works for a limit, which has to stay.
class WorkingUntil {
  public:
    explicit WorkingUntil(const TimeLimit& limit) : before_(limit_of_thread()) { limit_of_thread() = &limit; }
    WorkingUntil(const WorkingUntil&) = delete;
    WorkingUntil& operator=(const WorkingUntil&) = delete;
    ~WorkingUntil() { limit_of_thread() = before_; }

  private:
    const TimeLimit* before_;
};

// Counts the work of a loop, and looks at the clock when some of it was done: 50 us or so of it, by what the loop says
// that a step takes. A step of a loop that nobody limits costs an addition.
class Pace {
  public:
    explicit Pace(const TimeLimit& limit = current_limit()) : limit_(limit), left_(kLookNs) {}

    // So much was done, in ns, roughly. True from then on when the time is up.
    bool is_over(std::size_t ns) {
        if (ns < left_) {
            left_ -= ns;
            return is_over_;
        }
        left_ = kLookNs;
        is_over_ = is_over_ || limit_.is_over();
        return is_over_;
    }

    // The same, for who answers in full or not at all. Throws TooLateError.
    void step(std::size_t ns) {
        if (is_over(ns)) limit_.check();
    }

  private:
    static constexpr std::size_t kLookNs = 50'000;

    TimeLimit limit_;
    std::size_t left_;
    bool is_over_ = false;
};

}  // namespace lutra
