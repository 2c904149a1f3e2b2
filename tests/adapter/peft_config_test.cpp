#include "adapter/peft_config.h"

#include "base/json.h"
#include "plan/method_config.h"
#include "plugin/plugin_registry.h"
#include "support/adapter_keys.h"
#include "support/error_matchers.h"

namespace tenon {
namespace {

using ::testing::ElementsAre;
using testing::error_text;
using ::testing::HasSubstr;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

// What PEFT 0.21.2 saved for LoraConfig(target_modules=["seq.0", "seq.2"],
// modules_to_save=["seq.4"], lora_alpha=16, lora_dropout=0.1, rank_pattern={"seq.0": 4},
// alpha_pattern={"seq.2": 1.5}).
constexpr const char* kPeftText = R"({
  "alora_invocation_tokens": null,
  "alpha_pattern": {
    "seq.2": 1.5
  },
  "arrow_config": null,
  "auto_mapping": {
    "base_model_class": "MLP",
    "parent_library": "__main__"
  },
  "base_model_name_or_path": null,
  "bias": "none",
  "corda_config": null,
  "ensure_weight_tying": false,
  "eva_config": null,
  "exclude_modules": null,
  "fan_in_fan_out": false,
  "inference_mode": true,
  "init_lora_weights": true,
  "kasa_config": null,
  "layer_replication": null,
  "layers_pattern": null,
  "layers_to_transform": null,
  "loftq_config": {},
  "lora_alpha": 16,
  "lora_bias": false,
  "lora_dropout": 0.1,
  "lora_ga_config": null,
  "megatron_config": null,
  "megatron_core": "megatron.core",
  "modules_to_save": [
    "seq.4"
  ],
  "monteclora_config": null,
  "peft_type": "LORA",
  "peft_version": "0.21.2",
  "qalora_group_size": 16,
  "r": 8,
  "rank_pattern": {
    "seq.0": 4
  },
  "revision": null,
  "target_modules": [
    "seq.0",
    "seq.2"
  ],
  "target_parameters": null,
  "task_type": null,
  "trainable_token_indices": null,
  "use_bdlora": null,
  "use_dora": false,
  "use_qalora": false,
  "use_rslora": false,
  "velora_config": null
})";

using Names = std::vector<std::string>;

const MethodTable& methods() {
  static const PluginRegistry plugins({}, {TENON_TEST_PLUGINS});
  return plugins.methods();
}

AdapterConfig complete(AdapterConfig config) {
  return with_method(std::move(config), methods()).config;
}

AdapterConfig read_alone(const std::string& text) {
  return read_peft_config(text, "adapter_config.json");
}

// With the keys that its method declares.
AdapterConfig read(const std::string& text) { return complete(read_alone(text)); }

OptionValue key(const AdapterConfig& config, const std::string& name) {
  return config.method_keys.at(name);
}

OptionValue whole(std::int64_t number) { return number; }

// The smallest config that PEFT loads, with more keys after it.
std::string lora_with(const std::string& keys) {
  return R"({"peft_type":"LORA","r":4,"lora_alpha":8,"target_modules":["q"])" +
         (keys.empty() ? "" : "," + keys) + "}";
}

OrderedJson written(const AdapterConfig& config) {
  return OrderedJson::parse(write_peft_config(complete(config), "", ""));
}

TEST(PeftConfigTest, WrittenTextIsPeftsOwn) {
  AdapterConfig config;
  config.target_modules = Names{"seq.0", "seq.2"};
  config.modules_to_save = {"seq.4"};
  config.method_keys = {{"lora_alpha", 16.0},
                        {"lora_dropout", 0.1},
                        {"rank_pattern", testing::patterns({{"seq.0", 4}})},
                        {"alpha_pattern", testing::table({{"seq.2", 1.5}})}};
  EXPECT_EQ(write_peft_config(complete(config), "MLP", "__main__"), kPeftText);
}

