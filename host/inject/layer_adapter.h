#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <string>
#include <vector>

#include "graph/graph.h"
#include "plugin/layer_type.h"

namespace tenon {

std::vector<tenon_tensor> handles_of(const std::vector<at::Tensor>& tensors);

// What one adapter does to one layer: a plugin's parameters on it, or weights of its own in place
// of the base's (a module that it saves whole). Neither copied, moved nor changed: calls hold its
// address, in several threads.
class LayerAdapter {
 public:
  struct Parts {
    std::string adapter;
    const LayerType* layer_type = nullptr;    // nullptr: weights only
    std::shared_ptr<const LayerFacts> facts;  // of the layer, if there is a layer type
    std::vector<at::Tensor> parameters;       // in the plugin's order
    double scaling = 1;
    std::vector<at::Tensor> weights;   // by number, undefined where the base's stays; may be empty
    bool saves_module = false;         // the weights are a module's that is saved whole
    std::shared_ptr<void> state;       // the plugin's own
    ModuleId merges_with = kNoModule;  // the layer whose weight it shares and changes in one way
    std::string unmergeable;           // why it cannot be merged; "" if it can
  };
  explicit LayerAdapter(Parts parts);
  LayerAdapter(const LayerAdapter&) = delete;
  LayerAdapter& operator=(const LayerAdapter&) = delete;

  const std::string& adapter() const { return parts_.adapter; }
  const LayerType* layer_type() const { return parts_.layer_type; }
  const LayerFacts& facts() const { return *parts_.facts; }
  const std::shared_ptr<const LayerFacts>& shared_facts() const { return parts_.facts; }
  const std::vector<at::Tensor>& parameters() const { return parts_.parameters; }
  const std::vector<at::Tensor>& weights() const { return parts_.weights; }
  bool saves_module() const { return parts_.saves_module; }
  ModuleId merges_with() const { return parts_.merges_with; }
  const std::string& unmergeable() const { return parts_.unmergeable; }
  // As a plugin's call gets it.
  const tenon_adapter& table() const { return table_; }
  // The same with its term `factor` times what it was made with.
  std::shared_ptr<const LayerAdapter> rescaled(double factor) const;

 private:
  Parts parts_;
  std::vector<tenon_tensor> handles_;
  tenon_adapter table_{};
};

}  // namespace tenon
