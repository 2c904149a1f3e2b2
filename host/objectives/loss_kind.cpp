#include "objectives/loss_kind.h"

#include <set>
#include <utility>

#include "base/error.h"

namespace tenon {
namespace {

TargetKind target_kind(const std::string& loss) {
  if (loss == "output") return TargetKind::kNone;
  if (loss == "causal_lm") return TargetKind::kTokens;
  static const std::set<std::string> of_numbers = {
      "mse", "l1", "smooth_l1", "huber", "kl_div", "bce", "bce_with_logits", "cosine_embedding"};
  if (of_numbers.contains(loss)) return TargetKind::kNumbers;
  return TargetKind::kClasses;
}

TargetKind target_kind(const LossTerm& term) {
  if (term.judges) return *term.judges;
  if (!is_plugin_loss(term.loss)) return target_kind(term.loss);
  throw Error({.stage = Stage::kConfig,
               .message = "[train] loss is `" + term.loss + "`, and no plugin was asked for it"});
}

}  // namespace

LossKind::LossKind(std::string loss) : name(std::move(loss)), target(target_kind(name)) {}

LossKind::LossKind(const LossTerm& term) : name(term.loss), target(target_kind(term)) {}

bool is_plugin_loss(const std::string& loss) { return loss.find('.') != std::string::npos; }

}  // namespace tenon
