#include "plan/method_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <list>
#include <sstream>

#include "base/file.h"
#include "config/toml_reader.h"
#include "plan/factor_keys.h"
#include "support/adapter_keys.h"
#include "support/error_matchers.h"
#include "support/lora_model.h"
#include "support/temp_dir.h"

namespace tenon {
namespace {

using testing::error_text;
using ::testing::HasSubstr;
using testing::lora;
using testing::TempDir;
using ::testing::UnorderedElementsAreArray;

const MethodTable& methods() { return testing::built_in_plugins().methods(); }

OptionTable keys_of(AdapterConfig config) {
  return with_method(std::move(config), methods()).config.method_keys;
}

// What a config says of its [adapter], with the file's name cut off.
std::string told(const std::string& keys) {
  const TempDir dir;
  const auto file = dir.write(
      "c.toml", "[model]\npath = \"m.pt2\"\n[adapter]\ntarget_modules = [\"a\"]\n" + keys);
  const AdapterConfig config = read_run_config(file, {}, {.adapter = true}).adapters.at(0);
  const std::string text = error_text([&] { with_method(config, methods()); });
  return text.starts_with(file.string()) ? text.substr(file.string().size()) : text;
}

TEST(MethodConfigTest, MethodOfARefusedPluginIsNotSaidToBeMisspelt) {
  std::list<PluginInfo> plugins(1);
  plugins.front().offer.methods = {{"fancy", "FANCY"}};
  const MethodTable refused(plugins, [](PluginInfo&) { return false; });
  AdapterConfig config;
  config.method = "fancy";
  EXPECT_EQ(error_text([&] { with_method(config, refused); }),
            "the plugin that offers method `fancy` was refused\n  `tenon plugins --load` says why");
}

struct BadLoraKey {
  const char* name;
  const char* keys;  // line 5 of the file, and 6
  const char* text;
};

class BadLoraKeys : public ::testing::TestWithParam<BadLoraKey> {};

TEST_P(BadLoraKeys, AreToldWithTheirPlaces) { EXPECT_EQ(told(GetParam().keys), GetParam().text); }

INSTANTIATE_TEST_SUITE_P(
    Lora, BadLoraKeys,
    ::testing::Values(
        BadLoraKey{"RankOfZero", "r = 0\n",
                   ":5:5: `adapter.r` must be an integer of at least 1, not 0"},
        BadLoraKey{"RankIsAFloat", "r = 8.0\n",
                   ":5:5: `adapter.r` must be an integer of at least 1, not 8"},
        BadLoraKey{"Misspelt", "rr = 8\n",
                   ":5:6: `adapter.rr` is not a key of method lora; did you mean `r`?"},
        BadLoraKey{"MisspeltKeyOfAllMethods", "traget_modules = 8\n",
                   ":5:18: `adapter.traget_modules` is not a key of method lora; did you mean "
                   "`target_modules`?"},
        BadLoraKey{"BiasOfNoKind", "bias = \"x\"\n",
                   ":5:8: `adapter.bias` must be none, all or lora_only, not `x`"},
        BadLoraKey{"DropoutOfOne", "lora_dropout = 1\n",
                   ":5:16: `adapter.lora_dropout` must be at least 0 and less than 1, not 1"},
        BadLoraKey{"AlphaIsNan", "lora_alpha = nan\n",
                   ":5:14: `adapter.lora_alpha` must be a number, not nan"},
        BadLoraKey{"AlphaOfZero", "lora_alpha = 0\n",
                   ":5:14: `adapter.lora_alpha` must not be 0, with which the adapter would do "
                   "nothing"},
        BadLoraKey{"AlphaPatternOfZero", "alpha_pattern = { a = 0 }\n",
                   ":5:23: `adapter.alpha_pattern.a` must not be 0, with which the adapter would "
                   "do nothing"},
        BadLoraKey{"PatternOfZero", "rank_pattern = { a = 0 }\n",
                   ":5:22: `adapter.rank_pattern.a` must be an integer of at least 1, not 0"},
        BadLoraKey{"Init", "init_lora_weights = \"gausian\"\n",
                   ":5:21: `adapter.init_lora_weights` must be true, false or one of gaussian, "
                   "orthogonal, pissa, pissa_niter_[number], olora, eva, corda, lora_ga, not "
                   "`gausian`; did you mean `gaussian`?"},
        BadLoraKey{"InitOfMica", "init_lora_weights = \"mica\"\n",
                   ":5:21: `adapter.init_lora_weights` cannot be `mica`: Tenon has no MiCA "
                   "(its lora_B stays frozen); start the adapter with PEFT and go on from its "
                   "folder (init_from)"},
        BadLoraKey{"InitIsANumber", "init_lora_weights = 1\n",
                   ":5:21: `adapter.init_lora_weights` must be true or false, or a string, not 1"},
        BadLoraKey{"EvaConfigWithoutEva", "eva_config = { rho = 1 }\n",
                   ":5:14: `adapter.eva_config` has a meaning only where `init_lora_weights` is "
                   "\"eva\""},
        BadLoraKey{"EvaConfigIsNoTable", "init_lora_weights = \"eva\"\neva_config = 2\n",
                   ":6:14: `adapter.eva_config` must be a table, not 2"},
        BadLoraKey{"RhoBelowOne", "init_lora_weights = \"eva\"\neva_config = { rho = 0.5 }\n",
                   ":6:22: `adapter.eva_config.rho` must be a number of at least 1, not 0.5"},
        BadLoraKey{"KeyOfEvaConfig", "init_lora_weights = \"eva\"\neva_config = { thau = 1 }\n",
                   ":6:23: `adapter.eva_config.thau` is unknown; did you mean `tau`?"},
        BadLoraKey{"EvaWithLoraBias", "init_lora_weights = \"eva\"\nlora_bias = true\n",
                   ":6:13: `adapter.lora_bias` cannot be true unless `init_lora_weights` is true "
                   "or false"},
        BadLoraKey{"MethodOfCorda",
                   "init_lora_weights = \"corda\"\ncorda_config = { corda_method = \"x\" }\n",
                   ":6:33: `adapter.corda_config.corda_method` must be one of `ipm`, `kpm`, not "
                   "\"x\""},
        BadLoraKey{"BiasWithDora", "use_dora = true\nlora_bias = true\n",
                   ":6:13: `adapter.lora_bias` cannot be true together with `use_dora`"},
        BadLoraKey{"VariantOfPeft", "kasa_config = { beta = 1 }\n",
                   ":5:15: `adapter.kasa_config` = {\"beta\" = 1} is not supported: KaSA"},
        BadLoraKey{"KeyWithoutEffect", "megatron_core = \"x\"\n",
                   ":5:17: `adapter.megatron_core` has no effect; leave it out"}),
    [](const auto& instance) { return instance.param.name; });

TEST(MethodConfig, EveryProblemIsToldAtOnce) {
  const std::string text = told("r = 0\nlora_alpha = 0\nbias = \"x\"\n");
  EXPECT_THAT(text, HasSubstr(":5:5: `adapter.r`"));
  EXPECT_THAT(text, HasSubstr(":6:14: `adapter.lora_alpha`"));
  EXPECT_THAT(text, HasSubstr(":7:8: `adapter.bias`"));
}

TEST(MethodConfig, KeysOfTheHostThatAMethodDoesNotGoWithAreRefused) {
  EXPECT_EQ(told("method = \"ia3\"\nensure_weight_tying = true\n"),
            ":6:23: `adapter.ensure_weight_tying` is not a key of method ia3");
  EXPECT_EQ(told("method = \"ia3\"\ntrainable_token_indices = [1]\n"),
            ":6:27: `adapter.trainable_token_indices` is not a key of method ia3");
}

TEST(MethodConfig, StartsAreKeptAsPeftComparesThem) {
  AdapterConfig config = lora("a", {"seq.0"});
  config.method_keys["init_lora_weights"] = std::string("EVA");
  const OptionTable keys = keys_of(config);
  EXPECT_EQ(keys.at("init_lora_weights"), OptionValue(std::string("eva")));
  EXPECT_EQ(keys.at("eva_config"), testing::table({{"adjust_scaling_factors", true},
                                                   {"label_mask_value", std::int64_t{-100}},
                                                   {"rho", 2.0},
                                                   {"tau", 0.99},
                                                   {"use_label_mask", true},
                                                   {"whiten", false}}));
}

TEST(MethodConfig, OfASavedAdapterAStartFromDataIsPast) {
  AdapterConfig config = lora("a", {"seq.0"});
  config.is_saved = true;
  config.method_keys["init_lora_weights"] = std::string("eva");
  config.method_keys["eva_config"] = testing::table({{"a_key_of_tomorrow", true}});
  const OptionTable keys = keys_of(config);
  EXPECT_EQ(keys.at("init_lora_weights"), OptionValue(true));
  EXPECT_EQ(keys.at("eva_config"), OptionValue(std::monostate()));
}

TEST(MethodConfig, FactorsAreWhatTheKeysSay) {
  AdapterConfig config = lora("a", {"seq.0"});
  config.method_keys["use_rslora"] = true;
  config.method_keys["init_lora_weights"] = std::string("pissa_niter_4");
  config.method_keys["rank_pattern"] = testing::patterns({{"b", 3}});
  OptionTable all = keys_of(config);
  FactorKeysEditor keys(*methods().find("lora"), all);
  EXPECT_EQ(keys.rank(), 2);
  EXPECT_EQ(keys.alpha(), 4);
  EXPECT_EQ(keys.scaling(4, 6), 3);
  EXPECT_TRUE(keys.changes_base());
  EXPECT_FALSE(keys.starts_from_data());
  EXPECT_THAT(keys.rank_pattern(), ::testing::ElementsAre(::testing::Pair("b", 3)));
  keys.set_plain_start();
  EXPECT_FALSE(keys.changes_base());
  EXPECT_EQ(all.at("init_lora_weights"), OptionValue(true));
  keys.set_alpha(2.5);
  EXPECT_EQ(all.at("lora_alpha"), OptionValue(2.5));
  keys.set_alpha(16);
  EXPECT_EQ(all.at("lora_alpha"), OptionValue(std::int64_t{16}));
}

TEST(MethodConfig, PatternsThatMeanNoLayerAreToldAndOfASavedAdapterNoted) {
  AdapterConfig config = lora("a", {"seq.0"});
  config.method_keys["rank_pattern"] = testing::patterns({{"o_proj", 4}});
  const auto plan = [&] {
    return plan_injection(testing::small_mlp(), config, testing::built_in_plugins());
  };
  EXPECT_THAT(error_text(plan), HasSubstr("`o_proj` in rank_pattern matches no targeted module"));
  config.optional_keys = {"rank_pattern"};
  EXPECT_THAT(plan().notes, ::testing::Contains(HasSubstr("`o_proj` in rank_pattern")));
}

// The first cell of each row of the table below the heading.
std::vector<std::string> documented(const std::string& heading) {
  const auto readme = std::filesystem::path(TENON_SOURCE) / "configs/README.md";
  std::stringstream text(read_text_file(readme, Stage::kConfig));
  std::vector<std::string> keys;
  bool is_below = false;
  for (std::string line; std::getline(text, line);) {
    if (line.starts_with("#")) is_below = line == heading;
    if (!is_below || !line.starts_with("| `")) continue;
    keys.push_back(line.substr(3, line.find('`', 3) - 3));
  }
  return keys;
}

TEST(MethodConfig, EveryKeyOfLoraIsDocumented) {
  std::vector<std::string> known;
  for (const DeclaredOption& key : methods().find("lora")->keys()) {
    if (key.is_settable() && key.key != "fan_in_fan_out") known.push_back(key.key);
  }
  EXPECT_THAT(documented("### Keys of method lora"), UnorderedElementsAreArray(known));
}

}  // namespace
}  // namespace tenon
