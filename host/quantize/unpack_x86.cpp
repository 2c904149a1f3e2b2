#include "quantize/unpack_x86.h"

#if defined(__x86_64__)

#include <immintrin.h>

namespace tenon {
namespace {

// What is left of a loop that takes several numbers at a time.
void finish_int8(const std::int8_t* from, std::int64_t i, std::int64_t count, float scale,
                 float* out) {
  portable_kernels().int8(from + i, count - i, scale, out + i);
}

void finish_four_bits(const std::uint8_t* from, std::int64_t i, std::int64_t bytes,
                      const float* table, float scale, float* out) {
  portable_kernels().four_bits(from + i, bytes - i, table, scale, out + 2 * i);
}

// Of 8 bytes the 16 codes, each in a byte of its own, in order.
__m128i codes_of(const std::uint8_t* from) {
  const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(from));
  const __m128i mask = _mm_set1_epi8(15);
  const __m128i upper = _mm_and_si128(_mm_srli_epi16(bytes, 4), mask);
  return _mm_unpacklo_epi8(upper, _mm_and_si128(bytes, mask));
}

__attribute__((target("avx2"))) void int8_avx2(const std::int8_t* from, std::int64_t count,
                                               float scale, float* out) {
  const __m256 factor = _mm256_set1_ps(scale);
  std::int64_t i = 0;
  for (; i + 8 <= count; i += 8) {
    const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(from + i));
    const __m256 numbers = _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes));
    _mm256_storeu_ps(out + i, _mm256_mul_ps(numbers, factor));
  }
  finish_int8(from, i, count, scale, out);
}

__attribute__((target("avx2"))) void four_bits_avx2(const std::uint8_t* from, std::int64_t bytes,
                                                    const float* table, float scale, float* out) {
  const __m256 factor = _mm256_set1_ps(scale);
  const __m256 lower = _mm256_mul_ps(_mm256_loadu_ps(table), factor);
  const __m256 upper = _mm256_mul_ps(_mm256_loadu_ps(table + 8), factor);
  std::int64_t i = 0;
  for (; i + 8 <= bytes; i += 8) {
    const __m128i codes = codes_of(from + i);
    for (int half = 0; half < 2; ++half) {
      const __m256i index =
          _mm256_cvtepu8_epi32(half == 0 ? codes : _mm_unpackhi_epi64(codes, codes));
      // The table's halves are chosen by the code's fourth bit, moved to where a number's sign is.
      const __m256 choice = _mm256_castsi256_ps(_mm256_slli_epi32(index, 28));
      const __m256 numbers = _mm256_blendv_ps(_mm256_permutevar8x32_ps(lower, index),
                                              _mm256_permutevar8x32_ps(upper, index), choice);
      _mm256_storeu_ps(out + 2 * i + 8 * half, numbers);
    }
  }
  finish_four_bits(from, i, bytes, table, scale, out);
}

__attribute__((target("avx512f"))) void int8_avx512(const std::int8_t* from, std::int64_t count,
                                                    float scale, float* out) {
  const __m512 factor = _mm512_set1_ps(scale);
  std::int64_t i = 0;
  for (; i + 16 <= count; i += 16) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + i));
    const __m512 numbers = _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(bytes));
    _mm512_storeu_ps(out + i, _mm512_mul_ps(numbers, factor));
  }
  finish_int8(from, i, count, scale, out);
}

__attribute__((target("avx512f"))) void four_bits_avx512(const std::uint8_t* from,
                                                         std::int64_t bytes, const float* table,
                                                         float scale, float* out) {
  const __m512 scaled = _mm512_mul_ps(_mm512_loadu_ps(table), _mm512_set1_ps(scale));
  std::int64_t i = 0;
  for (; i + 8 <= bytes; i += 8) {
    const __m512i index = _mm512_cvtepu8_epi32(codes_of(from + i));
    _mm512_storeu_ps(out + 2 * i, _mm512_permutexvar_ps(index, scaled));
  }
  finish_four_bits(from, i, bytes, table, scale, out);
}

}  // namespace

const UnpackKernels* x86_kernels() {
  static constexpr UnpackKernels kAvx512{int8_avx512, four_bits_avx512};
  static constexpr UnpackKernels kAvx2{int8_avx2, four_bits_avx2};
  if (__builtin_cpu_supports("avx512f") != 0) return &kAvx512;
  return __builtin_cpu_supports("avx2") != 0 ? &kAvx2 : nullptr;
}

}  // namespace tenon

#else

namespace tenon {

const UnpackKernels* x86_kernels() { return nullptr; }

}  // namespace tenon

#endif
