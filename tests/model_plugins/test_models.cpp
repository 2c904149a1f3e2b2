// The tests' C++ models for `[model] plugin`: each with the Python model of the same name in
// tests/parity/capture_test.py.
#include <tenon/model_plugin.h>

#include "capture/mlp_model.h"
#include "capture/models.h"

namespace {

using tenon::CallableModel;
using tenon::ModelOptions;

template <typename Model>
CallableModel with(std::vector<at::Tensor> examples) {
  return tenon::callable_model(std::make_shared<Model>(), std::move(examples));
}

CallableModel mlp(const ModelOptions& options) {
  return tenon::callable_model(tenon::Mlp(options.integer("hidden", 64)), {at::rand({4, 20})});
}
CallableModel sequential(const ModelOptions& options) {
  return tenon::callable_model(tenon::sequential_mlp(options.integer("hidden", 64)),
                               {at::rand({4, 20})});
}
CallableModel conv_net(const ModelOptions&) {
  return with<tenon::ConvNetImpl>({at::randn({2, 3, 8, 8})});
}
CallableModel tagger(const ModelOptions&) {
  return with<tenon::TaggerImpl>({at::randint(11, {3, 7}, at::kLong)});
}
CallableModel residual_net(const ModelOptions&) {
  return with<tenon::ResidualNetImpl>({at::randn({2, 5, 6})});
}
CallableModel shared_layer(const ModelOptions&) {
  return with<tenon::SharedLayerImpl>({at::randn({3, 4})});
}
CallableModel self_attention(const ModelOptions&) {
  return with<tenon::SelfAttentionImpl>({at::randn({5, 3, 8})});
}

}  // namespace

TENON_MODEL_PLUGIN("test.models", "1.0.0", {"test.mlp", mlp}, {"test.sequential", sequential},
                   {"test.conv_net", conv_net}, {"test.tagger", tagger},
                   {"test.residual_net", residual_net}, {"test.shared_layer", shared_layer},
                   {"test.self_attention", self_attention})
