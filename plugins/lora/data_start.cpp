#include "lora/data_start.hpp"

#include <algorithm>
#include <iterator>

#include "lora/observed_rows.hpp"

namespace lora {
namespace {

std::string text_of_start(const tenon::DataKeys& keys) {
  constexpr const char* kKey = "init_lora_weights";
  return keys.option_tag(kKey) == TENON_VALUE_STRING ? keys.option<std::string>(kKey) : "";
}

}  // namespace

StartedLayers::StartedLayers(const tenon::DataRun& run, const char* start) {
  std::vector<std::string> names;
  for (std::uint32_t i = 0; i < run.n_layers(); ++i) {
    const tenon::DataLayer layer = run.layer(i);
    const std::vector<tenon::Weight> weights = layer.base().weights();
    if (std::any_of(weights.begin(), weights.end(),
                    [](const tenon::Weight& weight) { return weight.is_target; })) {
      refuse_start(start, "cannot start target_parameters", "name the layers in target_modules");
    }
    if (is_linear(layer.base().type())) {
      linear.push_back(i);
      continue;
    }
    others.push_back(i);
    names.push_back("`" + std::string(layer.base().path()) + "` (" +
                    std::string(layer.base().type()) + ")");
  }
  names_of_others = joined(names);
  if (!linear.empty()) return;
  refuse_start(start, "starts Linear layers only, and there is none among " + names_of_others,
               "choose another init_lora_weights");
}

std::int64_t StartedLayers::find(std::uint32_t layer) const {
  const auto found = std::find(linear.begin(), linear.end(), layer);
  return found == linear.end() ? -1 : std::distance(linear.begin(), found);
}

tenon_data_needs data_needs(const tenon::DataKeys& keys) {
  const std::string start = text_of_start(keys);
  if (start == "eva") return TENON_NEEDS_DATA | TENON_NEEDS_RANKS;
  if (start == "lora_ga") return TENON_NEEDS_DATA | TENON_NEEDS_GRADIENTS;
  return start == "corda" ? TENON_NEEDS_DATA : 0;
}

std::unique_ptr<tenon::DataStart> data_start(const tenon::DataRun& run) {
  const std::string start = text_of_start(run.keys());
  if (start == "eva") return eva_start(run);
  return start == "corda" ? corda_start(run) : lora_ga_start(run);
}

}  // namespace lora
