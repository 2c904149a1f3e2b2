#include "adapter/base_check.h"

#include "base/log.h"
#include "model/fingerprint.h"

namespace tenon {

void BaseCheck::warn(const AdapterFiles& files, const std::filesystem::path& folder) {
  if (files.base_fingerprint.empty()) return;
  const std::scoped_lock lock(mutex_);
  if (fingerprint_.empty()) fingerprint_ = base_fingerprint(model_.base_tensors());
  if (files.base_fingerprint == fingerprint_) return;
  log::warning("the adapter in " + folder.string() +
               " was trained on a base with other weights than this model's; it runs on them "
               "all the same, with other results than it was trained for");
}

}  // namespace tenon
