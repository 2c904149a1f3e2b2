#include "train/out_of_memory.h"

#include <cstdio>

#include "train/device_memory.h"

namespace tenon {
namespace {

std::string gigabytes(double bytes) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2f", bytes / 1e9);
  return text;
}

// "" where the device does not count.
std::string use_of(c10::Device device) {
  const auto memory = device_memory(device);
  if (!memory) return "";
  return "; tensors took " + gigabytes(static_cast<double>(memory->peak)) +
         " GB at most, the device has " + gigabytes(static_cast<double>(memory->total));
}

}  // namespace

bool is_out_of_memory(const std::string& text) {
  return text.find("out of memory") != std::string::npos ||
         text.find("can't allocate memory") != std::string::npos;
}

Error out_of_memory(const Error& failure, c10::Device device, std::int64_t rows) {
  Failure told = failure.failure();
  const std::string where = device.is_cpu() ? "" : " on " + device.str();
  const std::string batch =
      rows == 1 ? "a batch of 1 row" : "batches of " + std::to_string(rows) + " rows";
  told.message = "out of memory" + where + " with " + batch + use_of(device) + ": " + told.message;
  told.hint =
      "set a smaller [train] batch_size, which gradient_accumulation_steps makes up for; "
      "checkpoint "
      "keeps fewer activations, autocast = \"bfloat16\" smaller ones";
  return Error(std::move(told));
}

}  // namespace tenon
