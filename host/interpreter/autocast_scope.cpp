#include "interpreter/autocast_scope.h"

#include <ATen/autocast_mode.h>

namespace tenon {

AutocastScope::AutocastScope(c10::DeviceType device, std::optional<c10::ScalarType> dtype)
    : device_(device), entered_(dtype.has_value()) {
  if (!entered_) return;
  found_enabled_ = at::autocast::is_autocast_enabled(device);
  found_dtype_ = at::autocast::get_autocast_dtype(device);
  at::autocast::set_autocast_enabled(device, true);
  at::autocast::set_autocast_dtype(device, *dtype);
  at::autocast::increment_nesting();
}

AutocastScope::~AutocastScope() {
  if (!entered_) return;
  if (at::autocast::decrement_nesting() == 0) at::autocast::clear_cache();
  at::autocast::set_autocast_enabled(device_, found_enabled_);
  at::autocast::set_autocast_dtype(device_, found_dtype_);
}

}  // namespace tenon
