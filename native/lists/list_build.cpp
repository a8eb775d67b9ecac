#include "list_build.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "list_means.h"
#include "parallel.h"

namespace lutra {

namespace {

constexpr std::size_t kBlockRows = 256;
// Rows between two reports.
constexpr std::size_t kReportRows = 65'536;
constexpr std::size_t kStepSampleRows = 4'096;
// Of a sample's elements, that steps of int8 hold.
constexpr double kInsideShare = 0.9999;
// Groups of lists: their number is the root of that of lists, so that finding the nearest of both takes least.
constexpr std::size_t kGroupsMax = 1'024;
// Lists that are made of one group, or of one list that has too many rows, at once.
constexpr std::size_t kPartsMax = 512;
// Groups whose lists a row may go to.
constexpr std::size_t kGroupsNear = 8;
// Times that all rows go to the list nearest to them.
constexpr int kPasses = 3;
// A list of less than this part of what it should have is given up before the last of them.
constexpr std::size_t kLeastPart = 4;
// Of the rows of a list that has too many: where one part of it has so many, they are all but equal.
constexpr double kUndividedShare = 0.9;

std::size_t divided(std::size_t rows, std::size_t by) { return std::max<std::size_t>(1, (rows + by / 2) / by); }

class ListBuilder {
  public:
    ListBuilder(const float* vectors, std::size_t row_count, const Quantizer& quantizer, const ListOptions& options,
                const ListProgress& progress)
        : vectors_(vectors), row_count_(row_count), quantizer_(quantizer), options_(options), progress_(progress),
          size_(quantizer.coded_dimension()) {}

    BuiltLists run() {
        round_all();
        make_groups();
        make_lists();
        for (int pass = 0; pass < kPasses; ++pass) {
            if (pass == kPasses - 1) give_up_small_lists();
            assign_all();
            set_means();
        }
        divide_large_lists();
        order_groups();
        return built();
    }

  private:
    // A cluster of rows, and those that are near to each other, one after the other: a group.
    struct List {
        std::vector<std::uint32_t> rows;
        std::vector<std::int8_t> mean;
    };
    struct Group {
        std::vector<List> lists;
        std::vector<std::int8_t> mean;
    };

    template <class Work>
    void for_rows(std::size_t pass, const Work& work) {
        for (std::size_t first = 0; first < row_count_; first += kReportRows) {
            progress_((pass * row_count_ + first) / kPhases, row_count_);
            const std::size_t count = std::min(kReportRows, row_count_ - first);
            parallel_for(options_.threads, count, kBlockRows, [&](unsigned thread, std::size_t begin, std::size_t end) {
                work(thread, first + begin, first + end);
            });
        }
    }

    template <class Work>
    void for_groups(const Work& work) {
        parallel_for(options_.threads, groups_.size(), 1,
                     [&](unsigned, std::size_t number, std::size_t) { work(groups_[number]); });
    }

    ByteVectors rounded() const { return {rounded_.data(), size_}; }

    std::span<const std::uint32_t> all_rows() {
        if (all_.size() != row_count_) {
            all_.resize(row_count_);
            std::iota(all_.begin(), all_.end(), 0u);
        }
        return all_;
    }

    void round_all() {
        std::vector<float> sides;
        const std::size_t sample = std::min(row_count_, kStepSampleRows);
        const auto placed = aligned_array<float>(size_);
        for (std::size_t i = 0; i < sample; ++i) {
            quantizer_.place(vector(i * row_count_ / sample), false, placed.get());
            for (std::size_t j = 0; j < size_; ++j) sides.push_back(std::abs(placed[j]));
        }
        if (!sides.empty()) {
            const auto inside = sides.begin() + static_cast<std::ptrdiff_t>(kInsideShare * static_cast<double>(sides.size() - 1));
            std::nth_element(sides.begin(), inside, sides.end());
            step_ = *inside / 127;
        }
        rounded_.resize(row_count_ * size_);
        for_rows(0, [&](unsigned, std::size_t begin, std::size_t end) {
            const auto of_thread = aligned_array<float>(size_);
            for (std::size_t row = begin; row < end; ++row) {
                quantizer_.place(vector(row), false, of_thread.get());
                round_side(of_thread.get(), size_, step_, rounded_.data() + row * size_);
            }
        });
    }

