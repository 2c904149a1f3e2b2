#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

// TensorBoard's event files: records of a length, a protocol buffer (tensorflow/core/util/
// event.proto) and the masked CRC-32C of each. Only what a training tells is here.
namespace tenon {

// The record that a file begins with.
std::string event_file_start(double seconds);
// Numbers by their tags.
std::string scalar_record(double seconds, std::int64_t step,
                          const std::map<std::string, double>& scalars);
// A text, Markdown, under one tag.
std::string text_record(double seconds, std::int64_t step, const std::string& tag,
                        const std::string& text);

// How many of a tensor's values lie in each of the buckets that end at `limits`.
struct Histogram {
  double least = 0, largest = 0, count = 0, sum = 0, sum_of_squares = 0;
  std::vector<double> limits;
  std::vector<double> counts;
};
std::string histogram_record(double seconds, std::int64_t step,
                             const std::map<std::string, Histogram>& histograms);

// CRC-32C (polynomial 0x1EDC6F41, reflected).
std::uint32_t crc32c(std::string_view bytes);

}  // namespace tenon