TEST(PeftConfigTest, PeftsOwnTextIsRead) {
  const AdapterConfig config = read(kPeftText);
  EXPECT_EQ(config.method, "lora");
  EXPECT_EQ(config.target_modules, ModuleRule(Names{"seq.0", "seq.2"}));
  EXPECT_EQ(config.exclude_modules, ModuleRule());
  EXPECT_EQ(config.modules_to_save, Names{"seq.4"});
  EXPECT_EQ(key(config, "r"), whole(8));
  EXPECT_EQ(key(config, "lora_alpha"), whole(16));
  EXPECT_EQ(key(config, "lora_dropout"), OptionValue(0.1));
  EXPECT_EQ(key(config, "use_rslora"), OptionValue(false));
  EXPECT_EQ(key(config, "init_lora_weights"), OptionValue(true));
  EXPECT_EQ(key(config, "rank_pattern"), testing::patterns({{"seq.0", 4}}));
  EXPECT_EQ(key(config, "alpha_pattern"), testing::table({{"seq.2", 1.5}}));
  EXPECT_EQ(config.location, "adapter_config.json");
  EXPECT_TRUE(config.explicit_keys.contains("rank_pattern"));
  const BaseModelClass base = read_base_model_class(kPeftText, "adapter_config.json");
  EXPECT_EQ(base.name, "MLP");
  EXPECT_EQ(base.parent_library, "__main__");
}

TEST(PeftConfigTest, EverySettingSurvivesWritingAndReading) {
  AdapterConfig config;
  config.target_modules = Regex{R"(.*\.(q|v)_proj)"};
  config.exclude_modules = Names{"head", "größe"};
  config.layers_to_transform = {0, 3};
  config.layers_pattern = {"layers"};
  config.is_saved = true;
  config.method_keys = {{"r", whole(32)},        {"lora_alpha", 0.5},
                        {"use_rslora", true},    {"init_lora_weights", std::string("gaussian")},
                        {"use_dora", true},      {"lora_bias", true},
                        {"fan_in_fan_out", true}};
  config.bias = "lora_only";
  config.trainable_tokens = {{"emb", {3, 1}}, {"b.emb", {2}}};
  config.ensure_weight_tying = true;
  const AdapterConfig back = read(write_peft_config(complete(config), "", ""));
  EXPECT_EQ(back.target_modules, config.target_modules);
  EXPECT_EQ(back.exclude_modules, config.exclude_modules);
  EXPECT_EQ(back.layers_to_transform, config.layers_to_transform);
  EXPECT_EQ(back.layers_pattern, config.layers_pattern);
  for (const auto& [name, value] : config.method_keys) EXPECT_EQ(key(back, name), value) << name;
  EXPECT_EQ(back.bias, "lora_only");
  EXPECT_EQ(back.trainable_tokens, config.trainable_tokens);
  EXPECT_TRUE(back.ensure_weight_tying);
}

TEST(PeftConfigTest, TokensOfTheInputEmbeddingAreAList) {
  AdapterConfig config;
  config.trainable_tokens = {{"", {7, 9}}};
  EXPECT_EQ(written(config)["trainable_token_indices"], OrderedJson({7, 9}));
  EXPECT_EQ(read(write_peft_config(complete(config), "", "")).trainable_tokens,
            config.trainable_tokens);
}

TEST(PeftConfigTest, PatternsKeepTheirOrderBecauseTheFirstMatchWins) {
  AdapterConfig config;
  config.method_keys = {{"rank_pattern", testing::patterns({{"z", 1}, {"a", 2}, {"m", 3}})},
                        {"alpha_pattern", testing::table({{"y", whole(1)}, {"b", 2.5}})}};
  const AdapterConfig back = read(write_peft_config(complete(config), "", ""));
  EXPECT_EQ(key(back, "rank_pattern"), config.method_keys.at("rank_pattern"));
  EXPECT_EQ(key(back, "alpha_pattern"), config.method_keys.at("alpha_pattern"));
}

TEST(PeftConfigTest, InitialisationsAreWrittenAsPeftNamesThem) {
  AdapterConfig config;
  EXPECT_EQ(written(config)["init_lora_weights"], true);
  config.method_keys["init_lora_weights"] = false;
  EXPECT_EQ(written(config)["init_lora_weights"], false);
  config.method_keys["init_lora_weights"] = std::string("PiSSA_niter_4");
  EXPECT_EQ(written(config)["init_lora_weights"], "pissa_niter_4");
}

