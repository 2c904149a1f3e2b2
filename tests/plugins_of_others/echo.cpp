// What a call costs without any operator: the input is the output.
#include <tenon/sdk.hpp>

namespace {

struct Echo : tenon::Layer<Echo> {
  static constexpr tenon::layer_type kType{
      .id = "acme.echo", .method = "echo", .base = "torch.nn.Identity"};

  static void add_adapter(Setup& setup) { setup.parameter("unused", {1}, tenon::Init::zeros()); }
  static Outputs forward(Call& call) { return call.input(); }
};

}  // namespace

TENON_PLUGIN("acme.echo", "1.0.0", Echo)
