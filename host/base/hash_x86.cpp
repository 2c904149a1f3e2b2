#include "base/hash_x86.h"

#if defined(__x86_64__)

#include <cpuid.h>
#include <immintrin.h>

namespace tenon {
namespace {

struct Instructions {
  bool sha = false;
  bool carry_less = false;  // multiplication
};

Instructions find_instructions() {
  unsigned int a = 0;
  unsigned int b = 0;
  unsigned int c = 0;
  unsigned int d = 0;
  Instructions found;
  if (__get_cpuid(1, &a, &b, &c, &d) == 0 || (c & bit_SSE4_1) == 0 || (c & bit_SSSE3) == 0) {
    return found;
  }
  found.carry_less = (c & bit_PCLMUL) != 0;
  found.sha = __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (b & bit_SHA) != 0;
  return found;
}

const Instructions& instructions() {
  static const Instructions found = find_instructions();
  return found;
}

__m128i load(const void* bytes) { return _mm_loadu_si128(static_cast<const __m128i*>(bytes)); }

// Intel, "New instructions supporting the Secure Hash Algorithm": the digest lies as ABEF and CDGH,
// and each step does four rounds.
__attribute__((target("sha,sse4.1,ssse3"))) void absorb_blocks(std::uint32_t* digest,
                                                               const std::byte* bytes,
                                                               std::size_t blocks,
                                                               const std::uint32_t* constants) {
  const __m128i big_endian = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
  const __m128i low = _mm_shuffle_epi32(load(digest), 0xB1);
  const __m128i high = _mm_shuffle_epi32(load(digest + 4), 0x1B);
  __m128i abef = _mm_alignr_epi8(low, high, 8);
  __m128i cdgh = _mm_blend_epi16(high, low, 0xF0);
  for (std::size_t block = 0; block < blocks; ++block, bytes += 64) {
    const __m128i old_abef = abef;
    const __m128i old_cdgh = cdgh;
    __m128i w[4];
    for (int i = 0; i < 16; ++i) {
      __m128i& now = w[i & 3];
      if (i < 4) {
        now = _mm_shuffle_epi8(load(bytes + 16 * i), big_endian);
      } else {
        const __m128i last = w[(i + 3) & 3];
        const __m128i sum = _mm_add_epi32(_mm_sha256msg1_epu32(now, w[(i + 1) & 3]),
                                          _mm_alignr_epi8(last, w[(i + 2) & 3], 4));
        now = _mm_sha256msg2_epu32(sum, last);
      }
      const __m128i message = _mm_add_epi32(now, load(constants + 4 * i));
      cdgh = _mm_sha256rnds2_epu32(cdgh, abef, message);
      abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(message, 0x0E));
    }
    abef = _mm_add_epi32(abef, old_abef);
    cdgh = _mm_add_epi32(cdgh, old_cdgh);
  }
  const __m128i feba = _mm_shuffle_epi32(abef, 0x1B);
  const __m128i dchg = _mm_shuffle_epi32(cdgh, 0xB1);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(digest), _mm_blend_epi16(feba, dchg, 0xF0));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(digest + 4), _mm_alignr_epi8(dchg, feba, 8));
}

// Moves 16 bytes ahead by the distance whose powers of x `by` holds, onto those that lie there.
__attribute__((target("pclmul,sse4.1"))) __m128i fold(__m128i bytes, __m128i by, __m128i onto) {
  const __m128i low = _mm_clmulepi64_si128(bytes, by, 0x00);
  const __m128i high = _mm_clmulepi64_si128(bytes, by, 0x11);
  return _mm_xor_si128(_mm_xor_si128(low, high), onto);
}

// Intel, "Fast CRC computation for generic polynomials using PCLMULQDQ", the bits reflected: four
// lanes of 16 bytes, then one, then Barrett's reduction. `size` divides by 16 and is 64 at least.
__attribute__((target("pclmul,sse4.1"))) std::uint32_t fold_all(std::uint32_t crc,
                                                                const std::byte* bytes,
                                                                std::size_t size) {
  const __m128i by_64 = _mm_set_epi64x(0x1c6e41596, 0x154442bd4);
  const __m128i by_16 = _mm_set_epi64x(0x0ccaa009e, 0x1751997d0);
  const __m128i by_8 = _mm_set_epi64x(0, 0x163cd6124);
  const __m128i barrett = _mm_set_epi64x(0x1f7011641, 0x1db710641);
  const __m128i halves = _mm_setr_epi32(~0, 0, ~0, 0);
  __m128i lanes[4];
  for (int i = 0; i < 4; ++i) lanes[i] = load(bytes + 16 * i);
  lanes[0] = _mm_xor_si128(lanes[0], _mm_cvtsi32_si128(static_cast<int>(crc)));
  std::size_t at = 64;
  for (; size - at >= 64; at += 64) {
    for (int i = 0; i < 4; ++i) lanes[i] = fold(lanes[i], by_64, load(bytes + at + 16 * i));
  }
  __m128i sum = lanes[0];
  for (int i = 1; i < 4; ++i) sum = fold(sum, by_16, lanes[i]);
  for (; at < size; at += 16) sum = fold(sum, by_16, load(bytes + at));

  sum = _mm_xor_si128(_mm_srli_si128(sum, 8), _mm_clmulepi64_si128(sum, by_16, 0x10));
  sum = _mm_xor_si128(_mm_srli_si128(sum, 4),
                      _mm_clmulepi64_si128(_mm_and_si128(sum, halves), by_8, 0x00));
  __m128i quotient = _mm_clmulepi64_si128(_mm_and_si128(sum, halves), barrett, 0x10);
  quotient = _mm_clmulepi64_si128(_mm_and_si128(quotient, halves), barrett, 0x00);
  return static_cast<std::uint32_t>(_mm_extract_epi32(_mm_xor_si128(sum, quotient), 1));
}

}  // namespace

std::size_t sha256_blocks_x86(std::span<std::uint32_t, 8> digest, std::span<const std::byte> bytes,
                              std::span<const std::uint32_t, 64> round_constants) {
  if (!instructions().sha) return 0;
  const std::size_t blocks = bytes.size() / 64;
  absorb_blocks(digest.data(), bytes.data(), blocks, round_constants.data());
  return blocks;
}

std::size_t crc32_x86(std::uint32_t& crc, std::span<const std::byte> bytes) {
  const std::size_t size = bytes.size() / 16 * 16;
  if (!instructions().carry_less || size < 64) return 0;
  crc = fold_all(crc, bytes.data(), size);
  return size;
}

}  // namespace tenon

#else

namespace tenon {

std::size_t sha256_blocks_x86(std::span<std::uint32_t, 8>, std::span<const std::byte>,
                              std::span<const std::uint32_t, 64>) {
  return 0;
}

std::size_t crc32_x86(std::uint32_t&, std::span<const std::byte>) { return 0; }

}  // namespace tenon

#endif
