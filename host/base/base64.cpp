#include "base/base64.h"

#include <cstddef>
#include <cstdint>

namespace tenon {
namespace {

constexpr std::string_view kBase64Digits =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

}  // namespace

std::string to_base64(std::string_view bytes) {
  std::string text;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t count = bytes.size() - i < 3 ? bytes.size() - i : 3;
    std::uint32_t bits = 0;
    for (std::size_t k = 0; k < 3; ++k) {
      bits = bits << 8U | (k < count ? static_cast<unsigned char>(bytes[i + k]) : 0U);
    }
    for (std::size_t k = 0; k < 4; ++k) {
      text += k <= count ? kBase64Digits[bits >> (18 - 6 * k) & 63U] : '=';
    }
  }
  return text;
}

std::optional<std::string> from_base64(std::string_view text) {
  if (text.size() % 4 != 0) return std::nullopt;
  std::string bytes;
  std::uint32_t bits = 0;
  std::size_t digits = 0;
  for (const char each : text.substr(0, text.find('='))) {
    const std::size_t value = kBase64Digits.find(each);
    if (value == std::string_view::npos) return std::nullopt;
    bits = bits << 6U | static_cast<std::uint32_t>(value);
    if (++digits % 4 != 0) continue;
    for (const int shift : {16, 8, 0}) bytes += static_cast<char>(bits >> shift & 255U);
    bits = 0;
  }
  if (digits % 4 == 2) bytes += static_cast<char>(bits >> 4U & 255U);
  if (digits % 4 == 3) {
    bytes += static_cast<char>(bits >> 10U & 255U);
    bytes += static_cast<char>(bits >> 2U & 255U);
  }
  // What else could be read the same (bits left over, padding in the middle) is refused.
  return to_base64(bytes) == text ? std::optional(bytes) : std::nullopt;
}

}  // namespace tenon