TEST(PeftConfigTest, NamesOutsideAsciiAreEscapedAsPythonDoes) {
  AdapterConfig config;
  config.target_modules = Regex{"größe"};
  EXPECT_THAT(write_peft_config(complete(config), "", ""),
              HasSubstr(R"("target_modules": "gr\u00f6\u00dfe")"));
}

TEST(PeftConfigTest, UnknownRootClassLeavesAutoMappingNull) {
  EXPECT_TRUE(written(AdapterConfig())["auto_mapping"].is_null());
  EXPECT_EQ(read_base_model_class(lora_with(""), "x").name, "");
  EXPECT_EQ(read_base_model_class(lora_with(R"("auto_mapping":null)"), "x").name, "");
}

TEST(PeftConfigTest, MissingKeysTakePeftsDefaults) {
  const AdapterConfig config = read(R"({"peft_type":"LORA"})");
  EXPECT_EQ(key(config, "r"), whole(8));
  EXPECT_EQ(key(config, "lora_alpha"), whole(8));
  EXPECT_EQ(config.target_modules, ModuleRule());
  EXPECT_TRUE(config.modules_to_save.empty());
}

TEST(PeftConfigTest, SingleLayerAndSinglePatternBecomeLists) {
  const AdapterConfig config = read(lora_with(R"("layers_to_transform":3,"layers_pattern":"h")"));
  EXPECT_THAT(config.layers_to_transform, ElementsAre(3));
  EXPECT_THAT(config.layers_pattern, ElementsAre("h"));
}

// Keys that PEFT 0.10 to 0.21 writes and that change nothing here.
class HarmlessKeyTest : public ::testing::TestWithParam<const char*> {};

TEST_P(HarmlessKeyTest, IsAccepted) { EXPECT_EQ(key(read(lora_with(GetParam())), "r"), whole(4)); }

INSTANTIATE_TEST_SUITE_P(
    Keys, HarmlessKeyTest,
    ::testing::Values(
        R"("task_type":"CAUSAL_LM")", R"("base_model_name_or_path":"org/model")",
        R"("revision":"main")", R"("peft_version":"0.18.0")", R"("inference_mode":false)",
        R"("megatron_core":"megatron.core")", R"("megatron_config":null)", R"("loftq_config":{})",
        R"("runtime_config":{"ephemeral_gpu_offload":true})", R"("qalora_group_size":32)",
        R"("use_dora":false)", R"("bias":"none")", R"("layer_replication":null)",
        R"("layers_pattern":"")", R"("layers_pattern":[])", R"("init_lora_weights":null)",
        R"("init_lora_weights":"orthogonal")", R"("init_lora_weights":"eva")",
        R"("eva_config":{"rho":2.0})", R"("corda_config":{"cache_file":"x"})",
        R"("fan_in_fan_out":true)", R"("enable_lora":null)", R"("merge_weights":false)",
        R"("init_lora_weights":"Gaussian")", R"("lora_dropout":0)", R"("a_key_of_tomorrow":null)",
        R"("another_key":false)", R"("a_list":[])", R"("a_table":{})", R"("some_text":"")"));

struct BadKey {
  const char* name;
  const char* keys;
  const char* expected;
};

class BadKeyTest : public ::testing::TestWithParam<BadKey> {};

TEST_P(BadKeyTest, IsRejectedWithKeyAndValue) {
  const std::string text = error_text([] { read(lora_with(GetParam().keys)); });
  EXPECT_THAT(text, HasSubstr("adapter_config.json: the adapter's config cannot be used:"));
  EXPECT_THAT(text, HasSubstr(GetParam().expected));
}

