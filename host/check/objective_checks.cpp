#include "check/objective_checks.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <list>
#include <sstream>

#include "base/error.h"
#include "base/log.h"
#include "check/child_findings.h"
#include "objectives/loss.h"
#include "plugin/option_completion.h"
#include "plugin/plugin_registry.h"

namespace tenon {
namespace {

constexpr std::int64_t kRows = 6;
constexpr std::int64_t kColumns = 4;  // classes, or numbers
constexpr double kTolerance = 1e-9;

std::string text(double number) {
  std::ostringstream out;
  out.precision(12);
  out << number;
  return out.str();
}

bool are_near(double a, double b) {
  return std::abs(a - b) <= kTolerance * std::max(1.0, std::abs(b));
}

// Rows of two outputs, as a loss of two sees them, and targets for what it judges.
struct Rows {
  std::vector<at::Tensor> outputs;
  std::optional<at::Tensor> target;

  Rows(TargetKind judges, std::int64_t rows) {
    const at::Generator drawn = at::detail::createCPUGenerator(7);
    const at::TensorOptions options(at::kDouble);
    for (int i = 0; i < 2; ++i) outputs.push_back(at::randn({rows, kColumns}, drawn, options));
    if (judges == TargetKind::kClasses) {
      target = at::randint(0, kColumns, {rows}, drawn, at::TensorOptions(at::kLong));
    } else if (judges != TargetKind::kNone) {
      target = at::rand({rows, kColumns}, drawn, options);
    }
  }
};

std::vector<at::Tensor> cut(const std::vector<at::Tensor>& tensors, std::int64_t from,
                            std::int64_t to) {
  std::vector<at::Tensor> part;
  for (const at::Tensor& tensor : tensors) part.push_back(tensor.slice(0, from, to));
  return part;
}

// The loss under check, with the options that it has by default.
class TrialLoss {
 public:
  explicit TrialLoss(const PluginLoss& loss) : settings_(term_of(loss), bind(loss)) {}

  TargetKind judges() const { return settings_.target; }
  at::Tensor compute(const std::vector<at::Tensor>& outputs,
                     const std::optional<at::Tensor>& target,
                     const at::Tensor& weights = {}) const {
    return compute_loss(settings_, outputs, target, weights);
  }
  double value(const Rows& rows, const at::Tensor& weights = {}) const {
    return compute(rows.outputs, rows.target, weights).item<double>();
  }
  double value(const Rows& rows, std::int64_t from, std::int64_t to) const {
    const auto target = rows.target ? std::optional(rows.target->slice(0, from, to)) : std::nullopt;
    return compute(cut(rows.outputs, from, to), target).item<double>();
  }

 private:
  static std::shared_ptr<const BoundLoss> bind(const PluginLoss& loss) {
    std::vector<OptionProblem> problems;
    OptionTable options = complete_options(loss.options(), {}, problems);
    return std::make_shared<BoundLoss>(BoundLoss{&loss, std::move(options)});
  }
  static LossTerm term_of(const PluginLoss& loss) {
    LossTerm term;
    term.loss = loss.name();
    term.judges = target_kind_of(loss.judged());
    return term;
  }

