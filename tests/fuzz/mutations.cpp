#include "fuzz/mutations.h"

#include <array>
#include <cstdint>
#include <cstring>

namespace tenon::fuzz {
namespace {

constexpr std::size_t kLongest = 1 << 20;

// Where sizes and offsets go wrong.
constexpr std::array<std::uint64_t, 12> kNumbers{0,
                                                 1,
                                                 0x7F,
                                                 0xFF,
                                                 0x7FFF,
                                                 0xFFFF,
                                                 0x7FFFFFFF,
                                                 0x80000000,
                                                 0xFFFFFFFF,
                                                 0x7FFFFFFFFFFFFFFF,
                                                 0x8000000000000000,
                                                 0xFFFFFFFFFFFFFFFF};

constexpr std::array<const char*, 10> kTokens{
    "{",     "[",    "\"", "-1", "18446744073709551615", "9223372036854775808",
    "1e999", "null", "..", "]"};

class Mutation {
 public:
  Mutation(std::string bytes, std::mt19937_64& random)
      : bytes_(std::move(bytes)), random_(random) {}

  void apply(const std::string& other) {
    switch (below(8)) {
      case 0:
        return flip();
      case 1:
        return set_byte();
      case 2:
        return set_number();
      case 3:
        return remove();
      case 4:
        return repeat();
      case 5:
        return insert(kTokens[below(kTokens.size())]);
      case 6:
        return splice(other);
      default:
        return bytes_.resize(below(bytes_.size() + 1));
    }
  }

  std::string take() { return std::move(bytes_); }

 private:
  std::size_t below(std::size_t limit) { return limit == 0 ? 0 : random_() % limit; }

  void flip() {
    if (!bytes_.empty()) bytes_[below(bytes_.size())] ^= static_cast<char>(1U << below(8));
  }
  void set_byte() {
    if (!bytes_.empty()) bytes_[below(bytes_.size())] = static_cast<char>(random_());
  }
  void set_number() {
    const std::size_t size = std::size_t{1} << below(4);
    if (bytes_.size() < size) return;
    const std::uint64_t number = kNumbers[below(kNumbers.size())];
    std::memcpy(bytes_.data() + below(bytes_.size() - size + 1), &number, size);
  }
  void remove() { bytes_.erase(below(bytes_.size() + 1), below(64)); }
  void repeat() {
    const std::string piece = bytes_.substr(below(bytes_.size() + 1), below(256));
    const std::size_t times = below(8) == 0 ? 1000 : 1;
    std::string copies;
    for (std::size_t i = 0; i < times; ++i) copies += piece;
    insert(copies);
  }
  void insert(const std::string& piece) {
    if (bytes_.size() + piece.size() <= kLongest) bytes_.insert(below(bytes_.size() + 1), piece);
  }
  void splice(const std::string& other) {
    insert(other.substr(below(other.size() + 1), below(1024)));
  }

  std::string bytes_;
  std::mt19937_64& random_;
};

}  // namespace

std::string mutate(const std::vector<std::string>& seeds, std::mt19937_64& random) {
  Mutation mutation(seeds[random() % seeds.size()], random);
  const std::size_t count = 1 + random() % 5;
  for (std::size_t i = 0; i < count; ++i) mutation.apply(seeds[random() % seeds.size()]);
  return mutation.take();
}

}  // namespace tenon::fuzz
