#pragma once

#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include <optional>

namespace tenon {

// As `with torch.autocast(device, dtype):` around what the calling thread runs meanwhile; nothing
// without a dtype.
class AutocastScope {
 public:
  AutocastScope(c10::DeviceType device, std::optional<c10::ScalarType> dtype);
  ~AutocastScope();
  AutocastScope(const AutocastScope&) = delete;
  AutocastScope& operator=(const AutocastScope&) = delete;

 private:
  c10::DeviceType device_;
  bool entered_;
  bool found_enabled_ = false;
  c10::ScalarType found_dtype_ = c10::ScalarType::Float;
};

}  // namespace tenon
