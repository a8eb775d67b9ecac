// Work shared out to helpers: each piece is done once, whoever does it, and failures and limits of time reach who asked.
#include "helpers.h"

#include <atomic>
#include <chrono>
#include <stdexcept>
#include <thread>
#include <vector>

#include "check.h"

using namespace lutra;

namespace {

constexpr std::size_t kPieces = 40;

void work_for(std::chrono::microseconds long_enough) {
    const auto until = std::chrono::steady_clock::now() + long_enough;
    while (std::chrono::steady_clock::now() < until) {
    }
}

void share_out(unsigned helpers) {
    std::vector<std::atomic<int>> done(kPieces);
    Helpers::get().run(helpers, kPieces, [&](std::size_t i) {
        work_for(std::chrono::microseconds(20));
        done[i].fetch_add(1);
    });
    for (const auto& one : done) CHECK(one.load() == 1);
}

void fail(unsigned helpers) {
    std::atomic<int> done{0};
    bool has_failed = false;
    try {
        Helpers::get().run(helpers, kPieces, [&](std::size_t i) {
            if (i == 3) throw std::runtime_error("no");
            done.fetch_add(1);
        });
    } catch (const std::runtime_error&) {
        has_failed = true;
    }
    CHECK(has_failed && done.load() < static_cast<int>(kPieces));
}

void be_late(unsigned helpers) {
    const TimeLimit limit{std::chrono::steady_clock::now() - std::chrono::seconds(1)};
    const WorkingUntil working(limit);
    bool is_late = false;
    try {
        Helpers::get().run(helpers, kPieces, [](std::size_t) {
            Pace pace;
            for (;;) pace.step(1'000);
        });
    } catch (const TooLateError&) {
        is_late = true;
    }
    CHECK(is_late);
}

}  // namespace

int main() {
    std::vector<std::thread> threads;
    for (unsigned thread = 0; thread < 6; ++thread) {
        threads.emplace_back([thread] {
            for (unsigned round = 0; round < 30; ++round) {
                const Helpers::Busy busy;
                CHECK(Helpers::get().idle() < processors() || processors() == 0);
                share_out(round % 4);
                fail(round % 3);
                be_late((round + thread) % 2);
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
    Pace unlimited;
    for (int i = 0; i < 1'000; ++i) CHECK(!unlimited.is_over(1'000'000));
    return 0;
}
