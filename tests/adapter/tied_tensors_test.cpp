#include "adapter/tied_tensors.h"

#include <ATen/ATen.h>

#include "operations/combine_adapters.h"
#include "plan/method_config.h"
#include "plugin/plugin_registry.h"
#include "support/adapter_keys.h"
#include "support/error_matchers.h"

namespace tenon {
namespace {

using testing::error_text;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

const MethodTable& methods_of_ties() {
  static const PluginRegistry plugins({}, {TENON_TEST_PLUGINS});
  return plugins.methods();
}

SavedTies ties_of(const std::vector<AdapterTensor>& tensors) {
  return saved_ties(tensors, *methods_of_ties().find("lora")->factors());
}

using NamePair = std::pair<std::string, std::string>;

// words (7, 4), head (7, 4) tied to it, and mid (4, 4) by itself.
AdapterFiles tied_files(const std::string& name, float seed) {
  const at::Tensor a = at::arange(14, at::kFloat).reshape({2, 7}) * seed;
  const at::Tensor b = at::arange(8, at::kFloat).reshape({4, 2}) + seed;
  AdapterFiles files;
  files.config.name = name;
  files.config.peft_type = "LORA";
  files.config.target_modules = {"words", "head", "mid"};
  files.config.method_keys["r"] = std::int64_t{2};
  files.config.ensure_weight_tying = true;
  files.tensors = {{"words.lora_embedding_A", a},
                   {"words.lora_embedding_B", b},
                   {"head.lora_A.weight", b.t().contiguous()},
                   {"head.lora_B.weight", a.t().contiguous()},
                   {"mid.lora_A.weight", at::ones({2, 4})},
                   {"mid.lora_B.weight", at::ones({4, 2}) * seed}};
  files.config = with_method(std::move(files.config), methods_of_ties()).config;
  return files;
}

CombineOptions options(const std::string& type) {
  CombineOptions options;
  options.weights = {0.5, 0.25};
  options.combination_type = type;
  return options;
}

TEST(TiedTensors, FactorsThatAreEqualAcrossAreAPair) {
  const SavedTies ties = ties_of(tied_files("a", 1).tensors);
  EXPECT_THAT(ties.layers, UnorderedElementsAre("words", "head", "mid"));
  EXPECT_THAT(ties.pairs,
              UnorderedElementsAre(NamePair("words", "head"), NamePair("head", "words")));
}

TEST(TiedTensors, OneNumberThatDiffersAndHalfALayerMakeNone) {
  AdapterFiles files = tied_files("a", 1);
  files.tensors[2].tensor[0][0] += 1e-6;
  EXPECT_THAT(ties_of(files.tensors).pairs, IsEmpty());
  files = tied_files("a", 1);
  files.tensors.erase(files.tensors.begin() + 2);
  EXPECT_THAT(ties_of(files.tensors).pairs, IsEmpty());
}

TEST(TiedTensors, CombinedAdaptersStayTied) {
  for (const std::string& type : combination_types()) {
    CombineOptions wanted = options(type);
    wanted.density = 0.5;
    const AdapterFiles result =
        combine_adapters({tied_files("a", 1), tied_files("b", 2)}, methods_of_ties(), wanted);
    EXPECT_TRUE(result.config.ensure_weight_tying) << type;
    EXPECT_TRUE(ties_of(result.tensors).pairs.contains({"words", "head"})) << type;
  }
}

TEST(TiedTensors, AnAdapterThatDoesNotTieIsNotCombinedWithOneThatDoes) {
  AdapterFiles untied = tied_files("b", 2);
  untied.config.ensure_weight_tying = false;
  untied.tensors[2].tensor = untied.tensors[2].tensor + 1;
  EXPECT_THAT(
      error_text([&] {
        combine_adapters({tied_files("a", 1), untied}, methods_of_ties(), options("linear"));
      }),
      HasSubstr("b: it does not tie `words` and `head` (ensure_weight_tying), as another of "
                "the adapters does"));
}

TEST(TiedTensors, LayersThatScaleDifferentlyAreNotCombined) {
  AdapterFiles scaled = tied_files("b", 2);
  scaled.config.method_keys["alpha_pattern"] = testing::patterns({{"head", 3}});
  EXPECT_THAT(
      error_text([&] {
        combine_adapters({tied_files("a", 1), scaled}, methods_of_ties(), options("linear"));
      }),
      HasSubstr("b: it ties `words` and `head` (ensure_weight_tying) and scales them "
                "differently"));
}

}  // namespace
}  // namespace tenon