INSTANTIATE_TEST_SUITE_P(
    Unsupported, BadKeyTest,
    ::testing::Values(
        BadKey{"LayerReplication", R"("layer_replication":[[0,4]])",
               "`layer_replication` = [[0,4]] is not supported"},
        BadKey{"Alora", R"("alora_invocation_tokens":[7])",
               "`alora_invocation_tokens` = [7] is not supported: aLoRA"},
        BadKey{"Qalora", R"("use_qalora":true)", "`use_qalora` = true is not supported: QALoRA"},
        BadKey{"Bdlora", R"("use_bdlora":{"nblocks":2})", "is not supported: BD-LoRA"},
        BadKey{"Kasa", R"("kasa_config":{"beta":1})",
               "`kasa_config` = {\"beta\" = 1} is not supported: KaSA"},
        BadKey{"Arrow", R"("arrow_config":{"top_k":3})", "is not supported: Arrow routing"},
        BadKey{"Velora", R"("velora_config":{"scale":1})", "is not supported: VeLoRA"},
        BadKey{"Monteclora", R"("monteclora_config":{"a":1})", "is not supported: MonteCLoRA"},
        BadKey{"Megatron", R"("megatron_config":{"a":1})",
               "is not supported: Megatron's parallel layers"},
        BadKey{"Mica", R"("init_lora_weights":"mica")",
               "`init_lora_weights` = \"mica\" is not supported: MiCA; PEFT's save_pretrained "
               "converts adapters that began by changing the base's weights"},
        BadKey{"Corda", R"("init_lora_weights":"corda")", "is not supported: CorDA"},
        BadKey{"LoraGa", R"("init_lora_weights":"lora_ga")", "is not supported: LoRA-GA"},
        BadKey{"Loftq", R"("init_lora_weights":"loftq")", "is not supported: LoftQ"},
        BadKey{"UnknownStart", R"("init_lora_weights":"pizza")", "not supported: an unknown start"},
        BadKey{"UnknownKey", R"("a_key_of_tomorrow":3)",
               "`a_key_of_tomorrow` is not a key of method lora"}),
    [](const auto& test) { return test.param.name; });

INSTANTIATE_TEST_SUITE_P(
    WrongTypes, BadKeyTest,
    ::testing::Values(
        BadKey{"Alpha", R"("alpha_pattern":{"q":"8"})",
               "`alpha_pattern.q` must be a number, not \"8\""},
        BadKey{"AlphaPattern", R"("alpha_pattern":[])",
               "`alpha_pattern` must be a table of module names"},
        BadKey{"Rank", R"("rank_pattern":{"q":0})",
               "`rank_pattern.q` must be an integer of at least 1, not 0"},
        BadKey{"RankPattern", R"("rank_pattern":7)",
               "`rank_pattern` must be a table of module names"},
        BadKey{"VariantByItsDefaults", R"("kasa_config":{})",
               "`kasa_config` = {} is not supported: KaSA"},
        BadKey{"BiasOfNull", R"("bias":null)", "`bias` must be a string, it is null"},
        BadKey{"DropoutOfNull", R"("lora_dropout":null)",
               "`lora_dropout` must be a number of at least 0 and at most 1, not null"},
        BadKey{"Dropout", R"("lora_dropout":1.5)",
               "`lora_dropout` must be a number of at least 0 and at most 1, not 1.5"},
        BadKey{"Dora", R"("use_dora":1)", "`use_dora` must be true or false, not 1"},
        BadKey{"Bias", R"("bias":"some")", "`bias` must be none, all or lora_only, not `some`"},
        BadKey{
            "Tokens", R"("trainable_token_indices":3)",
            "`trainable_token_indices` must be a list of token numbers or a table of such lists"},
        BadKey{"TokenList", R"("trainable_token_indices":{"emb":"all"})",
               "`trainable_token_indices.emb` must be a list of token numbers, it is \"all\""},
        BadKey{"Rslora", R"("use_rslora":"yes")",
               "`use_rslora` must be true or false, not \"yes\""},
        BadKey{"Init", R"("init_lora_weights":3)",
               "`init_lora_weights` must be true or false, or a string, not 3"},
        BadKey{"Exclude", R"("exclude_modules":[1])",
               "`exclude_modules` must be a regular expression or a list of names, it is [1]"},
        BadKey{"ModulesToSave", R"("modules_to_save":"head")",
               "`modules_to_save` must be a list of names, it is \"head\""},
        BadKey{"Layers", R"("layers_to_transform":["1"])",
               "`layers_to_transform` must be a whole number or a list of them, it is [\"1\"]"},
        BadKey{"LayersPattern", R"("layers_pattern":3)",
               "`layers_pattern` must be a name or a list of names, it is 3"}),
    [](const auto& test) { return test.param.name; });