    void make_groups() {
        const std::size_t lists = divided(row_count_, options_.rows_per_list);
        const auto root = static_cast<std::size_t>(std::lround(std::sqrt(static_cast<double>(lists))));
        const std::vector<std::int8_t> means =
            means_of(rounded(), all_rows(), std::clamp<std::size_t>(root, 1, kGroupsMax), options_.level);
        ListMeans nearest_of(size_, options_.level);
        for (std::size_t at = 0; at < means.size(); at += size_) nearest_of.append(means.data() + at);
        const std::size_t count = std::max<std::size_t>(1, nearest_of.count());
        assigned_.assign(row_count_, 0);
        for_rows(1, [&](unsigned, std::size_t begin, std::size_t end) {
            std::vector<std::int32_t> scratch;
            for (std::size_t row = begin; row < end; ++row) {
                assigned_[row] = static_cast<std::uint32_t>(nearest_of.nearest(query(row), scratch));
            }
        });
        group(all_rows(), assigned_, count, grouped_, begins_);
        groups_.resize(count);
    }

    void make_lists() {
        parallel_for(options_.threads, groups_.size(), 1, [&](unsigned, std::size_t number, std::size_t) {
            const std::span rows = std::span(grouped_).subspan(begins_[number], begins_[number + 1] - begins_[number]);
            if (rows.empty()) return;
            const std::size_t parts = std::min(kPartsMax, divided(rows.size(), options_.rows_per_list));
            const std::vector<std::int8_t> means = means_of(rounded(), rows, parts, options_.level);
            for (std::size_t at = 0; at < means.size(); at += size_) {
                groups_[number].lists.push_back({{}, {means.begin() + static_cast<std::ptrdiff_t>(at),
                                                      means.begin() + static_cast<std::ptrdiff_t>(at + size_)}});
            }
            set_mean(groups_[number], rows);
        });
        std::erase_if(groups_, [](const Group& one) { return one.lists.empty(); });
        if (groups_.empty()) groups_.push_back({{{{}, std::vector<std::int8_t>(size_)}}, std::vector<std::int8_t>(size_)});
    }

    void set_mean(Group& of, std::span<const std::uint32_t> rows) {
        of.mean.resize(size_);
        mean_of(rounded(), rows, of.mean.data());
    }

    void give_up_small_lists() {
        const std::size_t least = options_.rows_per_list / kLeastPart;
        for (Group& one : groups_) {
            std::erase_if(one.lists, [&](const List& list) { return list.rows.size() < least; });
        }
        const bool is_any = std::any_of(groups_.begin(), groups_.end(), [](const Group& one) { return !one.lists.empty(); });
        if (is_any) {
            std::erase_if(groups_, [](const Group& one) { return one.lists.empty(); });
        } else {  // a few rows, all together
            groups_.resize(1);
            groups_[0].lists.push_back({{}, groups_[0].mean});
        }
    }

    // Every row to the nearest list of the groups nearest to it.
    void assign_all() {
        std::vector<ListMeans> lists(groups_.size(), ListMeans(size_, options_.level));
        ListMeans means(size_, options_.level);
        std::vector<std::uint32_t> first_of;
        std::uint32_t count = 0;
        for (std::size_t g = 0; g < groups_.size(); ++g) {
            means.append(groups_[g].mean.data());
            for (const List& list : groups_[g].lists) lists[g].append(list.mean.data());
            first_of.push_back(count);
            count += static_cast<std::uint32_t>(groups_[g].lists.size());
        }
        for_rows(2 + static_cast<std::size_t>(passes_++), [&](unsigned, std::size_t begin, std::size_t end) {
            std::vector<std::int32_t> scores(means.room()), scratch;
            std::vector<std::uint32_t> near(groups_.size());
            for (std::size_t row = begin; row < end; ++row) {
                assigned_[row] = nearest_list(query(row), means, lists, first_of, scores, scratch, near);
            }
        });
        group(all_rows(), assigned_, count, grouped_, begins_);
        std::size_t number = 0;
        for (Group& one : groups_) {
            for (List& list : one.lists) {
                list.rows.assign(grouped_.begin() + begins_[number], grouped_.begin() + begins_[number + 1]);
                ++number;
            }
        }
    }

