#include "config/loss_keys.h"

#include <algorithm>
#include <string>
#include <vector>

#include "base/suggest.h"

namespace tenon {
namespace {

void read_class_weight(SectionReader& section, LossTerm& term) {
  const auto value =
      section.take("class_weight", "list of numbers or string", "", at_least(0), {"balanced"});
  if (!value) return;
  if (value->is_list()) {
    for (const ConfigValue& item : value->items()) {
      if (const auto weight = item.as_number(at_least(0))) term.class_weight.push_back(*weight);
    }
  } else if (value->is_string()) {
    term.balanced_classes = value->as_choice({"balanced"}).has_value();
  } else {
    value->fail_type("a list of numbers or \"balanced\"");
  }
}

// One of the host's own, or with a dot in it a plugin's, which is found later.
void read_loss_name(SectionReader& section, LossTerm& term) {
  const auto value = section.take("loss", "string", default_text(term.loss), {}, loss_names());
  if (!value) return;
  const bool may_be_of_plugin =
      value->is_string() && value->as_string().value_or("").find('.') != std::string::npos;
  const auto loss = may_be_of_plugin ? value->as_string() : value->as_choice(loss_names());
  if (loss) term.loss = *loss;
}

}  // namespace

const std::vector<std::string>& loss_names() {
  static const std::vector<std::string> names = {"nll",
                                                 "cross_entropy",
                                                 "multi_margin",
                                                 "causal_lm",
                                                 "mse",
                                                 "l1",
                                                 "smooth_l1",
                                                 "huber",
                                                 "kl_div",
                                                 "bce",
                                                 "bce_with_logits",
                                                 "cosine_embedding",
                                                 "output"};
  return names;
}

void read_loss_term(SectionReader& section, LossTerm& term) {
  term.location = section.location();
  read_loss_name(section, term);
  section.options("loss_options", term.loss_options);
  section.string("output", term.output);
  section.number("label_smoothing_factor", term.label_smoothing_factor, closed(0, 1));
  read_class_weight(section, term);
  section.numbers("pos_weight", term.pos_weight, at_least(0));
  struct LossKey {
    const char* key;
    std::vector<std::string> losses;
  };
  const std::vector<LossKey> keys = {
      {"label_smoothing_factor", {"cross_entropy", "causal_lm"}},
      {"class_weight", {"nll", "cross_entropy", "multi_margin", "causal_lm"}},
      {"pos_weight", {"bce_with_logits"}}};
  for (const LossKey& key : keys) {
    if (!section.has(key.key) || std::ranges::count(key.losses, term.loss) > 0) continue;
    section.fail_at(key.key,
                    "is a setting of " + join(key.losses) + ", but the loss is " + term.loss);
  }
}

void read_term_of_several(SectionReader& section, LossTerm& term) {
  read_loss_term(section, term);
  section.string("target", term.target);
  section.number("weight", term.weight, at_least(0));
}

void read_losses(SectionReader& section, TrainConfig& train) {
  read_loss_term(section, train);
  section.integer("ignore_index", train.ignore_index, {});
  const std::vector<std::string> of_classes = {"nll", "cross_entropy", "multi_margin", "causal_lm"};
  if (section.has("ignore_index") && !section.has("losses") &&
      std::ranges::count(of_classes, train.loss) == 0) {
    section.fail_at("ignore_index",
                    "is a setting of " + join(of_classes) + ", but the loss is " + train.loss);
  }
  const auto terms = section.take("losses", "list of tables", "");
  if (!terms) return;
  for (const char* key :
       {"loss", "loss_options", "output", "label_smoothing_factor", "class_weight", "pos_weight"}) {
    if (section.has(key)) section.fail_at(key, "and `train.losses` exclude each other");
  }
  if (!terms->is_list() || terms->items().empty()) {
    return terms->fail_type("a list of tables: [[train.losses]]");
  }
  bool is_first = true;
  for (const ConfigValue& entry : terms->items()) {
    LossTerm& term = is_first ? train : train.other_losses.emplace_back();
    is_first = false;
    if (entry.table() == nullptr) {
      entry.fail_type("a table: [[train.losses]]");
      continue;
    }
    SectionReader reader(section.context(), entry.name(), *entry.table());
    read_term_of_several(reader, term);
    reader.refuse_others();
  }
}

}  // namespace tenon
