#pragma once

#include <functional>
#include <ostream>
#include <string>
#include <vector>

#include "capture/larger_models.h"
#include "capture/mlp_model.h"
#include "capture/models.h"
#include "capture/unusual_models.h"

// The models of models.h and mlp_model.h with example inputs, for tests that go through all.
namespace tenon {

struct ModelCase {
  std::string name;
  std::function<CallableModel()> make;
  std::int64_t batch_dimension = 0;
  std::vector<std::string> adaptable = {};    // by LoRA
  std::vector<std::string> unadaptable = {};  // run too, but no plugin takes their type
  std::string note = {};                      // that the capture gives
  std::string merge_refusal = {};             // why the adapted layers cannot be merged
};

inline void PrintTo(const ModelCase& model, std::ostream* out) { *out << model.name; }

template <typename Model>
std::function<CallableModel()> with(std::vector<Tensor> examples) {
  return [examples] { return callable_model(std::make_shared<Model>(), examples); };
}

inline Tensor ids(std::int64_t count, const std::vector<std::int64_t>& shape) {
  return at::randint(count, shape, at::kLong);
}

inline std::vector<ModelCase> model_cases() {
  return {
      {"mlp", with<MlpImpl>({at::randn({4, 20})}), 0, {"first", "second", "last"}},
      {"sequential",
       [] {
         return callable_model(sequential_mlp(), {at::randn({4, 20})});
       },
       0,
       {"0", "2", "4"}},
      {"conv_net",
       with<ConvNetImpl>({at::randn({2, 3, 8, 8})}),
       0,
       {"conv", "depthwise", "head"},
       {"norm"},
       {},
       "lora_A sees all input channels, a kernel of 8 groups only those of its group"},
      {"conv1d_net", with<Conv1dNetImpl>({at::randn({2, 4, 9})}), 0, {"down", "up"}, {"norm"}},
      {"conv3d_net",
       with<Conv3dNetImpl>({at::randn({2, 2, 4, 4, 4})}),
       0,
       {"down", "up"},
       {"norm", "prelu"}},
      {"upsample_net", with<UpsampleNetImpl>({at::randn({2, 2, 3, 3})}), 0, {"up"}},
      {"tagger", with<TaggerImpl>({ids(11, {3, 7})}), 0, {"embedding", "lstm", "head"}},
      {"gru_net", with<GruNetImpl>({at::randn({3, 4, 3})}), 0, {"gru", "head"}},
      {"rnn_net", with<RnnNetImpl>({at::randn({3, 4, 3})}), 0, {"rnn"}},
      {"cells", with<CellsImpl>({at::randn({3, 3})}), 0, {"rnn", "gru", "lstm"}},
      {"self_attention", with<SelfAttentionImpl>({at::randn({5, 3, 8})}), 1, {"attention"}},
      {"cross_attention",
       with<CrossAttentionImpl>({at::randn({4, 3, 8}), at::randn({6, 3, 8})}),
       1,
       {"attention"},
       {"norm"}},
      {"transformer_net",
       with<TransformerNetImpl>({at::randn({5, 3, 8})}),
       1,
       {"encoder.layers.0.self_attn", "encoder.layers.0.linear1", "encoder.layers.1.linear2"},
       {"encoder.layers.0.norm1"}},
      {"bag", with<BagImpl>({ids(9, {3, 4})}), 0, {"bag", "head"}},
      {"bilinear_net",
       with<BilinearNetImpl>({at::randn({3, 3}), at::randn({3, 4})}),
       0,
       {"bilinear"}},
      {"residual_net",
       with<ResidualNetImpl>({at::randn({2, 5, 6})}),
       0,
       {"blocks.0.fc", "blocks.2.fc", "head"},
       {"blocks.2.norm"}},
      {"shared_layer", with<SharedLayerImpl>({at::randn({3, 4})}), 0, {"fc"}},
      {"tied",
       with<TiedImpl>({ids(7, {3, 4})}),
       0,
       {"embedding"},
       {},
       {},
       "`embedding.weight`, which aten::"},
      {"many_ways",
       with<ManyWaysImpl>({at::randn({3, 3}), at::randn({3, 4})}),
       0,
       {"first", "second"}},
      {"own_types", with<OwnTypesImpl>({at::randn({3, 6})}), 0, {"position", "fc"}, {"scale"}},
      {"noisy", with<NoisyImpl>({at::randn({3, 4})}), 0, {"fc"}},
      {"gpt",
       with<GptImpl>({ids(13, {2, 5})}),
       0,
       {"tokens", "positions", "blocks.0.qkv", "blocks.1.out", "blocks.1.mlp.0", "blocks.0.mlp.2"},
       {"blocks.0.norm1"},
       {},
       "`tokens.weight`, which aten::t reads too"},
      {"res_net",
       with<ResNetImpl>({at::randn({2, 3, 8, 8})}),
       0,
       {"layers.0.conv1", "layers.1.conv2", "layers.1.shortcut.0", "fc"},
       {"layers.0.bn1", "layers.1.shortcut.1"}},
      {"u_net", with<UNetImpl>({at::randn({2, 2, 8, 8})}), 0, {"enter", "middle", "leave"}},
      {"vae",
       with<VaeImpl>({at::randn({3, 6})}),
       0,
       {"encoder.0", "to_mean", "to_variance", "decoder.0", "decoder.2"}},
      {"siamese",
       with<SiameseImpl>({at::randn({3, 5}), at::randn({3, 5})}),
       0,
       {"encoder.0", "encoder.2"}},
      {"experts", with<ExpertsImpl>({at::randn({3, 5})}), 0, {"gate", "experts.0", "experts.2"}},
      {"squeeze", with<SqueezeImpl>({at::randn({2, 2, 5, 5})}), 0, {"conv", "fc1", "fc2"}},
      {"seq2seq",
       with<Seq2SeqImpl>({at::randn({3, 4, 3}), at::randn({3, 2, 2})}),
       0,
       {"encoder", "decoder", "project"},
       {},
       "dimension 1 of `input_1` is fixed to 2"},
      {"translator",
       with<TranslatorImpl>({at::randn({5, 3, 8}), at::randn({4, 3, 8})}),
       1,
       {"transformer.encoder.layers.0.self_attn", "transformer.decoder.layers.0.multihead_attn",
        "transformer.decoder.layers.0.linear2"},
       {"transformer.decoder.norm"}},
      {"normed_weight", with<NormedWeightImpl>({at::randn({3, 5})}), 0, {"fc"}},
      {"containers",
       with<ContainersImpl>({at::randn({3, 2, 3})}),
       0,
       {"stem.1", "heads.first", "heads.second"},
       {"stem.2"}},
      {"moving_mean", with<MovingMeanImpl>({at::randn({3, 3})}), 0, {"frozen", "fc"}},
      {"masked", with<MaskedImpl>({at::randn({3, 3})}), 0, {"fc", "last"}},
      {"double", with<DoubleImpl>({at::randn({3, 4})}), 0, {"fc"}, {"norm"}},
      {"padded_u_net",
       with<PaddedUNetImpl>({at::randn({2, 2, 6, 6})}),
       0,
       {"down", "up", "exact", "leave"}},
      {"norms", with<NormsImpl>({at::randn({2, 2, 6, 6})}), 0, {"conv", "fc"}, {"group", "leaky"}},
      {"weighted_bag",
       with<WeightedBagImpl>({ids(9, {3, 4}), at::randn({3, 4})}),
       0,
       {"bag", "head"}},
      {"padded_attention",
       with<PaddedAttentionImpl>({at::randn({3, 4, 8}), at::randn({3, 5, 6}), at::randn({3, 5})}),
       0,
       {"attention"}},
      {"rotary", with<RotaryImpl>({at::randn({2, 5, 8})}), 0, {"query", "key", "value", "out"}},
      {"tied_head", with<TiedHeadImpl>({ids(7, {3, 4})}), 0, {"fc"}},
      {"stateful_lstm",
       with<StatefulLstmImpl>({at::randn({3, 4, 3}), at::randn({3, 2}), at::randn({3, 5})}),
       0,
       {"lstm"}},
      {"cell_loop",
       with<CellLoopImpl>({at::randn({3, 4, 3})}),
       0,
       {"cell", "out"},
       {},
       "dimension 1 of `input` is fixed to 4"},
      {"patches",
       with<PatchesImpl>({at::randn({2, 3, 8, 8})}),
       0,
       {"embed", "mix", "head"},
       {},
       {},
       "a kernel of 2 groups only those of its group"},
      {"dropouts", with<DropoutsImpl>({at::randn({3, 2, 5, 5})}), 0, {"conv", "fc"}},
      {"signals", with<SignalsImpl>({at::randn({3, 6})}), 0, {"fc", "last"}},
      {"halved", with<HalvedImpl>({at::randn({3, 8})}), 0, {"fc", "last"}},
      {"arithmetic",
       with<ArithmeticImpl>({at::randn({4, 5, 4})}),
       0,
       {"fc"},
       {},
       "dimension 1 of `input` is fixed to 5"},
  };
}

}  // namespace tenon
