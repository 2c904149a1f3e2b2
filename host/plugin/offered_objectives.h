#pragma once

#include <tenon/draft/metrics.h>
#include <tenon/plugin.h>

#include <span>
#include <string>

namespace tenon {

// The losses and metrics that a plugin's extensions name.
std::span<const tenon_loss* const> losses_of(const tenon_plugin& plugin);
std::span<const tenon_metric* const> metrics_of(const tenon_plugin& plugin);

// What is wrong with them, by the rules of the SDK's headers, or with what the stamp says of them;
// "" if nothing is.
std::string find_objective_fault(const tenon_plugin& plugin, const tenon_stamp& stamp);

}  // namespace tenon
