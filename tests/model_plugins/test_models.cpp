// The tests' C++ models for `[model] plugin`: each with the Python model of the same name in
// tests/parity/captured_models.py.
#include <tenon/model_plugin.h>

#include <algorithm>

#include "capture/model_cases.h"

namespace {

using tenon::CallableModel;
using tenon::ModelOptions;

CallableModel mlp(const ModelOptions& options) {
  return tenon::callable_model(tenon::Mlp(options.integer("hidden", 64)), {at::rand({4, 20})});
}
CallableModel sequential(const ModelOptions& options) {
  return tenon::callable_model(tenon::sequential_mlp(options.integer("hidden", 64)),
                               {at::rand({4, 20})});
}

struct Name {
  char text[32]{};
  template <std::size_t N>
  constexpr Name(const char (&name)[N]) {  // NOLINT
    std::copy_n(name, N, text);
  }
};

// The model of this name in model_cases.h.
template <Name name>
CallableModel from_cases(const ModelOptions&) {
  const auto cases = tenon::model_cases();
  return std::ranges::find(cases, name.text, &tenon::ModelCase::name)->make();
}

}  // namespace

TENON_MODEL_PLUGIN(
    "test.models", "1.0.0", {"test.mlp", mlp}, {"test.sequential", sequential},
    {"test.conv_net", from_cases<"conv_net">}, {"test.conv1d_net", from_cases<"conv1d_net">},
    {"test.conv3d_net", from_cases<"conv3d_net">},
    {"test.upsample_net", from_cases<"upsample_net">}, {"test.tagger", from_cases<"tagger">},
    {"test.gru_net", from_cases<"gru_net">}, {"test.rnn_net", from_cases<"rnn_net">},
    {"test.cells", from_cases<"cells">}, {"test.self_attention", from_cases<"self_attention">},
    {"test.cross_attention", from_cases<"cross_attention">},
    {"test.transformer_net", from_cases<"transformer_net">}, {"test.bag", from_cases<"bag">},
    {"test.bilinear_net", from_cases<"bilinear_net">},
    {"test.residual_net", from_cases<"residual_net">},
    {"test.shared_layer", from_cases<"shared_layer">}, {"test.tied", from_cases<"tied">},
    {"test.many_ways", from_cases<"many_ways">}, {"test.own_types", from_cases<"own_types">},
    {"test.gpt", from_cases<"gpt">}, {"test.res_net", from_cases<"res_net">},
    {"test.u_net", from_cases<"u_net">}, {"test.siamese", from_cases<"siamese">},
    {"test.experts", from_cases<"experts">}, {"test.squeeze", from_cases<"squeeze">},
    {"test.seq2seq", from_cases<"seq2seq">}, {"test.translator", from_cases<"translator">},
    {"test.rotary", from_cases<"rotary">}, {"test.patches", from_cases<"patches">})
