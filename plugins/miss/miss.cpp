// MiSS, once called Bone (Kang and Yin 2024, arXiv:2409.15371; PEFT: tuners/miss/layer.py): one
// matrix of r rows for all groups of r inputs of a Linear, y = W x + b + D^T (sum of the groups of
// x). "mini" repeats a narrower matrix over the outputs; "bat" changes the weight by itself, in
// blocks of r times r: W_ij + W_ij D_i + D_i.
#include <cstdint>
#include <string>
#include <vector>

#include <tenon/sdk.hpp>

namespace {

using tenon::Shape;
using tenon::Tensor;

Tensor repeat(const Tensor& x, const Shape& times) {
  static const tenon::Operator op("aten::repeat");
  return op(x, times);
}

Tensor narrow(const Tensor& x, std::int64_t dimension, std::int64_t start, std::int64_t length) {
  static const tenon::Operator op("aten::narrow");
  return op(x, dimension, start, length);
}

Tensor permute(const Tensor& x, const Shape& order) {
  static const tenon::Operator op("aten::permute");
  return op(x, order);
}

template <typename Keys>
std::string start_of(const Keys& keys) {
  constexpr const char* kKey = "init_weights";
  return keys.option_tag(kKey) == TENON_VALUE_STRING ? keys.template option<std::string>(kKey) : "";
}

struct Miss : tenon::Method<Miss> {
  static constexpr tenon::method_type kMethod{
      .name = "miss",
      .peft_type = "MISS",
      .doc = "Shares one block of rows among all groups of a layer's inputs.",
      .flags = TENON_METHOD_EXCLUDES | TENON_METHOD_LAYERS | TENON_METHOD_BIASES};

  static constexpr const char* kForms[] = {"bat", "mini"};
  static constexpr tenon_option kKeys[] = {
      tenon::option::integer("r", 64, tenon::at_least(1), "How many inputs a group has."),
      tenon::option::number("miss_dropout", 0, {.minimum = 0, .maximum = 1},
                            "Dropout of the layer's input, less than 1."),
      tenon::option::integer("mini_r", 1, tenon::at_least(1),
                             "With mini: the width that is repeated; it divides the outputs."),
      tenon::option::either(
          tenon::option::boolean("init_weights", true,
                                 "True starts as the base, false at random; bat and mini: other "
                                 "forms."),
          tenon::option::choice("init_weights", "mini", kForms, ""))};

  static void settle(tenon::Keys& keys) {
    if (keys.option<double>("miss_dropout") == 1) {
      keys.refuse("miss_dropout", "must be less than 1");
    }
    if (keys.are_saved() || start_of(keys) != "bat") return;
    if (keys.option<double>("miss_dropout") != 0) {
      keys.refuse("miss_dropout", "has no effect where `init_weights` is \"bat\"");
    }
  }
};

struct MissLinear : tenon::Layer<MissLinear> {
  static constexpr tenon::layer_type kType{.id = "tenon.miss-linear",
                                           .method = "miss",
                                           .base = "torch.nn.Linear",
                                           .title = "miss.MissLinear",
                                           .doc = "MiSS on a fully connected layer."};

  struct State {
    double dropout = 0;
    bool is_bat = false;
  };

  static State prepare(const Setup& setup) {
    return {setup.option<double>("miss_dropout"), start_of(setup) == "bat"};
  }

  static void validate(const Setup& setup) {
    const Shape shape = setup.base().weight("weight").shape;
    const auto r = setup.option<std::int64_t>("r");
    const auto mini = setup.option<std::int64_t>("mini_r");
    const std::string form = start_of(setup);
    const auto refuse = [](const std::string& why) {
      throw tenon::Failure(TENON_UNSUPPORTED, why);
    };
    if (r > shape[1]) {
      refuse("r is " + std::to_string(r) + ", the layer has " + std::to_string(shape[1]) +
             " inputs");
    }
    if (form == "bat" && (shape[0] % r != 0 || shape[1] % r != 0)) {
      refuse("r = " + std::to_string(r) + " does not divide " + std::to_string(shape[1]) +
             " inputs and " + std::to_string(shape[0]) +
             " outputs, as init_weights = \"bat\" needs");
    }
    if (form == "mini" && shape[0] % mini != 0) {
      refuse("mini_r = " + std::to_string(mini) + " does not divide " + std::to_string(shape[0]) +
             " outputs");
    }
  }