  LossSettings settings_;
};

std::string value_fault(const TrialLoss& loss, const Rows& rows) {
  const double value = loss.value(rows);
  return std::isfinite(value) ? "" : "it gives " + text(value);
}

// Each number of each output moved a little both ways.
std::string gradient_fault(const TrialLoss& loss, const Rows& rows) {
  constexpr double kStep = 1e-5;
  constexpr double kNear = 1e-6;
  std::vector<at::Tensor> leaves;
  for (const at::Tensor& output : rows.outputs) {
    leaves.push_back(output.clone().set_requires_grad(true));
  }
  const at::Tensor value = loss.compute(leaves, rows.target);
  if (!value.requires_grad()) return "it has no gradient: it does not depend on the outputs";
  value.backward();
  for (std::size_t i = 0; i < leaves.size(); ++i) {
    const at::Tensor gradient =
        leaves[i].grad().defined() ? leaves[i].grad() : at::zeros_like(leaves[i]);
    for (std::int64_t k = 0; k < gradient.numel(); ++k) {
      const auto moved = [&](double step) {
        std::vector<at::Tensor> outputs = rows.outputs;
        outputs[i] = outputs[i].clone();
        outputs[i].view(-1)[k] += step;
        return loss.compute(outputs, rows.target).item<double>();
      };
      const double wanted = (moved(kStep) - moved(-kStep)) / (2 * kStep);
      const double found = gradient.reshape(-1)[k].item<double>();
      if (std::abs(found - wanted) > kNear * std::max(1.0, std::abs(wanted))) {
        return "by element " + std::to_string(k) + " of output_" + std::to_string(i) + " it is " +
               text(found) + ", by finite differences " + text(wanted);
      }
    }
  }
  return "";
}

std::string mean_fault(const TrialLoss& loss, const Rows& rows) {
  const double whole = loss.value(rows);
  const double halves = (loss.value(rows, 0, kRows / 2) + loss.value(rows, kRows / 2, kRows)) / 2;
  if (are_near(halves, whole)) return "";
  return "of all rows it is " + text(whole) + ", the mean of two halves " + text(halves);
}

std::string weights_fault(const TrialLoss& loss, const Rows& rows) {
  const at::Tensor alike = at::full({kRows}, 2.0, at::TensorOptions(at::kDouble));
  const double plain = loss.value(rows);
  if (const double found = loss.value(rows, alike); !are_near(found, plain)) {
    return "with every weight 2 it is " + text(found) + ", without " + text(plain);
  }
  at::Tensor first_half = at::ones({kRows}, at::TensorOptions(at::kDouble));
  first_half.slice(0, kRows / 2, kRows).fill_(0);
  const double wanted = loss.value(rows, 0, kRows / 2);
  const double found = loss.value(rows, first_half);
  if (are_near(found, wanted)) return "";
  return "with the second half at weight 0 it is " + text(found) + ", of the first half alone " +
         text(wanted);
}

std::string repeatable_fault(const TrialLoss& loss, const Rows& rows) {
  std::vector<at::Tensor> before;
  for (const at::Tensor& output : rows.outputs) before.push_back(output.clone());
  const double first = loss.value(rows);
  const double second = loss.value(rows);
  if (first != second) return "it is " + text(first) + ", and then " + text(second);
  for (std::size_t i = 0; i < before.size(); ++i) {
    if (!before[i].equal(rows.outputs[i])) return "it writes to output_" + std::to_string(i);
  }
  return "";
}

// Tells each fault; what the loss itself refuses is one of the rule at hand.
void try_rule(const ChildChannel& channel, const char* rule,
              const std::function<std::string()>& find_fault) {
  channel.step(std::string("rule ") + rule + " was tried");
  std::string fault;
  try {
    fault = find_fault();
  } catch (const Error& error) {
    fault = error.failure().message;
  }
  send_finding(channel, judge(rule, fault));
}

void try_loss(const ChildChannel& channel, const PluginLoss& plugin_loss) {
  const TrialLoss loss(plugin_loss);
  const Rows rows(loss.judges(), kRows);
  try_rule(channel, "loss-value", [&] { return value_fault(loss, rows); });
  try_rule(channel, "loss-gradient", [&] { return gradient_fault(loss, rows); });
  // What compares rows with each other is no mean over them.
  const bool is_mean =
      loss.judges() == TargetKind::kClasses || loss.judges() == TargetKind::kNumbers;
  if (is_mean) {
    try_rule(channel, "loss-mean", [&] { return mean_fault(loss, rows); });
    try_rule(channel, "loss-weights", [&] { return weights_fault(loss, rows); });
  }
  try_rule(channel, "loss-repeatable", [&] { return repeatable_fault(loss, rows); });
}

// A metric's value of rows that come in batches of this size.
double value_of(const PluginMetric& metric, const OptionTable& options, const Rows& rows,
                std::int64_t size) {
  PluginMetric::Count count(metric, options);
  for (std::int64_t from = 0; from < kRows; from += size) {
    const std::int64_t to = std::min(from + size, kRows);
    count.add(rows.outputs[0].slice(0, from, to), rows.target->slice(0, from, to));
  }
  return count.value();
}

void try_metric(const ChildChannel& channel, const PluginMetric& metric) {
  const Rows rows(target_kind_of(metric.judged()), kRows);
  std::vector<OptionProblem> problems;
  const OptionTable options = complete_options(metric.options(), {}, problems);
  const auto same = [](double a, double b) {
    return are_near(a, b) || (std::isnan(a) && std::isnan(b));
  };
  const at::NoGradGuard no_grad;
  try_rule(channel, "metric-batches", [&]() -> std::string {
    const double whole = value_of(metric, options, rows, kRows);
    const double parts = value_of(metric, options, rows, kRows - 2);
    return same(whole, parts) ? ""
                              : "in one batch it is " + text(whole) + ", in two " + text(parts);
  });
  try_rule(channel, "metric-apart", [&]() -> std::string {
    const double alone = value_of(metric, options, rows, kRows);
    PluginMetric::Count one(metric, options);
    PluginMetric::Count other(metric, options);
    one.add(rows.outputs[0], *rows.target);
    other.add(rows.outputs[0].slice(0, 0, 2), rows.target->slice(0, 0, 2));
    const double beside = one.value();
    return same(alone, beside)
               ? ""
               : "alone it is " + text(alone) + ", beside another one " + text(beside);
  });
}

// Opens the file in the child and hands over what it offers.
void with_plugin(const std::filesystem::path& file,
                 const std::function<void(const PluginInfo&)>& use) {
  at::set_num_threads(1);
  log::configure(log::Level::kError);
  auto result = load_library(file, {});
  if (const auto* refusal = std::get_if<PluginRefusal>(&result)) {
    throw Error({.stage = Stage::kPlugins, .message = refusal->reason});
  }
  const OpenedPlugin opened{file, std::get<LoadedLibrary>(std::move(result))};
  const PluginRegistry plugins({}, {}, &opened);
  use(*plugins.plugins().front());
}

template <typename T>
const T& named(const std::vector<T>& all, const std::string& name) {
  return *std::ranges::find(all, name, &T::name);
}

Findings run_rules(const std::function<void(const ChildChannel&)>& body, RuleScope scope,
                   const char* returns, const std::string& name,
                   std::chrono::milliseconds time_limit) {
  const ChildOutcome outcome = run_in_child(body, time_limit);
  Findings findings;
  for (Finding& finding : findings_of(outcome)) {
    if (find_rule(finding.rule).scope == scope) findings.push_back(std::move(finding));
  }
  findings.push_back(judge(returns, outcome.death()));
  complete(
      findings, scope,
      outcome.death().empty() ? "it judges rows together" : "it broke another rule on the way");
  for (Finding& finding : findings) finding.layer_type = name;
  return findings;
}

}  // namespace

Findings check_loss(const std::filesystem::path& file, const std::string& name,
                    std::chrono::milliseconds time_limit) {
  return run_rules(
      [&](const ChildChannel& channel) {
        with_plugin(
            file, [&](const PluginInfo& plugin) { try_loss(channel, named(plugin.losses, name)); });
      },
      RuleScope::kLoss, "loss-returns", name, time_limit);
}

Findings check_metric(const std::filesystem::path& file, const std::string& name,
                      std::chrono::milliseconds time_limit) {
  return run_rules(
      [&](const ChildChannel& channel) {
        with_plugin(file, [&](const PluginInfo& plugin) {
          try_metric(channel, named(plugin.metrics, name));
        });
      },
      RuleScope::kMetric, "metric-returns", name, time_limit);
}

}  // namespace tenon
