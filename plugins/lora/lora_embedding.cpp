// LoRA on embeddings: y = W[ids] + s * A^T[ids] B^T   (PEFT: tuners/lora/layer.py, Embedding).
// W (rows, size); A (r, rows); B (size, r). The look-up in A^T is the base itself run on A^T for
// its weight, so that it has the base's padding_idx, max_norm and whatever else its forward does:
// transformers' scaled embeddings multiply it as they multiply W[ids].
//
// EmbeddingBag, which PEFT does not have: the same with the mean or sum of each bag. What is not
// linear in the weight, the mode "max" and max_norm, runs on W + s * (B A)^T instead.
#include <string>

#include <tenon/sdk.hpp>

#include "lora/fully_connected.hpp"

namespace {

using tenon::Tensor;

// PEFT starts embeddings the other way round: A at zero, B normal; false is normal for both.
void add_pair(tenon::Setup& setup) {
  const tenon::Shape shape = setup.base().weight("weight").shape;
  if (shape.size() != 2) {
    throw tenon::Failure(TENON_UNSUPPORTED, "the weight is not a matrix");
  }
  const bool random = lora::start_of(setup) == "random";
  setup.parameter("lora_embedding_A", {lora::layer_rank(setup), shape[0]},
                  random ? tenon::Init::normal(0, 1) : tenon::Init::zeros());
  setup.parameter("lora_embedding_B", {shape[1], lora::layer_rank(setup)},
                  tenon::Init::normal(0, 1));
}

bool renormalises(const tenon::Base& base) {
  return base.find_attribute<double>("max_norm").has_value();
}

void require_rows_as_they_are(const tenon::Base& base) {
  if (!renormalises(base)) return;
  throw tenon::Failure(TENON_UNSUPPORTED,
                       "with max_norm the embedding would scale down the merged rows, not each of "
                       "the two as while training");
}

Tensor updated_weight(const tenon::Call& call, const tenon::Weight& weight) {
  Tensor merged = call.weight(weight);
  for (const tenon::Adapter& adapter : call.adapters()) {
    const Tensor delta = matmul(adapter.parameter(lora::kB), adapter.parameter(lora::kA));
    merged = lora::add_term(merged, transpose(delta, 0, 1), adapter.scaling());
  }
  return merged;
}

// The rows of A^T that the base looks up.
Tensor look_up(const tenon::Call& call, const tenon::Adapter& adapter) {
  const Tensor rows = transpose(adapter.parameter(lora::kA), 0, 1);
  return call.base(call.inputs(), {{call.base_info().weight("weight"), rows}})[0];
}

// The same by the operator alone, of a base that does more.
Tensor look_up_alone(const tenon::Call& call, const tenon::Adapter& adapter) {
  static const tenon::Operator embedding("aten::embedding");
  const Tensor rows = transpose(adapter.parameter(lora::kA), 0, 1);
  return embedding(rows, call.input(), call.base_info().attribute<std::int64_t>("padding_idx"));
}

// The base plus the low-rank look-up of each adapter.
Tensor looked_up(const tenon::Call& call) {
  Tensor y = call.base()[0];
  for (const tenon::Adapter& adapter : call.adapters()) {
    const Tensor term = linear(look_up(call, adapter), adapter.parameter(lora::kB));
    y = lora::add_term(y, term, adapter.scaling());
  }
  return y;
}

struct LoraEmbedding : tenon::Layer<LoraEmbedding> {
  static constexpr tenon::layer_type kType{.id = "tenon.lora-embedding",
                                           .method = "lora",
                                           .base = "torch.nn.Embedding",
                                           .title = "lora.Embedding",
                                           .doc = "Low-rank update of an embedding's rows.",
                                           .flags = TENON_LAYER_BESIDE};
  static constexpr const tenon_factor_form& kFactors = lora::kPairs[1];

  static void validate(const Setup& setup) { lora::tell_dropout_ignored(setup, kType.id); }

