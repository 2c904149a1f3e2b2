// VB-LoRA: low-rank factors put together from the vectors of one bank, which all layers share and
// train (Li et al. 2024, arXiv:2405.15179; PEFT: tuners/vblora):
//   W' = W + B A, each piece of a row of A and of a column of B a mean of topk vectors of the bank,
// weighted by the softmax of their logits.
#include <string>

#include "common/matrix.hpp"
#include "common/weight_layer.hpp"

namespace {

using tenon::Shape;
using tenon::Tensor;

constexpr std::uint32_t kLogitsA = 0;
constexpr std::uint32_t kLogitsB = 1;
constexpr std::uint32_t kBank = 2;
// In place of logits, of adapters that are saved without: the weights of the best of each piece but
// for the last one, which is what is left of 1, and which these are.
constexpr std::uint32_t kWeightsA = 0;
constexpr std::uint32_t kWeightsB = 2;
constexpr std::uint32_t kBankOfIndices = 4;

struct VbLora : tenon::Method<VbLora> {
  static constexpr tenon::method_type kMethod{
      .name = "vblora",
      .peft_type = "VBLORA",
      .doc = "Low-rank factors of vectors that all layers share.",
      .flags = TENON_METHOD_EXCLUDES | TENON_METHOD_LAYERS | TENON_METHOD_BIASES};
  static constexpr tenon_option kKeys[] = {
      tenon::option::integer("r", 4, {.minimum = 1}, "The rank of the update."),
      tenon::option::integer("num_vectors", 256, {.minimum = 1}, "Vectors in the bank."),
      tenon::option::integer("vector_length", 256, {.minimum = 1},
                             "Their length, which divides a layer's inputs and outputs."),
      tenon::option::integer("topk", 2, {.minimum = 1}, "How many vectors make a piece."),
      tenon::option::boolean("save_only_topk_weights", false,
                             "PEFT's, of adapters to load: the file has the topk weights alone."),
      tenon::option::number("vblora_dropout", 0, {.minimum = 0, .maximum = 1},
                            "Dropout on what enters the update."),
      tenon::option::boolean("fan_in_fan_out", false,
                             "PEFT's; has no effect: a layer's type says how its weight lies."),
      tenon::option::number("init_vector_bank_bound", 0.02, {.minimum = 0},
                            "The bank is drawn between this and its negative."),
      tenon::option::number("init_logits_std", 0.1, {.minimum = 0},
                            "The standard deviation that the logits are drawn with.")};

  static void settle(tenon::Keys& keys) {
    if (keys.are_saved() || !keys.option<bool>("save_only_topk_weights")) return;
    keys.refuse("save_only_topk_weights",
                "cannot be true: what is trained is saved with its logits");
  }
};

struct State {
  double dropout = 0;
  std::int64_t topk = 0;
  bool turns = false;
  bool has_logits = true;
};

// (out, in), whichever way the weight is stored.
Shape sizes_of(const tenon::Base& base) {
  const Shape weight = base.weight("weight").shape;
  return methods::is_stored_transposed(base) ? Shape{weight[1], weight[0]} : weight;
}

// Of logits (a, b, vectors) the pieces (a, b, length).
Tensor pieces(const Tensor& logits, const Tensor& bank, std::int64_t topk) {
  static const tenon::Operator best("aten::topk");
  static const tenon::Operator softmax("aten::softmax", "int");
  static const tenon::Operator select("aten::index_select");
  const std::vector<Tensor> found = best.results(2, logits, topk);
  const Tensor weights = reshape(softmax(found[0], std::int64_t{-1}), {-1, 1, topk});
  const Tensor vectors =
      reshape(select(bank, std::int64_t{0}, reshape(found[1], {-1})), {-1, topk, bank.size(1)});
  return reshape(matmul(weights, vectors), {logits.size(0), logits.size(1), bank.size(1)});
}

// The same of what a file keeps of them: weights (a, b, topk - 1), indices (a, b, topk).
Tensor kept_pieces(const Tensor& weights, const Tensor& indices, const Tensor& bank) {
  static const tenon::Operator select("aten::index_select");
  static const tenon::Operator sum("aten::sum", "dim_IntList");
  const std::int64_t topk = indices.size(2);
  const Tensor last = 1 - sum(weights, Shape{-1}, true);
  const Tensor all = reshape(methods::cat({weights, last}, -1), {-1, 1, topk});
  const Tensor places = reshape(to_dtype(indices, TENON_DTYPE_INT64), {-1});
  const Tensor vectors = reshape(select(bank, std::int64_t{0}, places), {-1, topk, bank.size(1)});
  return reshape(matmul(all, vectors), {indices.size(0), indices.size(1), bank.size(1)});
}

// PEFT: _get_adapter_state_dict.
std::int32_t dtype_of_indices(std::int64_t vectors) {
  if (vectors < 1 << 8) return TENON_DTYPE_UINT8;
  return vectors < 1 << 15 ? TENON_DTYPE_INT16 : TENON_DTYPE_INT32;
}

struct VbLoraLinear : methods::AdditiveLayer<VbLoraLinear> {
  static constexpr tenon::layer_type kType{
      .id = "tenon.vblora",
      .method = "vblora",
      .base = "torch.nn.Linear;transformers.pytorch_utils.Conv1D",
      .title = "vblora.Linear",
      .doc = "A low-rank update of shared vectors."};

