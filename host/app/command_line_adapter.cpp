#include <CLI/CLI.hpp>

#include "app/command_line_verbs.h"
#include "base/suggest.h"

namespace tenon {
namespace {

void add_combine(CLI::App& adapter, CommandLine& line) {
  CombineOptions& options = line.combine.options;
  CLI::App* combine = adapter.add_subcommand(
      "combine", "Make one adapter of several, as PEFT's add_weighted_adapter does");
  combine->add_option("folders", line.combine.folders, "The adapters' folders")
      ->option_text(" ")
      ->required();
  combine->add_option("--weights", options.weights, "One number for each adapter: 0.7,0.3")
      ->delimiter(',')
      ->required();
  combine
      ->add_option("--combination-type", options.combination_type,
                   "How (default: svd): " + join(combination_types()))
      ->check(CLI::IsMember(combination_types()));
  combine->add_option("--svd-rank", options.svd_rank, "Rank of the result; default: the largest")
      ->check(CLI::PositiveNumber);
  combine->add_option("--svd-clamp", options.svd_clamp, "Clamp the factors at this quantile")
      ->check(CLI::Range(0.0, 1.0));
  combine
      ->add_option("--density", options.density,
                   "The fraction of the values that stays, of ties, dare and magnitude_prune")
      ->check(CLI::NonNegativeNumber);
  combine
      ->add_option("--majority-sign-method", options.majority_sign_method,
                   "total (default) or frequency, of ties")
      ->check(CLI::IsMember({"total", "frequency"}));
  combine->add_option("--seed", options.seed, "Of dare's draw; default: 0");
  combine->add_option("--output", line.outputs, "The folder of the new adapter")->required();
  combine->add_flag("--force", line.force, "Write into a folder that holds something");
  add_output_flags(*combine, line);
}

void add_convert(CLI::App& adapter, CommandLine& line) {
  CLI::App* convert = adapter.add_subcommand(
      "convert",
      "Make a plain low-rank adapter of another kind, of one whose start changed the base, or of "
      "another program's file");
  convert->add_option("target", line.target, "The config (.toml)")->option_text(" ")->required();
  convert->add_option("--adapter", line.adapters, "The adapter's folder; with --from, its file")
      ->required()
      ->expected(1);
  convert
      ->add_option("--from", line.from,
                   "Whose file it is: kohya or diffusers, where each of its names means one "
                   "module of the model")
      ->check(CLI::IsMember({"kohya", "diffusers"}));
  convert->add_option("--rank", line.rank,
                      "The rank of every layer (8), or the share of each layer's change that its "
                      "rank must hold (0.95); not needed where the start changed the base, "
                      "which converts exactly");
  convert->add_option("--output", line.outputs, "The folder of the new adapter")->required();
  convert->add_flag("--force", line.force, "Write into a folder that holds something");
  add_common(*convert, line);
}

}  // namespace

void add_adapter_verbs(CLI::App& app, CommandLine& line) {
  CLI::App* adapter =
      app.add_subcommand("adapter", "Combine, convert or compare adapters, or show their status");
  adapter->require_subcommand(1);
  add_combine(*adapter, line);
  add_convert(*adapter, line);
  CLI::App* diff = adapter->add_subcommand("diff", "Compare two adapters");
  diff->add_option("folders", line.diff, "The adapters' folders")
      ->option_text(" ")
      ->expected(2)
      ->required();
  add_output_flags(*diff, line);
  CLI::App* status = adapter->add_subcommand(
      "status",
      "Show which adapters are on each layer of a model, active, trainable, of what type");
  status->add_option("target", line.target, "The config (.toml)")->option_text(" ")->required();
  status
      ->add_option("--adapter", line.adapters,
                   "[NAME=]DIR, an adapter's folder, repeatable; without it, those of the config")
      ->allow_extra_args(false);
  status->add_option("--active", line.active, "The adapters that run, summed; default: all")
      ->delimiter(',');
  add_common(*status, line);
}

}  // namespace tenon