  static void add_adapter(Setup& setup) {
    add_pair(setup);
    if (lora::variant_of(setup).bias) {
      throw tenon::Failure(TENON_UNSUPPORTED, "lora_bias is not for embeddings");
    }
    const std::int64_t size = setup.base().weight("weight").shape[1];
    lora::add_variant(setup, size, {size});
  }
  static void group(const Setup& setup, std::uint32_t parameter, tenon::Group& group) {
    lora::group_variant(setup, parameter, true, group);
    if (parameter <= lora::kB) group.flags |= TENON_GROUP_EMBEDDING;
  }
  static lora::Variant prepare(const Setup& setup) { return lora::variant_of(setup); }
  static void initialise(const Setup& setup, Start& start) {
    if (!lora::variant_of(setup).dora) return;
    const Tensor rows = transpose(start.weight("weight"), 0, 1);
    start.set_parameter(lora::kMagnitude,
                        lora::row_norms(rows, start.parameter(lora::kA), start.parameter(lora::kB),
                                        start.scaling()));
  }

  static Outputs forward(Call& call) {
    Tensor y = call.base()[0];
    for (const tenon::Adapter& adapter : call.adapters()) {
      const Tensor b = adapter.parameter(lora::kB);
      const bool beside = adapter.state<lora::Variant>().beside;
      const Tensor rows_of_a = beside ? look_up_alone(call, adapter) : look_up(call, adapter);
      const Tensor term = linear(rows_of_a, b);
      if (!adapter.state<lora::Variant>().dora) {
        y = lora::add_term(y, term, adapter.scaling());
        continue;
      }
      const Tensor rows = transpose(call.weight("weight"), 0, 1);
      const Tensor norms = lora::row_norms(rows, adapter.parameter(lora::kA), b, adapter.scaling());
      const Tensor scale = lora::dora_scale(adapter.parameter(lora::kMagnitude), norms);
      y = lora::add_dora(y, y, term, scale, adapter.scaling(), {b.size(0)});
    }
    return y;
  }

  static void check_mergeable(const Setup& setup) { require_rows_as_they_are(setup.base()); }

  static Tensor merged_weight(Call& call, const Weight& weight) {
    if (weight.name != "weight") return {};
    require_rows_as_they_are(call.base_info());
    return transpose(lora::merged_rows(call, transpose(call.weight(weight), 0, 1)), 0, 1);
  }
};

struct LoraEmbeddingBag : tenon::Layer<LoraEmbeddingBag> {
  static constexpr tenon::layer_type kType{.id = "tenon.lora-embedding-bag",
                                           .method = "lora",
                                           .base = "torch.nn.EmbeddingBag",
                                           .title = "lora.EmbeddingBag",
                                           .doc = "Low-rank update of the rows of bags.",
                                           .flags = TENON_LAYER_BESIDE};
  static constexpr const tenon_factor_form& kFactors = lora::kPairs[1];

  static void validate(const Setup& setup) { lora::tell_dropout_ignored(setup, kType.id); }

  static void add_adapter(Setup& setup) { add_pair(setup); }
  static void group(const Setup&, std::uint32_t parameter, tenon::Group& group) {
    lora::group_pair(parameter, group);
    group.flags |= TENON_GROUP_EMBEDDING;
  }

  static Outputs forward(Call& call) {
    constexpr std::int64_t kMax = 2;  // EmbeddingBag's mode as aten::embedding_bag counts it
    const bool is_linear =
        call.base_info().attribute<std::int64_t>("mode") != kMax && !renormalises(call.base_info());
    if (is_linear) return looked_up(call);
    const Weight weight = call.base_info().weight("weight");
    return call.base(call.inputs(), {{weight, updated_weight(call, weight)}});
  }

  static Tensor merged_weight(Call& call, const Weight& weight) {
    return weight.name == "weight" ? updated_weight(call, weight) : Tensor();
  }
};

}  // namespace

TENON_PLUGIN("tenon.lora-embedding", "0.1.0", LoraEmbedding, LoraEmbeddingBag)