    std::uint32_t nearest_list(const PanelQuery& query, const ListMeans& means, const std::vector<ListMeans>& lists,
                               const std::vector<std::uint32_t>& first_of, std::vector<std::int32_t>& scores,
                               std::vector<std::int32_t>& scratch, std::vector<std::uint32_t>& near) const {
        means.score(query, scores.data());
        std::iota(near.begin(), near.end(), 0u);
        const std::size_t most = std::min(kGroupsNear, near.size());
        std::partial_sort(near.begin(), near.begin() + static_cast<std::ptrdiff_t>(most), near.end(),
                          [&](std::uint32_t a, std::uint32_t b) { return scores[a] != scores[b] ? scores[a] < scores[b] : a < b; });
        std::int32_t best = std::numeric_limits<std::int32_t>::max();
        std::uint32_t found = 0;
        for (std::size_t i = 0; i < most; ++i) {
            const std::uint32_t g = near[i];
            const std::size_t at = lists[g].nearest(query, scratch);
            const auto list = first_of[g] + static_cast<std::uint32_t>(at);
            if (scratch[at] < best || (scratch[at] == best && list < found)) {
                best = scratch[at];
                found = list;
            }
        }
        return found;
    }

    void set_means() {
        for_groups([&](Group& one) {
            std::vector<std::uint32_t> rows;
            for (List& list : one.lists) {
                if (!list.rows.empty()) mean_of(rounded(), list.rows, list.mean.data());
                rows.insert(rows.end(), list.rows.begin(), list.rows.end());
            }
            if (!rows.empty()) set_mean(one, rows);
        });
    }

    void divide_large_lists() {
        for_groups([&](Group& one) {
            std::vector<List> divided_lists;
            for (const List& list : one.lists) {
                if (!list.rows.empty()) divide(list.rows, divided_lists);
            }
            one.lists = std::move(divided_lists);
        });
        std::erase_if(groups_, [](const Group& one) { return one.lists.empty(); });
    }

    void divide(std::span<const std::uint32_t> rows, std::vector<List>& lists) const {
        if (rows.size() <= 2 * options_.rows_per_list) {
            lists.push_back({{rows.begin(), rows.end()}, std::vector<std::int8_t>(size_)});
            mean_of(rounded(), rows, lists.back().mean.data());
            return;
        }
        const std::size_t parts = std::min(kPartsMax, std::max<std::size_t>(2, divided(rows.size(), options_.rows_per_list)));
        const std::vector<std::int8_t> means = means_of(rounded(), rows, parts, options_.level);
        ListMeans nearest_of(size_, options_.level);
        for (std::size_t at = 0; at < means.size(); at += size_) nearest_of.append(means.data() + at);
        std::vector<std::int32_t> scratch;
        std::vector<std::uint32_t> clusters, parted, begins;
        for (const std::uint32_t row : rows) {
            clusters.push_back(static_cast<std::uint32_t>(nearest_of.nearest(query(row), scratch)));
        }
        group(rows, clusters, nearest_of.count(), parted, begins);
        std::size_t most = 0;
        for (std::size_t i = 0; i + 1 < begins.size(); ++i) most = std::max<std::size_t>(most, begins[i + 1] - begins[i]);
        if (static_cast<double>(most) > kUndividedShare * static_cast<double>(rows.size())) {
            for (std::size_t i = 0; i < rows.size(); i += options_.rows_per_list) {
                divide(rows.subspan(i, std::min(options_.rows_per_list, rows.size() - i)), lists);
            }
            return;
        }
        for (std::size_t i = 0; i + 1 < begins.size(); ++i) {
            if (begins[i] < begins[i + 1]) divide(std::span(parted).subspan(begins[i], begins[i + 1] - begins[i]), lists);
        }
    }

