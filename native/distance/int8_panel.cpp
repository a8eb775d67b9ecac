#include "int8_panel.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include <cstring>

namespace lutra {

namespace {

constexpr std::size_t kGroupBytes = kPanelRows * kPanelDepth;

void products_portable(const std::uint8_t* panels, std::size_t panel_count, const PanelQuery& query, std::size_t size,
                       std::int32_t* products) {
    for (std::size_t p = 0; p < panel_count; ++p, products += kPanelRows) {
        for (std::size_t row = 0; row < kPanelRows; ++row) products[row] = -128 * query.sum;
        for (std::size_t begin = 0; begin < size; begin += kPanelDepth, panels += kGroupBytes) {
            for (std::size_t row = 0; row < kPanelRows; ++row) {
                for (std::size_t i = 0; i < kPanelDepth; ++i) {
                    products[row] += std::int32_t{panels[row * kPanelDepth + i]} * query.values[begin + i];
                }
            }
        }
    }
}

#if defined(__x86_64__)

inline std::int32_t four(const std::int8_t* values) {
    std::int32_t word;
    std::memcpy(&word, values, sizeof word);
    return word;
}

__attribute__((target("avx2"), always_inline)) inline __m256i add_half(__m256i sum, const std::uint8_t* bytes,
                                                                       __m256i even, __m256i odd) {
    const __m256i panel = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(bytes));
    const __m256i low = _mm256_and_si256(panel, _mm256_set1_epi16(0xff));
    const __m256i products = _mm256_add_epi32(_mm256_madd_epi16(low, even),
                                              _mm256_madd_epi16(_mm256_srli_epi16(panel, 8), odd));
    return _mm256_add_epi32(sum, products);
}

__attribute__((target("avx2"))) void products_avx2(const std::uint8_t* panels, std::size_t panel_count,
                                                   const PanelQuery& query, std::size_t size,
                                                   std::int32_t* products) {
    for (std::size_t p = 0; p < panel_count; ++p, products += kPanelRows) {
        __m256i low = _mm256_set1_epi32(-128 * query.sum), high = low;
        for (std::size_t begin = 0; begin < size; begin += kPanelDepth, panels += kGroupBytes) {
            const __m256i values = _mm256_set1_epi32(four(query.values + begin));
            const __m256i even = _mm256_srai_epi16(_mm256_slli_epi16(values, 8), 8);
            const __m256i odd = _mm256_srai_epi16(values, 8);
            low = add_half(low, panels, even, odd);
            high = add_half(high, panels + kGroupBytes / 2, even, odd);
        }
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(products), low);
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(products + kPanelRows / 2), high);
    }
}

__attribute__((target("avx512f,avx512vnni"))) void products_vnni(const std::uint8_t* panels, std::size_t panel_count,
                                                                 const PanelQuery& query, std::size_t size,
                                                                 std::int32_t* products) {
    for (std::size_t p = 0; p < panel_count; ++p, products += kPanelRows) {
        __m512i one = _mm512_set1_epi32(-128 * query.sum), other = _mm512_setzero_si512();
        for (std::size_t begin = 0; begin < size; begin += 2 * kPanelDepth, panels += 2 * kGroupBytes) {
            one = _mm512_dpbusd_epi32(one, _mm512_loadu_si512(panels), _mm512_set1_epi32(four(query.values + begin)));
            other = _mm512_dpbusd_epi32(other, _mm512_loadu_si512(panels + kGroupBytes),
                                        _mm512_set1_epi32(four(query.values + begin + kPanelDepth)));
        }
        _mm512_storeu_si512(products, _mm512_add_epi32(one, other));
    }
}

#endif

}  // namespace

void BytePanels::clear() {
    bytes_.clear();
    count_ = 0;
}

void BytePanels::append(const std::int8_t* values) {
    const std::size_t row = count_ % kPanelRows;
    if (row == 0) bytes_.resize(bytes_.size() + kPanelRows * size_, 128);
    std::uint8_t* panel = bytes_.data() + (count_ - row) * size_;
    for (std::size_t i = 0; i < size_; ++i) {
        const std::size_t at = i / kPanelDepth * kGroupBytes + row * kPanelDepth + i % kPanelDepth;
        panel[at] = static_cast<std::uint8_t>(values[i] + 128);
    }
    ++count_;
}

PanelQuery panel_query(const std::int8_t* values, std::size_t size) {
    std::int32_t sum = 0;
    for (std::size_t i = 0; i < size; ++i) sum += values[i];
    return {values, sum};
}

PanelProducts panel_products(SimdLevel level) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (level == SimdLevel::kAvx512 && __builtin_cpu_supports("avx512vnni")) return products_vnni;
    if (level != SimdLevel::kPortable && __builtin_cpu_supports("avx2")) return products_avx2;
#else
    (void)level;
#endif
    return products_portable;
}

}  // namespace lutra
