#include "config/checked_config.h"

#include <algorithm>
#include <cmath>
#include <sstream>

#include "base/error.h"
#include "base/suggest.h"
#include "config/adapter_name.h"
#include "config/lora_init.h"

namespace tenon {
namespace {

template <class T>
std::string text_of(const T& value) {
  std::ostringstream text;
  text << value;
  return text.str();
}

void check_init(std::string& init, bool lora_bias, std::vector<std::string>& problems) {
  if (init == "true") init = "default";
  if (init == "false") init = "random";
  if (init == "default" || init == "random") return;
  if (const auto known = known_lora_init(init)) {
    init = *known;
    if (lora_bias) {
      problems.emplace_back(
          "`lora_bias` cannot be true unless `init_lora_weights` is true or false");
    }
    return;
  }
  if (const auto foreign = foreign_lora_init(init)) {
    problems.push_back("`init_lora_weights` cannot be `" + init + "`: Tenon has no " +
                       std::string(foreign->name) + " (" + std::string(foreign->reason) + ")");
    return;
  }
  problems.push_back("`init_lora_weights` must be true, false or one of " +
                     join(lora_init_names()) + ", not `" + init + "`");
}

void check_start(const AdapterConfig& config, std::vector<std::string>& problems) {
  const EvaConfig& eva = config.eva_config;
  if (!(eva.rho >= 1) || !std::isfinite(eva.rho)) {
    problems.push_back("`eva_config.rho` must be at least 1, not " + text_of(eva.rho));
  }
  if (!(eva.tau >= 0 && eva.tau <= 1)) {
    problems.push_back("`eva_config.tau` must be at least 0 and at most 1, not " +
                       text_of(eva.tau));
  }
  if (eva != EvaConfig() && config.init_lora_weights != "eva") {
    problems.emplace_back("`eva_config` has a meaning only where `init_lora_weights` is eva");
  }
  const std::string& method = config.corda_config.corda_method;
  if (method != "ipm" && method != "kpm") {
    problems.push_back("`corda_config.corda_method` must be ipm or kpm, not `" + method + "`");
  } else if (method != "ipm" && config.init_lora_weights != "corda") {
    problems.emplace_back("`corda_config` has a meaning only where `init_lora_weights` is corda");
  }
}

void check_lora(AdapterConfig& config, std::vector<std::string>& problems) {
  if (config.r < 1) problems.push_back("`r` must be at least 1, not " + text_of(config.r));
  if (!std::isfinite(config.lora_alpha) || config.lora_alpha == 0) {
    problems.push_back(
        "`lora_alpha` must be a finite number and not 0, with which the adapter "
        "would do nothing; it is " +
        text_of(config.lora_alpha));
  }
  if (!(config.lora_dropout >= 0 && config.lora_dropout < 1)) {
    problems.push_back("`lora_dropout` must be at least 0 and below 1, not " +
                       text_of(config.lora_dropout));
  }
  if (config.bias != "none" && config.bias != "all" && config.bias != "lora_only") {
    problems.push_back("`bias` must be none, all or lora_only, not `" + config.bias + "`");
  }
  for (const auto& [pattern, rank] : config.rank_pattern) {
    if (rank >= 1) continue;
    problems.push_back("`rank_pattern` of `" + pattern + "` must be at least 1, not " +
                       text_of(rank));
  }
  for (const TokenRows& rows : config.trainable_tokens) {
    if (rows.tokens.empty()) problems.emplace_back("`trainable_tokens` names no token");
    if (std::ranges::any_of(rows.tokens, [](std::int64_t token) { return token < 0; })) {
      problems.emplace_back("`trainable_tokens` has a token below 0");
    }
  }
  if (config.lora_bias && config.use_dora) {
    problems.emplace_back("`lora_bias` cannot be true together with `use_dora`");
  }
  check_init(config.init_lora_weights, config.lora_bias, problems);
  check_start(config, problems);
}

}  // namespace

AdapterConfig checked_config(AdapterConfig config) {
  std::vector<std::string> problems;
  const std::string bad_name = adapter_name_problem(config.name);
  if (!bad_name.empty()) problems.push_back("`name` " + bad_name);
  if (config.method == "lora") check_lora(config, problems);
  if (problems.empty()) return config;
  throw Error({.stage = Stage::kConfig,
               .message = problems.size() == 1
                              ? "AdapterConfig: " + problems.front()
                              : "AdapterConfig has " + text_of(problems.size()) +
                                    " problems:\n  - " + join(problems, "\n  - ")});
}

}  // namespace tenon