    // Each group after the one nearest to it of those that have no place yet: what is read together lies together.
    void order_groups() {
        for (std::size_t at = 0; at + 1 < groups_.size(); ++at) {
            std::int64_t best = std::numeric_limits<std::int64_t>::max();
            std::size_t found = at + 1;
            for (std::size_t i = at + 1; i < groups_.size(); ++i) {
                std::int64_t distance = 0;
                for (std::size_t j = 0; j < size_; ++j) {
                    const int difference = groups_[at].mean[j] - groups_[i].mean[j];
                    distance += difference * difference;
                }
                if (distance < best) {
                    best = distance;
                    found = i;
                }
            }
            std::swap(groups_[at + 1], groups_[found]);
        }
    }

    BuiltLists built() {
        BuiltLists result{{}, {0}, {}, {}, {}, step_, peak_bytes()};
        std::vector<const List*> lists;
        for (const Group& one : groups_) {
            for (const List& list : one.lists) lists.push_back(&list);
        }
        if (lists.empty()) lists.push_back(&nothing_);
        result.radii.resize(lists.size());
        result.spreads.resize(lists.size());
        for (const List* list : lists) {
            result.order.insert(result.order.end(), list->rows.begin(), list->rows.end());
            result.offsets.push_back(static_cast<std::uint32_t>(result.order.size()));
            result.centroids.insert(result.centroids.end(), list->mean.begin(), list->mean.end());
        }
        if (result.centroids.empty()) result.centroids.resize(size_);
        parallel_for(options_.threads, lists.size(), 16, [&](unsigned, std::size_t begin, std::size_t end) {
            const auto placed = aligned_array<float>(size_);
            for (std::size_t i = begin; i < end; ++i) {
                measure(*lists[i], placed.get(), result.radii[i], result.spreads[i]);
            }
        });
        progress_(row_count_, row_count_);
        return result;
    }

    // How far rows are from their centroid: at most, and the root of the mean square.
    void measure(const List& list, float* placed, float& radius, float& spread) const {
        double most = 0, sum = 0;
        for (const std::uint32_t row : list.rows) {
            quantizer_.place(vector(row), false, placed);
            double squared = 0;
            for (std::size_t i = 0; i < size_; ++i) {
                const double off = static_cast<double>(placed[i]) - static_cast<double>(step_) * list.mean[i];
                squared += off * off;
            }
            most = std::max(most, squared);
            sum += squared;
        }
        const auto rows = static_cast<double>(std::max<std::size_t>(1, list.rows.size()));
        radius = std::nextafter(static_cast<float>(std::sqrt(most)), std::numeric_limits<float>::infinity());
        spread = static_cast<float>(std::sqrt(sum / rows));
    }

    const float* vector(std::size_t row) const { return vectors_ + row * quantizer_.dimension(); }
    PanelQuery query(std::size_t row) const { return panel_query(rounded_.data() + row * size_, size_); }

    std::size_t peak_bytes() const {
        const std::size_t lists = divided(row_count_, options_.rows_per_list);
        return rounded_.size() + 5 * row_count_ * sizeof(std::uint32_t) + 3 * lists * (size_ + sizeof(List));
    }

    static constexpr std::size_t kPhases = 2 + kPasses;

    const float* vectors_;
    std::size_t row_count_;
    const Quantizer& quantizer_;
    const ListOptions& options_;
    const ListProgress& progress_;
    std::size_t size_;
    float step_ = 0;
    int passes_ = 0;
    std::vector<std::int8_t> rounded_;  // [rows, size]
    std::vector<std::uint32_t> all_, assigned_, grouped_, begins_;
    std::vector<Group> groups_;
    const List nothing_{};
};

}  // namespace

BuiltLists build_lists(const float* vectors, std::size_t row_count, const Quantizer& quantizer,
                       const ListOptions& options, const ListProgress& progress) {
    return ListBuilder(vectors, row_count, quantizer, options, progress).run();
}

}  // namespace lutra
