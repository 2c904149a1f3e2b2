#include "config/schedule_keys.h"

#include <algorithm>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/suggest.h"

namespace tenon {
namespace {

struct ScheduleType {
  const char* name;
  bool warms_up;
  std::vector<std::string> kwargs;  // the keyword arguments of transformers' function
};

const std::vector<ScheduleType>& schedule_types() {
  static const std::vector<ScheduleType> types = {
      {"constant", false, {}},
      {"constant_with_warmup", true, {}},
      {"linear", true, {}},
      {"cosine", true, {"num_cycles"}},
      {"cosine_with_restarts", true, {"num_cycles"}},
      {"polynomial", true, {"lr_end", "power"}},
      {"inverse_sqrt", true, {"timescale"}},
      {"cosine_with_min_lr", true, {"num_cycles", "min_lr", "min_lr_rate"}},
      {"warmup_stable_decay",
       true,
       {"num_decay_steps", "num_stable_steps", "warmup_type", "decay_type", "min_lr_ratio",
        "num_cycles"}},
      {"reduce_lr_on_plateau",
       false,
       {"mode", "factor", "patience", "threshold", "threshold_mode", "cooldown", "min_lr", "eps"}}};
  return types;
}

using KeywordReader = std::function<void(const ConfigValue&)>;

template <class Out, class T>
void assign_keyword(Out& out, const std::optional<T>& value) {
  if (value) out = *value;
}

std::map<std::string, KeywordReader> keyword_readers(ScheduleConfig& schedule) {
  const auto number = [](auto& out, const Bounds& bounds) {
    return
        [&out, bounds](const ConfigValue& value) { assign_keyword(out, value.as_number(bounds)); };
  };
  const auto integer = [](auto& out, double least) {
    return [&out, least](const ConfigValue& value) {
      assign_keyword(out, value.as_integer(at_least(least)));
    };
  };
  const auto choice = [](std::string& out, std::vector<std::string> choices) {
    return [&out, choices = std::move(choices)](const ConfigValue& value) {
      assign_keyword(out, value.as_choice(choices));
    };
  };
  const std::vector<std::string> curves = {"linear", "cosine", "1-sqrt"};
  return {{"num_cycles", number(schedule.num_cycles, above(0))},
          {"power", number(schedule.power, above(0))},
          {"lr_end", number(schedule.lr_end, at_least(0))},
          {"timescale", integer(schedule.timescale, 1)},
          {"min_lr", number(schedule.min_lr, at_least(0))},
          {"min_lr_rate", number(schedule.min_lr_rate, closed(0, 1))},
          {"num_decay_steps", integer(schedule.num_decay_steps, 0)},
          {"num_stable_steps", integer(schedule.num_stable_steps, 0)},
          {"warmup_type", choice(schedule.warmup_type, curves)},
          {"decay_type", choice(schedule.decay_type, curves)},
          {"min_lr_ratio", number(schedule.min_lr_ratio, closed(0, 1))},
          {"mode", choice(schedule.mode, {"min", "max"})},
          {"factor", number(schedule.factor, half_open(0, 1))},
          {"patience", integer(schedule.patience, 0)},
          {"threshold", number(schedule.threshold, at_least(0))},
          {"threshold_mode", choice(schedule.threshold_mode, {"rel", "abs"})},
          {"cooldown", integer(schedule.cooldown, 0)},
          {"eps", number(schedule.eps, at_least(0))}};
}

void refuse_keyword(const ConfigValue& entry, const ScheduleType& type) {
  if (type.kwargs.empty()) {
    return entry.fail("is unknown: `train.lr_scheduler_type` = \"" + std::string(type.name) +
                      "\" takes no lr_scheduler_kwargs");
  }
  const std::string near = did_you_mean(entry.key(), type.kwargs);
  entry.fail("is unknown for \"" + std::string(type.name) + "\"; " +
             (near.empty() ? "it takes " + join(type.kwargs) : near));
}

std::vector<std::string> read_keywords(const std::optional<ConfigValue>& table,
                                       const ScheduleType& type, ScheduleConfig& schedule) {
  std::vector<std::string> given;
  if (!table) return given;
  const auto readers = keyword_readers(schedule);
  for (const ConfigValue& entry : table->entries("a plain value")) {
    if (std::ranges::find(type.kwargs, entry.key()) == type.kwargs.end()) {
      refuse_keyword(entry, type);
      continue;
    }
    readers.at(entry.key())(entry);
    given.push_back(entry.key());
  }
  return given;
}

// What transformers' functions refuse when they are called.
void check_keywords(const SectionReader& section, const TrainConfig& train,
                    const std::vector<std::string>& given) {
  const ScheduleConfig& schedule = train.schedule;
  const auto has = [&](const char* key) { return std::ranges::find(given, key) != given.end(); };
  const char* const place =
      section.has("lr_scheduler_kwargs") ? "lr_scheduler_kwargs" : "lr_scheduler_type";
  if (schedule.type == "cosine_with_min_lr" && has("min_lr") == has("min_lr_rate")) {
    section.fail_at(place, "needs one of `min_lr` and `min_lr_rate` for \"cosine_with_min_lr\"");
  }
  if (schedule.type == "warmup_stable_decay" && !has("num_decay_steps")) {
    section.fail_at(place, "needs `num_decay_steps` for \"warmup_stable_decay\"");
  }
  if (schedule.type == "polynomial" && schedule.lr_end >= train.learning_rate) {
    section.fail_at(place, "has an `lr_end` that is not below `train.learning_rate`");
  }
}

}  // namespace

void read_schedule_keys(SectionReader& section, TrainConfig& train) {
  ScheduleConfig& schedule = train.schedule;
  std::vector<std::string> names;
  for (const ScheduleType& type : schedule_types()) names.emplace_back(type.name);
  section.choice("lr_scheduler_type", schedule.type, names);
  const auto type = std::ranges::find(schedule_types(), schedule.type, &ScheduleType::name);
  const auto table = section.take("lr_scheduler_kwargs", "table", "");
  check_keywords(section, train, read_keywords(table, *type, schedule));
  section.number("warmup_steps", schedule.warmup_steps, at_least(0));
  if (schedule.warmup_steps > 0 && !type->warms_up) {
    section.fail_at("warmup_steps",
                    "has no effect under `train.lr_scheduler_type` = \"" + schedule.type + "\"" +
                        (schedule.type == "constant" ? "; take \"constant_with_warmup\"" : ""));
  }
}

}  // namespace tenon
