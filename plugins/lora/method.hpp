// The method itself: the keys of PEFT's LoraConfig, by its names, and what they say of the factors
// (PEFT: tuners/lora/config.py).
#pragma once

#include <cmath>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <tenon/sdk.hpp>

#include "lora/data_start.hpp"
#include "lora/lora.hpp"
#include "lora/targets.hpp"

namespace lora {

inline constexpr const char* kCordaMethods[] = {"ipm", "kpm"};

// PEFT: EvaConfig and CordaConfig.
inline constexpr tenon_option kEvaKeys[] = {
    tenon::option::boolean("adjust_scaling_factors", true,
                           "lora_alpha goes with the rank that a layer is dealt."),
    tenon::option::integer("label_mask_value", -100, {}, "The label of positions to leave out."),
    tenon::option::number("rho", 2, tenon::at_least(1), "A layer's rank is at most rho times r."),
    tenon::option::number("tau", 0.99, {.minimum = 0, .maximum = 1},
                          "The cosine to the last batch's at which a vector has settled."),
    tenon::option::boolean("use_label_mask", true, "Leave positions out by their label."),
    tenon::option::boolean("whiten", false, "Divide components by their singular values.")};
inline constexpr tenon_option kCordaKeys[] = {tenon::option::choice(
    "corda_method", "ipm", kCordaMethods, "The largest components, or (kpm) the smallest.")};
// PEFT: LoraGAConfig.
inline constexpr const char* kDirections[] = {"ArBr", "A2rBr", "ArB2r", "random"};
inline constexpr const char* kScales[] = {"stable", "weight_svd", "gd_scale", "unit"};
inline constexpr tenon_option kLoraGaKeys[] = {
    tenon::option::choice("direction", "ArB2r", kDirections,
                          "Which of the gradient's singular vectors lora_A and lora_B take."),
    tenon::option::choice("scale", "stable", kScales, "How large lora_B starts."),
    tenon::option::integer("stable_gamma", 16, tenon::at_least(1),
                           "The larger, the smaller lora_B, with scale stable.")};
inline constexpr tenon_option kAnything[] = {tenon::option::text("value", "", "")};

inline constexpr tenon_factor_start kStarts[] = {
    {"pissa", nullptr, TENON_START_CHANGES_BASE | TENON_START_OF_LAYER, 0},
    {"olora", nullptr, TENON_START_CHANGES_BASE | TENON_START_OF_LAYER, 0},
    {"orthogonal", nullptr, TENON_START_OF_LAYER, 0},
    {"eva", "eva_config", TENON_START_FROM_DATA | TENON_START_OF_LAYER, 0},
    {"corda", "corda_config", TENON_START_FROM_DATA | TENON_START_OF_LAYER, 0},
    {"lora_ga", "lora_ga_config", TENON_START_FROM_DATA | TENON_START_OF_LAYER, 0}};

// PEFT's types whose layers its conversion takes (supports_lora_conversion).
inline constexpr const char* kConvertedByPeft[] = {
    "C3A",   "DELORA",   "FOURIERFT", "GRALORA", "LOHA",   "LOKR", "MISS",
    "PSOFT", "RANDLORA", "TINYLORA",  "UNILORA", "VBLORA", "VERA", "WAVEFT"};

// What PEFT has beside LoRA in the same config, and is not here.
constexpr tenon_option absent(const char* key, const char* what) {
  return tenon::option::unsupported(tenon::option::nullable(tenon::option::text(key, "", what)));
}

inline bool is_count(std::string_view text) {
  return !text.empty() && text.size() < 5 &&
         text.find_first_not_of("0123456789") == std::string_view::npos;
}

// As PEFT compares it: "GAUSSIAN" is "gaussian".
inline std::string in_lower_case(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

inline constexpr const char* kStartNames[] = {"gaussian", "orthogonal", "pissa",  "olora",
                                              "eva",      "corda",      "lora_ga"};

inline bool is_known_start(std::string_view name) {
  constexpr std::string_view kFast = "pissa_niter_";
  for (const char* known : kStartNames) {
    if (name == known) return true;
  }
  return name.substr(0, kFast.size()) == kFast && is_count(name.substr(kFast.size()));
}

// PEFT's starts that are not here: what each is called, and why not.
inline std::pair<std::string, std::string> foreign_start(std::string_view name) {
  if (name == "loftq") return {"LoftQ", "it needs a quantised base"};
  if (name == "mica") return {"MiCA", "its lora_B stays frozen"};
  return {};
}

inline void refuse_start(tenon::Keys& keys, const std::string& given) {
  constexpr const char* kKey = "init_lora_weights";
  const auto [name, reason] = foreign_start(given);
  if (keys.are_saved()) {
    const std::string start = given == "corda" ? "CorDA" : given == "lora_ga" ? "LoRA-GA" : name;
    return keys.refuse(
        kKey, "= \"" + given + "\" is not supported: " +
                  (start.empty() ? "an unknown start"
                                 : start + "; PEFT's save_pretrained converts adapters that began "
                                           "by changing the base's weights, with "
                                           "path_initial_model_for_weight_conversion"));
  }
  if (name.empty()) {
    return keys.refuse(kKey,
                       "must be true, false or one of gaussian, orthogonal, pissa, "
                       "pissa_niter_[number], olora, eva, corda, lora_ga, not `" +
                           given + "`",
                       given, kStartNames);
  }
  keys.refuse(kKey, "cannot be `" + given + "`: Tenon has no " + name + " (" + reason +
                        "); start the adapter with PEFT and go on from its folder (init_from)");
}

// The start as it is kept. Of a saved adapter it matters no longer how its tensors began, unless
// the start changed the base's weights too; from data that change cannot be made again.
inline void settle_start(tenon::Keys& keys) {
  std::string start;
  if (keys.option_tag("init_lora_weights") == TENON_VALUE_STRING) {
    const auto given = keys.option<std::string>("init_lora_weights");
    start = in_lower_case(given);
    const bool is_lost = keys.are_saved() && (start == "corda" || start == "lora_ga");
    if (!is_known_start(start) || is_lost) return refuse_start(keys, start);
    if (keys.are_saved() && start == "eva") return keys.set("init_lora_weights", true);
    if (start != given) keys.set("init_lora_weights", start);
  }
  for (const tenon_factor_start& each : kStarts) {
    if (each.table == nullptr || keys.are_saved()) continue;
    const bool is_given = keys.option_tag(each.table) == TENON_VALUE_TABLE;
    if (start == each.name) {
      if (!is_given) keys.set(each.table, std::vector<tenon_entry>());
    } else if (is_given) {
      keys.refuse(each.table, "has a meaning only where `init_lora_weights` is \"" +
                                  std::string(each.name) + "\"");
    }
  }
}

constexpr const char* kNoAlpha = "must not be 0, with which the adapter would do nothing";

// What PEFT's LoraConfig refuses, and what would do nothing.
inline void refuse_together(tenon::Keys& keys) {
  if (keys.option<double>("lora_alpha") == 0) keys.refuse("lora_alpha", kNoAlpha);
  const tenon::Table alphas = keys.table("alpha_pattern");
  for (std::uint32_t i = 0; i < alphas.size(); ++i) {
    if (alphas.value<double>(i) != 0) continue;
    keys.refuse(("alpha_pattern." + std::string(alphas.key(i))).c_str(), kNoAlpha);
  }
  if (keys.option<double>("lora_dropout") == 1) {
    keys.refuse("lora_dropout", "must be at least 0 and less than 1, not 1");
  }
  if (keys.option<bool>("fan_in_fan_out")) {
    keys.refuse("fan_in_fan_out", "has no effect: a layer's type says how its weight lies");
  }
  if (!keys.option<bool>("lora_bias")) return;
  if (keys.option_tag("init_lora_weights") == TENON_VALUE_STRING) {
    keys.refuse("lora_bias", "cannot be true unless `init_lora_weights` is true or false");
  }
  if (keys.option<bool>("use_dora")) {
    keys.refuse("lora_bias", "cannot be true together with `use_dora`");
  }
}

struct Lora : tenon::Method<Lora> {
  static constexpr tenon::method_type kMethod{
      .name = "lora",
      .peft_type = "LORA",
      .doc = "Low-rank adaptation.",
      .flags = TENON_METHOD_EXCLUDES | TENON_METHOD_LAYERS | TENON_METHOD_BIASES |
               TENON_METHOD_PARAMETERS | TENON_METHOD_TOKENS | TENON_METHOD_TIES};

  static constexpr tenon_option kKeys[] = {
      tenon::option::patterned(
          tenon::option::integer("r", 8, tenon::at_least(1), "Rank, at least 1."), "rank_pattern"),
      tenon::option::patterned(
          tenon::option::either(
              tenon::option::integer("lora_alpha", 8, {}, "The term is scaled by lora_alpha / r."),
              tenon::option::number("lora_alpha", 8, {}, "")),
          "alpha_pattern"),
      tenon::option::changeable(
          tenon::option::number("lora_dropout", 0, {.minimum = 0, .maximum = 1},
                                "Dropout before lora_A, at least 0 and less than 1.")),
      tenon::option::boolean("use_rslora", false, "Scale by lora_alpha / sqrt(r)."),
      tenon::option::heeded(tenon::option::boolean(
          "use_dora", false, "DoRA: the weight's magnitude is trained beside its direction.")),
      tenon::option::heeded(tenon::option::boolean(
          "lora_bias", false, "lora_B has a bias; only with init_lora_weights true or false.")),
      tenon::option::heeded(tenon::option::either(
          tenon::option::boolean("init_lora_weights", true, "How lora_A and lora_B start."),
          tenon::option::text("init_lora_weights", "", ""))),
      tenon::option::of_start(
          tenon::option::table<kEvaKeys>("eva_config", "PEFT's EvaConfig, only with eva.")),
      tenon::option::of_start(
          tenon::option::table<kCordaKeys>("corda_config", "PEFT's CordaConfig, only with corda.")),
      tenon::option::of_start(tenon::option::table<kLoraGaKeys>(
          "lora_ga_config", "PEFT's LoraGAConfig, only with lora_ga.")),
      tenon::option::boolean("fan_in_fan_out", false, "PEFT's, of its own Conv1D."),
      tenon::option::unused(
          tenon::option::patterns<kAnything>("loftq_config", "How a start worked.")),
      tenon::option::unused(
          tenon::option::text("megatron_core", "megatron.core", "Of Megatron's layers.")),
      tenon::option::unused(tenon::option::integer("qalora_group_size", 16, {}, "Of QALoRA.")),
      tenon::option::unsupported(tenon::option::boolean("use_qalora", false, "QALoRA")),
      absent("alora_invocation_tokens", "aLoRA"),
      absent("arrow_config", "Arrow routing"),
      absent("kasa_config", "KaSA"),
      absent("layer_replication", "layer replication"),
      absent("megatron_config", "Megatron's parallel layers"),
      absent("monteclora_config", "MonteCLoRA"),
      absent("use_bdlora", "BD-LoRA"),
      absent("velora_config", "VeLoRA")};

  static constexpr auto& kTargets = kDefaultTargets;
  static constexpr auto& kFactors = kPairs;
  static constexpr tenon_factor_keys kFactorKeys =
      tenon::factor_keys({.rank = "r",
                          .alpha = "lora_alpha",
                          .root = "use_rslora",
                          .bias = "lora_bias",
                          .magnitude = "use_dora",
                          .dropout = "lora_dropout",
                          .start = "init_lora_weights"},
                         kStarts);
  static constexpr bool kFactorsAreGeneral = true;
  static constexpr const char* kConversion =
      "make LoRA of it in PEFT: peft.save_as_lora(folder, model, rank)";
  static constexpr auto& kConverted = kConvertedByPeft;

  static tenon_data_needs data_needs(const tenon::DataKeys& keys) { return lora::data_needs(keys); }
  static std::unique_ptr<tenon::DataStart> data_start(const tenon::DataRun& run) {
    return lora::data_start(run);
  }

  static void settle(tenon::Keys& keys) {
    settle_start(keys);
    if (!keys.are_saved()) refuse_together(keys);
  }

  // PEFT: lora/layer.py, update_layer.
  static double scaling(const Setup& setup) {
    const auto alpha = setup.option<double>("lora_alpha");
    const auto r = static_cast<double>(layer_rank(setup));
    return setup.option<bool>("use_rslora") ? alpha / std::sqrt(r) : alpha / r;
  }
};

}  // namespace lora