  static void validate(const Setup& setup) {
    const auto length = setup.option<std::int64_t>("vector_length");
    for (const std::int64_t size : sizes_of(setup.base())) {
      if (size % length == 0) continue;
      throw tenon::Failure(TENON_UNSUPPORTED, "vector_length " + std::to_string(length) +
                                                  " does not divide its size " +
                                                  std::to_string(size));
    }
    if (setup.option<std::int64_t>("topk") <= setup.option<std::int64_t>("num_vectors")) return;
    throw tenon::Failure(TENON_UNSUPPORTED, "topk is more than num_vectors");
  }

  static State prepare(const Setup& setup) {
    return {setup.option<double>("vblora_dropout"), setup.option<std::int64_t>("topk"),
            methods::is_stored_transposed(setup.base()),
            !setup.option<bool>("save_only_topk_weights")};
  }

  static void add_adapter(Setup& setup) {
    const auto r = setup.option<std::int64_t>("r");
    const auto vectors = setup.option<std::int64_t>("num_vectors");
    const auto length = setup.option<std::int64_t>("vector_length");
    const Shape sizes = sizes_of(setup.base());
    if (setup.option<bool>("save_only_topk_weights")) return add_kept(setup, sizes);
    const auto drawn = tenon::Init::normal(0, setup.option<double>("init_logits_std"));
    const auto bound = setup.option<double>("init_vector_bank_bound");
    setup.parameter("vblora_logits_A", {r, sizes[1] / length, vectors}, drawn);
    setup.parameter("vblora_logits_B", {sizes[0] / length, r, vectors}, drawn);
    setup.shared_parameter("vblora_vector_bank", {vectors, length},
                           tenon::Init::uniform(-bound, bound));
  }

  static double input_dropout(const tenon::Adapter& adapter) {
    return adapter.state<State>().dropout;
  }

  static Tensor delta(const methods::Change& change) {
    const auto& state = change.adapter.state<State>();
    const auto parameter = [&](std::uint32_t i) { return change.adapter.parameter(i); };
    const Tensor bank = parameter(state.has_logits ? kBank : kBankOfIndices);
    const Tensor of_a = state.has_logits
                            ? pieces(parameter(kLogitsA), bank, state.topk)
                            : kept_pieces(parameter(kWeightsA), parameter(kWeightsA + 1), bank);
    const Tensor of_b = state.has_logits
                            ? pieces(parameter(kLogitsB), bank, state.topk)
                            : kept_pieces(parameter(kWeightsB), parameter(kWeightsB + 1), bank);
    const std::int64_t r = of_a.size(0);
    const Tensor a = reshape(of_a, {r, -1});
    const Tensor b = reshape(transpose(of_b, 1, 2), {-1, r});
    const Tensor update = matmul(b, a);
    return state.turns ? transpose(update, 0, 1) : update;
  }

 private:
  // What a file without logits has; nothing of it can be trained.
  static void add_kept(Setup& setup, const Shape& sizes) {
    const auto r = setup.option<std::int64_t>("r");
    const auto topk = setup.option<std::int64_t>("topk");
    const auto vectors = setup.option<std::int64_t>("num_vectors");
    const auto length = setup.option<std::int64_t>("vector_length");
    const auto zeros = tenon::Init::zeros();
    const auto add = [&](const std::string& name, std::int64_t first, std::int64_t second) {
      setup.parameter(name + "_topk_weights", {first, second, topk - 1}, zeros,
                      TENON_PARAMETER_BUFFER);
      setup.parameter(name + "_topk_indices", {first, second, topk}, zeros, TENON_PARAMETER_BUFFER,
                      dtype_of_indices(vectors));
    };
    add("vblora_logits_A", r, sizes[1] / length);
    add("vblora_logits_B", sizes[0] / length, r);
    setup.shared_parameter("vblora_vector_bank", {vectors, length}, zeros, TENON_PARAMETER_BUFFER);
  }
};

}  // namespace

TENON_PLUGIN("tenon.vblora", "1.0.0", VbLora, VbLoraLinear)
