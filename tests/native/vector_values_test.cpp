// Vectors out of text and bytes without Python: good ones come back, damaged ones are refused within bounds. Meant to run
// under AddressSanitizer and UBSan, with each input in a heap block of exactly its size.
#include "vector_values.h"

#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "check.h"

namespace {

using namespace lutra;

using Random = std::mt19937_64;

bool read(const std::string& text, std::vector<float>& vector, bool is_text = true) {
    const auto block = std::make_unique<char[]>(text.size());
    std::memcpy(block.get(), text.data(), text.size());
    const std::string_view view(block.get(), text.size());
    return is_text ? read_json_vector(view, vector.size(), vector.data())
                   : read_binary_vector(view, vector.size(), vector.data());
}

void random_vectors_come_back(Random& random) {
    std::normal_distribution<float> normal(0, 1e3);
    for (int round = 0; round < 2000; ++round) {
        std::vector<float> vector(1 + random() % 20);
        std::string text = " [";
        for (float& element : vector) {
            element = normal(random);
            char number[40];
            std::snprintf(number, sizeof number, round % 2 == 0 ? "%.9g" : "%.17e", static_cast<double>(element));
            text += (&element == vector.data() ? "" : ", ") + std::string(number);
        }
        text += "]\n";
        std::vector<float> found(vector.size());
        CHECK(read(text, found));
        CHECK(found == vector);
        const std::string bytes(reinterpret_cast<const char*>(vector.data()), vector.size() * sizeof(float));
        CHECK(read(bytes, found, false));
        CHECK(found == vector);
        CHECK(!read(bytes.substr(1), found, false));

        const std::size_t end = text.find(']');
        for (std::size_t size = 0; size <= end; ++size) CHECK(!read(text.substr(0, size), found));
        static constexpr char kSigns[] = "0123456789.eE+-[], \n";
        for (int change = 0; change < 20; ++change) {
            std::string damaged = text;
            damaged[random() % damaged.size()] = kSigns[random() % (sizeof kSigns - 1)];
            read(damaged, found);
        }
    }
}

void edges() {
    std::vector<float> one(1);
    for (const char* good : {"[0]", "[-0.0]", "[1e-400]", "[0e999999999999999999999]", "[1e-99999999999999999999]"}) {
        CHECK(read(good, one));
        CHECK(one[0] == 0);
    }
    for (const char* bad : {"", "[", "[]", "[1", "[1,", "[1,]", "[.5]", "[1.]", "[01]", "[+1]", "[1e]", "[-]", "[nan]",
                            "[Infinity]", "[1e39]", "[1e999999999999999999999]", "[1]x", "[1 2]", "[\"1\"]"}) {
        CHECK(!read(bad, one));
    }
}

}  // namespace

int main() {
    Random random(9);
    random_vectors_come_back(random);
    edges();
    return 0;
}