  static void add_adapter(Setup& setup) {
    const std::int64_t out = setup.base().weight("weight").shape[0];
    const auto r = setup.option<std::int64_t>("r");
    const std::string form = start_of(setup);
    Shape shape = {r, out};
    if (form == "bat") shape = {out / r, r, r};
    if (form == "mini") shape = {r, setup.option<std::int64_t>("mini_r")};
    const bool is_random = form.empty() && !setup.option<bool>("init_weights");
    setup.parameter("miss_block", shape,
                    is_random ? tenon::Init::kaiming_uniform() : tenon::Init::zeros());
  }

  static Outputs forward(Call& call) {
    bool any_bat = false;
    for (const tenon::Adapter& adapter : call.adapters()) {
      any_bat = any_bat || adapter.state<State>().is_bat;
    }
    const Weight weight = call.base_info().weight("weight");
    if (any_bat) return call.base(call.inputs(), {{weight, merged_weight(call, weight)}});
    Outputs outputs = call.base();
    for (const tenon::Adapter& adapter : call.adapters()) {
      const Tensor term = term_of(call, adapter, weight);
      outputs[0] = outputs[0] + to_dtype(term, outputs[0].dtype());
    }
    return outputs;
  }

  static Tensor merged_weight(Call& call, const Weight& weight) {
    if (weight.name != "weight") return {};
    Tensor merged = call.weight(weight);
    for (const tenon::Adapter& adapter : call.adapters()) {
      const Tensor block = adapter.parameter(0);
      const Tensor wide = to_dtype(merged, block.dtype());
      const Tensor change =
          adapter.state<State>().is_bat ? bat_change(wide, block) : change_of(weight, block);
      merged = to_dtype(wide + change, weight.dtype);
    }
    return merged;
  }

 private:
  // (r, out), of a narrower block too.
  static Tensor full_block(const Weight& weight, const Tensor& block) {
    const std::int64_t times = weight.shape[0] / block.size(1);
    return times == 1 ? block : repeat(block, {1, times});
  }

  // What the block adds to the weight, (out, in).
  static Tensor change_of(const Weight& weight, const Tensor& block) {
    const std::int64_t r = block.size(0);
    const std::int64_t groups = (weight.shape[1] + r - 1) / r;
    const Tensor rows = transpose(full_block(weight, block), 0, 1);
    return narrow(repeat(rows, {1, groups}), 1, 0, weight.shape[1]);
  }

  static Tensor bat_change(const Tensor& weight, const Tensor& block) {
    const std::int64_t r = block.size(-1);
    const Shape blocks = {weight.size(0) / r, r, weight.size(1) / r, r};
    const Tensor parts = permute(reshape(weight, blocks), {2, 0, 1, 3});
    const Tensor changed = matmul(parts, block) + block;
    return reshape(permute(changed, {1, 2, 0, 3}), {weight.size(0), weight.size(1)});
  }

  // What the adapter adds to the output.
  static Tensor term_of(Call& call, const tenon::Adapter& adapter, const Weight& weight) {
    static const tenon::Operator pad("aten::constant_pad_nd");
    static const tenon::Operator sum("aten::sum", "dim_IntList");
    const Tensor block = adapter.parameter(0);
    const std::int64_t r = block.size(0);
    const std::int64_t groups = (weight.shape[1] + r - 1) / r;
    Tensor x = to_dtype(call.input(), block.dtype());
    x = dropout(x, adapter.state<State>().dropout, call.training());
    if (groups * r != weight.shape[1]) x = pad(x, Shape{0, groups * r - weight.shape[1]}, 0.0);
    Shape shape = x.shape();
    shape.back() = groups;
    shape.push_back(r);
    return matmul(sum(reshape(x, shape), Shape{-2}), full_block(weight, block));
  }
};

}  // namespace

TENON_PLUGIN("tenon.miss", "1.0.0", Miss, MissLinear)
