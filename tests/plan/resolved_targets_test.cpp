#include "plan/resolved_targets.h"

#include "support/error_matchers.h"
#include "support/lora_model.h"

namespace tenon {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using testing::error_text;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::small_mlp;

// seq.0 and seq.2 with a ReLU between them, and the output layer seq.4; the root of another class.
ModelData model_of(const std::string& root) {
  ModelData model = small_mlp();
  model.tree.modules.front().type = root;
  return model;
}

void set_type(ModelData& model, const char* path, const char* type) {
  model.tree.modules[static_cast<std::size_t>(model.tree.find(path))].type = type;
}

AdapterConfig all_linear(const char* text = "all-linear") {
  AdapterConfig config;
  config.target_modules = Regex{text};
  return config;
}

ModuleRule named_modules(std::vector<std::string> list) { return list; }

TEST(ResolvedTargets, AllLinearIsEveryFullyConnectedLayerButTheOutputLayer) {
  for (const char* text : {"all-linear", "All-Linear"}) {
    const ResolvedTargets resolved = resolve_targets(all_linear(text), small_mlp());
    EXPECT_TRUE(resolved.all_linear);
    EXPECT_EQ(resolved.config.target_modules, named_modules({"seq.0", "seq.2"}));
    EXPECT_THAT(resolved.notes,
                ElementsAre("all-linear leaves out `seq.4`, the model's output layer"));
  }
}

TEST(ResolvedTargets, AllLinearTakesSubclassesThatOnlyRunTheProductAndTellsOfOthers) {
  ModelData model = small_mlp();
  set_type(model, "seq.0", "acme.Gated");
  set_type(model, "seq.2", "acme.Plain");
  // seq.0 applies its ReLU itself.
  const ModuleId relu = model.tree.find("seq.1");
  for (Node& node : model.graph.nodes) {
    if (node.module_stack.back() == relu) node.module_stack.back() = model.tree.find("seq.0");
  }
  const ResolvedTargets resolved = resolve_targets(all_linear(), model);
  EXPECT_EQ(resolved.config.target_modules, named_modules({"seq.2"}));
  EXPECT_THAT(resolved.notes,
              Contains(std::string("all-linear leaves out `seq.0`: its class acme.Gated runs more "
                                   "than the product with its weight; name the layer to adapt "
                                   "it")));
}

TEST(ResolvedTargets, AllLinearTakesAClassThatDoesMoreForALinearByItsName) {
  ModelData model = small_mlp();
  set_type(model, "seq.0", "acme.GatedLinear");
  const ModuleId relu = model.tree.find("seq.1");
  for (Node& node : model.graph.nodes) {
    if (node.module_stack.back() == relu) node.module_stack.back() = model.tree.find("seq.0");
  }
  EXPECT_EQ(resolve_targets(all_linear(), model).config.target_modules,
            named_modules({"seq.0", "seq.2"}));
}

TEST(ResolvedTargets, AllLinearTellsOnceOfLayersThatDoNothing) {
  ModelData model = small_mlp();
  for (Node& node : model.graph.nodes) {  // seq.4 reads the model's input
    if (node.module_stack.back() == model.tree.find("seq.4")) {
      node.arguments.front().value = {model.graph.inputs.front()};
    }
  }
  const std::string text = error_text([&] { resolve_targets(all_linear(), model); });
  EXPECT_THAT(text, HasSubstr("finds no fully connected layer but the output layer"));
  set_type(model, "seq.4", "torch.nn.Bilinear");
  model.graph.outputs.push_back({std::ranges::find_if(model.graph.nodes,
                                                      [&](const Node& node) {
                                                        return node.module_stack.back() ==
                                                               model.tree.find("seq.0");
                                                      })
                                     ->results[0]
                                     .values[0]});
  const ResolvedTargets resolved = resolve_targets(all_linear(), model);
  EXPECT_EQ(resolved.config.target_modules, named_modules({"seq.0"}));
  EXPECT_THAT(resolved.notes,
              Contains(std::string("all-linear leaves out `seq.2`: it has no operator that the "
                                   "program's outputs depend on: its result is unused, or the "
                                   "export left it out")));
}

TEST(ResolvedTargets, AllLinearFindingOnlyTheOutputLayerIsAnError) {
  ModelData model = small_mlp();
  set_type(model, "seq.0", "torch.nn.Bilinear");
  set_type(model, "seq.2", "torch.nn.Bilinear");
  EXPECT_THAT(error_text([&] { resolve_targets(all_linear(), model); }),
              HasSubstr("target_modules = \"all-linear\" finds no fully connected layer but the "
                        "output layer"));
  set_type(model, "seq.4", "torch.nn.Bilinear");
  EXPECT_THAT(error_text([&] { resolve_targets(all_linear(), model); }),
              HasSubstr("target_modules = \"all-linear\" finds no fully connected layer\n"));
}

// As a method's plugin has them.
const DefaultTargets kPresets = {{"llama", named_modules({"q_proj", "v_proj"})}};

TEST(ResolvedTargets, MissingTargetsAreTheCustomForTheModelsType) {
  const ResolvedTargets resolved = resolve_targets(
      AdapterConfig(), model_of("transformers.models.llama.modeling_llama.LlamaForCausalLM"), {},
      kPresets);
  EXPECT_FALSE(resolved.all_linear);
  EXPECT_EQ(resolved.config.target_modules, named_modules({"q_proj", "v_proj"}));
  EXPECT_THAT(resolved.notes, ElementsAre("target_modules is not given; taken for models of type "
                                          "llama: q_proj, v_proj"));
}

TEST(ResolvedTargets, MissingTargetsWithoutAPresetAreAnError) {
  const auto error_of = [](const std::string& root) {
    return error_text([&] { resolve_targets(AdapterConfig(), model_of(root), {}, kPresets); });
  };
  EXPECT_THAT(error_of("acme.Net"), HasSubstr("target_modules is missing, and there is no preset "
                                              "for a model of class acme.Net"));
  EXPECT_THAT(error_of("transformers.models.vits.modeling_vits.VitsModel"),
              HasSubstr("there is no preset for models of type vits"));
}

TEST(ResolvedTargets, GivenTargetsStayAsTheyAre) {
  AdapterConfig parameters;
  parameters.target_parameters = {"seq.0.weight"};
  AdapterConfig given;
  given.target_modules = named_modules({"seq.0"});
  AdapterConfig other_method;
  other_method.method = "ia3";
  for (const AdapterConfig& config : {parameters, given, other_method}) {
    const ResolvedTargets resolved = resolve_targets(
        config, small_mlp(), {}, config.method == "lora" ? kPresets : DefaultTargets());
    EXPECT_EQ(resolved.config.target_modules, config.target_modules);
    EXPECT_THAT(resolved.notes, IsEmpty());
  }
}

TEST(ResolvedTargets, ABlockIsTheFullyConnectedLayersInIt) {
  const ModelData model = small_mlp("float32", /*with_head=*/true);
  AdapterConfig config;
  config.target_modules = named_modules({"seq.2", "head.*"});
  const std::vector<std::string> served = {"torch.nn.Conv2d", "torch.nn.Linear"};
  EXPECT_EQ(resolve_targets(config, model, served).config.target_modules,
            named_modules({"seq.2", "head.0", "head.1"}));
  config.method = "ln_tuning";
  EXPECT_THAT(error_text([&] { resolve_targets(config, model, {"torch.nn.LayerNorm"}); }),
              HasSubstr("no layer in `head` is of a type that method ln_tuning takes"));
  config.target_modules = named_modules({"haed.*"});
  EXPECT_THAT(error_text([&] { resolve_targets(config, model); }),
              HasSubstr("`haed.*` in target_modules: there is no module `haed`; did you mean "
                        "`head`?"));
}

}  // namespace
}  // namespace tenon
