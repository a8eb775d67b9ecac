// What a walk over a graph keeps: the nearest rows found, and which rows it has seen.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

namespace lutra {

// A row and its distance, ordered by distance and then by row, so that every walk has one order.
struct Candidate {
    float distance;
    std::uint32_t row;

    bool operator<(const Candidate& other) const {
        return distance != other.distance ? distance < other.distance : row < other.row;
    }
};

// The `width` nearest candidates found, and which of them are expanded (their neighbours looked at).
class Beam {
  public:
    void reset(std::size_t width) {
        width_ = width;
        next_ = 0;
        items_.clear();
    }

    std::size_t width() const { return width_; }
    void widen(std::size_t width) { width_ = std::max(width_, width); }
    // What is too much falls off with the next merge.
    void narrow(std::size_t width) { width_ = std::min(width_, width); }
    const std::vector<Candidate>& items() const { return items_; }
    bool is_full() const { return items_.size() >= width_; }
    bool takes(float distance) const { return !is_full() || distance < items_.back().distance; }

    // The nearest one not yet expanded, which counts as expanded from now on; nullptr where there is none.
    const Candidate* expand() {
        while (next_ < items_.size() && expanded_[next_] != 0) ++next_;
        if (next_ == items_.size()) return nullptr;
        expanded_[next_] = 1;
        return &items_[next_++];
    }

    // Fills `rows` with those that `expand` would give next, at most `count`; returns how many there are.
    std::size_t peek(std::uint32_t* rows, std::size_t count) const {
        std::size_t found = 0;
        for (std::size_t at = next_; at < items_.size() && found < count; ++at) {
            if (expanded_[at] == 0) rows[found++] = items_[at].row;
        }
        return found;
    }

    // Takes out those from the place `from` on that `leaves`; those not expanded go to `spilled`.
    template <class Leaves>
    void drop(std::size_t from, const Leaves& leaves, std::vector<Candidate>& spilled) {
        std::size_t kept = std::min(from, items_.size());
        for (std::size_t i = kept; i < items_.size(); ++i) {
            if (leaves(items_[i])) {
                if (expanded_[i] == 0) spilled.push_back(items_[i]);
                continue;
            }
            items_[kept] = items_[i];
            expanded_[kept++] = expanded_[i];
        }
        items_.resize(kept);
        next_ = std::min({next_, from, kept});
    }

    // Takes in candidates (which get sorted), none of them in the beam already. Those that fall off, old or new, and
    // were not expanded go to `spilled`, where there is one.
    void merge(std::vector<Candidate>& fresh, std::vector<Candidate>* spilled = nullptr) {
        std::sort(fresh.begin(), fresh.end());
        std::size_t old_left = items_.size();
        std::size_t fresh_left = fresh.size();
        for (; old_left + fresh_left > width_;) {
            if (fresh_left > 0 && (old_left == 0 || items_[old_left - 1] < fresh[fresh_left - 1])) {
                --fresh_left;
                if (spilled != nullptr) spilled->push_back(fresh[fresh_left]);
            } else {
                --old_left;
                if (spilled != nullptr && expanded_[old_left] == 0) spilled->push_back(items_[old_left]);
            }
        }
        std::size_t place = old_left + fresh_left;
        items_.resize(place);
        expanded_.resize(std::max(expanded_.size(), place));
        // From the farthest on: what lies behind a fresh one moves to its place in one piece.
        while (fresh_left > 0) {
            const Candidate& last = fresh[--fresh_left];
            const auto begin = items_.begin();
            const auto behind = std::upper_bound(begin, begin + static_cast<std::ptrdiff_t>(old_left), last);
            const auto at = static_cast<std::size_t>(behind - begin);
            place -= old_left - at;
            std::memmove(items_.data() + place, items_.data() + at, (old_left - at) * sizeof(Candidate));
            std::memmove(expanded_.data() + place, expanded_.data() + at, old_left - at);
            old_left = at;
            items_[--place] = last;
            expanded_[place] = 0;
            next_ = std::min(next_, place);
        }
        next_ = std::min(next_, items_.size());
    }

  private:
    std::size_t width_ = 0;
    std::size_t next_ = 0;  // all before it are expanded
    std::vector<Candidate> items_;
    std::vector<std::uint8_t> expanded_;
};

// A set of row numbers: a bit each, cleared by the words that were touched.
class RowSet {
  public:
    void reset(std::size_t row_count) {
        for (const std::uint32_t word : touched_) words_[word] = 0;
        touched_.clear();
        words_.resize((row_count + 63) / 64);
    }

    // Whether the row was not in the set.
    bool insert(std::uint32_t row) {
        std::uint64_t& word = words_[row / 64];
        const std::uint64_t bit = std::uint64_t{1} << row % 64;
        if ((word & bit) != 0) return false;
        if (word == 0) touched_.push_back(row / 64);
        word |= bit;
        return true;
    }

    bool contains(std::uint32_t row) const { return (words_[row / 64] >> row % 64 & 1) != 0; }

  private:
    std::vector<std::uint64_t> words_;
    std::vector<std::uint32_t> touched_;
};

}  // namespace lutra