TEST(PeftConfigTest, NullIsNotTheDefaultOfANumber) {
  const std::string text =
      error_text([] { read(R"({"peft_type":"LORA","r":null,"lora_alpha":null})"); });
  EXPECT_THAT(text, HasSubstr("`r` must be an integer of at least 1, not null"));
  EXPECT_THAT(text, HasSubstr("`lora_alpha` must be a number, not null"));
}

TEST(PeftConfigTest, AllProblemsAreReportedAtOnce) {
  const std::string text =
      error_text([] { read(R"({"peft_type":"LORA","r":0,"lora_alpha":"16","use_qalora":true})"); });
  EXPECT_EQ(text,
            "adapter_config.json: the adapter's config cannot be used:\n"
            "  `r` must be an integer of at least 1, not 0\n"
            "  `lora_alpha` must be a number, not \"16\"\n"
            "  `use_qalora` = true is not supported: QALoRA\n"
            "  train the adapter without what is not supported, or merge it into the model with "
            "PEFT");
}

TEST(PeftConfigTest, KeysOfAPluginsMethodArePlainValues) {
  const AdapterConfig config = read_alone(
      R"({"peft_type":"IA3","target_modules":["k","v"],"feedforward_modules":["v"],"depth":2,
          "init_ia3_weights":false,"modules_to_save":null,"revision":"main"})");
  EXPECT_EQ(config.peft_type, "IA3");
  EXPECT_EQ(config.method, "") << "which method it is, the plugins tell";
  EXPECT_EQ(config.target_modules, ModuleRule(std::vector<std::string>{"k", "v"}));
  EXPECT_THAT(
      config.method_keys,
      UnorderedElementsAre(Pair("feedforward_modules", OptionValue(std::vector<std::string>{"v"})),
                           Pair("depth", OptionValue(std::int64_t{2})),
                           Pair("init_ia3_weights", OptionValue(false))));
}

TEST(PeftConfigTest, ConfigOfAPluginsMethodIsWrittenAsPeftOrdersIt) {
  AdapterConfig config;
  config.method = "ia3";
  config.peft_type = "IA3";
  config.writes = {"exclude_modules"};
  config.target_modules = std::vector<std::string>{"k"};
  config.method_keys = {{"feedforward_modules", std::monostate()}, {"init_ia3_weights", true}};
  EXPECT_EQ(write_peft_config(config, "Net", "acme"), R"({
  "auto_mapping": {
    "base_model_class": "Net",
    "parent_library": "acme"
  },
  "base_model_name_or_path": null,
  "exclude_modules": null,
  "feedforward_modules": null,
  "inference_mode": true,
  "init_ia3_weights": true,
  "modules_to_save": null,
  "peft_type": "IA3",
  "peft_version": "0.21.2",
  "revision": null,
  "target_modules": [
    "k"
  ],
  "task_type": null
})");
}

TEST(PeftConfigTest, TextThatIsNoLoraConfigIsRefused) {
  EXPECT_THAT(error_text([] { read_alone("{}"); }),
              HasSubstr("the adapter's config has no `peft_type`"));
  EXPECT_THAT(error_text([] { read(R"({"peft_type":null})"); }),
              HasSubstr("`peft_type` null is not a text"));
  EXPECT_THAT(error_text([] { read("[]"); }),
              HasSubstr("the adapter's config is a list, not a table"));
  EXPECT_THAT(error_text([] { read("{\"r\": 8"); }),
              HasSubstr("adapter_config.json: the adapter's config is not valid JSON"));
  EXPECT_THAT(error_text([] { read(R"({"peft_type":"LORA","r":8,"r":9})"); }),
              HasSubstr("the adapter's config gives `r` twice"));
}

}  // namespace
}  // namespace tenon
