#pragma once

#include <string>

#include "config/train_config.h"

namespace tenon {

// A loss by its name, and what it asks of a target, for those who bring it data.
struct LossKind {
  LossKind(std::string loss);                                  // NOLINT: one of the host's own
  LossKind(const char* loss) : LossKind(std::string(loss)) {}  // NOLINT
  // Throws Error{kConfig} for a plugin's loss that nobody found.
  LossKind(const LossTerm& term);  // NOLINT

  bool judges_classes() const {
    return target == TargetKind::kClasses || target == TargetKind::kTokens;
  }

  std::string name;
  TargetKind target;
};

// Whether it is a plugin's by its name: "acme.focal".
bool is_plugin_loss(const std::string& loss);

}  // namespace tenon
