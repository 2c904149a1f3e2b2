#include "app/event_record.h"

#include <array>
#include <bit>
#include <cstring>

namespace tenon {
namespace {

constexpr std::array<std::uint32_t, 256> kCastagnoli = [] {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t word = i;
    for (int bit = 0; bit < 8; ++bit) word = (word >> 1U) ^ ((word & 1U) != 0 ? 0x82F63B78U : 0U);
    table[i] = word;
  }
  return table;
}();

// A protocol buffer as it is written: little-endian, fields in the order that they are added.
class Message {
 public:
  Message& varint(int field, std::uint64_t value) {
    key(field, 0);
    raw_varint(value);
    return *this;
  }
  Message& number(int field, double value) {
    key(field, 1);
    raw(value);
    return *this;
  }
  Message& single(int field, float value) {
    key(field, 5);
    raw(value);
    return *this;
  }
  Message& bytes(int field, std::string_view value) {
    key(field, 2);
    raw_varint(value.size());
    text_.append(value);
    return *this;
  }
  Message& message(int field, const Message& value) { return bytes(field, value.text_); }
  Message& numbers(int field, const std::vector<double>& values) {
    key(field, 2);
    raw_varint(values.size() * sizeof(double));
    for (const double value : values) raw(value);
    return *this;
  }
  const std::string& text() const { return text_; }

 private:
  void key(int field, int kind) {
    raw_varint((static_cast<std::uint64_t>(field) << 3U) | static_cast<std::uint64_t>(kind));
  }
  void raw_varint(std::uint64_t value) {
    for (; value >= 0x80; value >>= 7U) text_ += static_cast<char>((value & 0x7F) | 0x80);
    text_ += static_cast<char>(value);
  }
  template <typename T>
  void raw(T value) {
    static_assert(std::endian::native == std::endian::little);
    char bytes[sizeof value];
    std::memcpy(bytes, &value, sizeof value);
    text_.append(bytes, sizeof value);
  }

  std::string text_;
};

template <typename T>
std::string little_endian(T value) {
  std::string bytes(sizeof value, '\0');
  std::memcpy(bytes.data(), &value, sizeof value);
  return bytes;
}

std::string masked_crc(std::string_view bytes) {
  const std::uint32_t crc = crc32c(bytes);
  return little_endian(std::rotr(crc, 15) + 0xA282EAD8U);
}

std::string event_record_of(const Message& event) {
  const std::string length = little_endian(static_cast<std::uint64_t>(event.text().size()));
  return length + masked_crc(length) + event.text() + masked_crc(event.text());
}

Message event_at(double seconds, std::int64_t step) {
  return Message().number(1, seconds).varint(2, static_cast<std::uint64_t>(step));
}

std::string summary_record(double seconds, std::int64_t step, const Message& summary) {
  return event_record_of(event_at(seconds, step).message(5, summary));
}

}  // namespace

std::uint32_t crc32c(std::string_view bytes) {
  std::uint32_t crc = 0xFFFFFFFFU;
  for (const char byte : bytes) {
    crc = kCastagnoli[(crc ^ static_cast<unsigned char>(byte)) & 0xFFU] ^ (crc >> 8U);
  }
  return crc ^ 0xFFFFFFFFU;
}

std::string event_file_start(double seconds) {
  return event_record_of(Message().number(1, seconds).bytes(3, "brain.Event:2"));
}

std::string scalar_record(double seconds, std::int64_t step,
                          const std::map<std::string, double>& scalars) {
  Message summary;
  for (const auto& [tag, value] : scalars) {
    summary.message(1, Message().bytes(1, tag).single(2, static_cast<float>(value)));
  }
  return summary_record(seconds, step, summary);
}

std::string text_record(double seconds, std::int64_t step, const std::string& tag,
                        const std::string& text) {
  constexpr std::uint64_t kStringType = 7;  // DT_STRING
  const Message one = Message().varint(1, 1);
  const Message shape = Message().message(2, one);
  const Message tensor = Message().varint(1, kStringType).message(2, shape).bytes(8, text);
  const Message metadata = Message().message(1, Message().bytes(1, "text"));
  return summary_record(
      seconds, step,
      Message().message(1, Message().bytes(1, tag).message(8, tensor).message(9, metadata)));
}

std::string histogram_record(double seconds, std::int64_t step,
                             const std::map<std::string, Histogram>& histograms) {
  Message summary;
  for (const auto& [tag, histogram] : histograms) {
    const Message values = Message()
                               .number(1, histogram.least)
                               .number(2, histogram.largest)
                               .number(3, histogram.count)
                               .number(4, histogram.sum)
                               .number(5, histogram.sum_of_squares)
                               .numbers(6, histogram.limits)
                               .numbers(7, histogram.counts);
    summary.message(1, Message().bytes(1, tag).message(5, values));
  }
  return summary_record(seconds, step, summary);
}

}  // namespace tenon
