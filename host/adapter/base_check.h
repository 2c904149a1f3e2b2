#pragma once

#include <filesystem>
#include <mutex>
#include <string>

#include "adapted/adapted_model.h"
#include "adapter/adapter_store.h"

namespace tenon {

// Says whether an adapter was trained on these very weights; it runs on others too. The fingerprint
// is worked out once for all adapters of a model. Borrows the model.
class BaseCheck {
 public:
  explicit BaseCheck(const AdaptedModel& model) : model_(model) {}
  // May be called from several threads.
  void warn(const AdapterFiles& files, const std::filesystem::path& folder);

 private:
  const AdaptedModel& model_;
  std::mutex mutex_;
  std::string fingerprint_;
};

}  // namespace tenon
