#include "app/rank_agreement.h"

#include <torch/headeronly/version.h>

#include <nlohmann/json.hpp>
#include <set>
#include <vector>

#include "app/resume.h"
#include "base/error.h"
#include "base/suggest.h"
#include "model/running_statistics.h"

namespace tenon {
namespace {

using Facts = std::map<std::string, std::string>;

std::string value_of(const Facts& facts, const std::string& name) {
  const auto found = facts.find(name);
  return found == facts.end() ? "left out" : found->second;
}

std::vector<std::string> differences(const Facts& first, const Facts& other, std::size_t rank) {
  std::set<std::string> names;
  for (const auto& [name, value] : first) names.insert(name);
  for (const auto& [name, value] : other) names.insert(name);
  std::vector<std::string> texts;
  for (const std::string& name : names) {
    const std::string wanted = value_of(first, name);
    const std::string got = value_of(other, name);
    if (wanted == got) continue;
    std::string text = name;
    texts.push_back(text.append(" is ").append(wanted).append(" on rank 0 and ").append(got) +
                    " on rank " + std::to_string(rank));
  }
  return texts;
}

// The key that has them updated; "" where none does.
std::string key_of_statistics(const AdaptedModel& model, const TrainConfig& config) {
  const bool has_some = !modules_with_statistics(model.model()).empty();
  if (has_some && config.full) return "[train] full = true";
  if (has_some && config.batch_norm == "train") return "[train] batch_norm = \"train\"";
  for (const std::string& name : model.adapter_names()) {
    for (const AddedTensor& added : model.adapter(name).tensors) {
      if (added.is_buffer && added.name.ends_with("running_mean")) {
        return "a module with running statistics in modules_to_save";
      }
    }
  }
  return "";
}

}  // namespace

void require_agreement(Ranks& ranks, const Facts& facts) {
  if (ranks.is_alone()) return;
  std::vector<Facts> all;
  for (const std::string& text : ranks.gather(nlohmann::json(facts).dump())) {
    all.push_back(nlohmann::json::parse(text).get<Facts>());
  }
  std::vector<std::string> problems;
  for (std::size_t rank = 1; rank < all.size(); ++rank) {
    for (std::string& text : differences(all.front(), all[rank], rank)) {
      problems.push_back(std::move(text));
    }
  }
  if (problems.empty()) return;
  throw Error({.stage = Stage::kConfig,
               .message = "the ranks do not run the same: " + join(problems, "; "),
               .hint = "start every process with the same config, files and tenon"});
}

void require_no_statistics(const Ranks& ranks, const AdaptedModel& model,
                           const TrainConfig& config) {
  const std::string key = ranks.is_alone() ? "" : key_of_statistics(model, config);
  if (key.empty()) return;
  throw Error({.stage = Stage::kConfig,
               .message = key + " means that running statistics follow each batch, and " +
                          std::to_string(ranks.count()) +
                          " processes would each have those of their own rows",
               .hint = "leave it out, or run it in one process",
               .location = config.location});
}

Facts facts_of(const RunConfig& config, std::int64_t resumed) {
  Facts facts;
  for (const auto& [key, value] : config.values) {
    if (!is_of_this_machine(key)) facts["`" + key + "`"] = value;
  }
  facts["LibTorch"] = TORCH_VERSION;
  facts["tenon"] = TENON_VERSION;
  facts["the step to go on from"] = std::to_string(resumed);
  return facts;
}

Facts facts_of(const TrainingOrigin& origin) {
  Facts facts = {{"the base (its fingerprint)", origin.base}};
  for (const auto& [key, hash] : origin.data) facts["the content of `" + key + "`"] = hash;
  for (const auto& [id, hash] : origin.plugins) facts["the plugin " + id] = hash;
  return facts;
}

}  // namespace tenon
