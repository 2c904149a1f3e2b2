#pragma once

#include <ATen/core/Tensor.h>
#include <tenon/draft/data_start.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "plan/injection_plan.h"

namespace tenon {

// The layers of a planned adapter as its method sees them while it observes. Borrows the model and
// the plan.
class ObservedLayers {
 public:
  ObservedLayers(const ModelData& model, const InjectionPlan& plan, std::int64_t batches_per_epoch);
  ~ObservedLayers();
  ObservedLayers(const ObservedLayers&) = delete;
  ObservedLayers& operator=(const ObservedLayers&) = delete;

  const tenon_data_run& run() const { return run_; }
  std::size_t size() const { return layers_.size(); }
  const PlannedLayer& planned(std::size_t i) const;
  const std::string& path(std::size_t i) const;
  const std::vector<at::Tensor>& weights(std::size_t i) const;
  // -1: the adapter is on no such layer.
  std::int64_t find(const std::string& path) const;

 private:
  struct Layer;
  std::vector<std::unique_ptr<Layer>> layers_;
  std::vector<const tenon_data_layer*> views_;
  std::map<std::string, std::int64_t> numbers_;  // by path
  tenon_setup setup_;
  tenon_data_run run_{};
};

}  // namespace tenon
