#include <CLI/CLI.hpp>

#include "app/command_line_verbs.h"

namespace tenon {
namespace {

// Those that change which plugins the user has.
void add_plugin_store_verbs(CLI::App& plugin, CommandLine& line) {
  PluginStoreArguments& asked = line.plugin_store;
  CLI::App* install = plugin.add_subcommand(
      "install", "Copy plugins into the user's folder, checked and never run");
  install
      ->add_option("source", asked.source,
                   "A plugin (.so), a folder of them, or the address of an index")
      ->option_text(" ")
      ->required();
  install
      ->add_option("names", asked.names,
                   "Of an index: the plugins, as acme.fancy or "
                   "acme.fancy@1.2.0")
      ->option_text(" ");
  install->add_flag("--force", line.force,
                    "Replace a newer version, or another file of the same version");
  add_output_flags(*install, line);
  CLI::App* remove = plugin.add_subcommand("remove", "Take plugins out of the user's folder");
  remove->add_option("names", asked.names, "Their ids")->option_text(" ")->required();
  remove->add_flag("--force", line.force, "Remove what was put there by hand too");
  add_output_flags(*remove, line);
  CLI::App* list = plugin.add_subcommand(
      "list", "List the plugins in the user's folder, where they came from, and the trusted keys");
  add_output_flags(*list, line);
  CLI::App* update =
      plugin.add_subcommand("update", "Install what the indexes have newer than is installed");
  update
      ->add_option("names", asked.names,
                   "Of these plugins only; default: all that came from an "
                   "index")
      ->option_text(" ");
  update->add_flag("--force", line.force, "Replace another file of the same version");
  add_output_flags(*update, line);
  CLI::App* trust = plugin.add_subcommand("trust", "Take the indexes that a key signs");
  trust->add_option("key", asked.source, "ed25519:... or a file with it")
      ->option_text(" ")
      ->required();
  CLI::Option* index =
      trust->add_option("--index", asked.index, "The address of an index that has changed its key");
  trust->add_flag("--remove", asked.remove, "Trust it no longer")->excludes(index);
  add_output_flags(*trust, line);
  CLI::App* make = plugin.add_subcommand(
      "index", "Write the signed index of a folder of plugins, for a web server or a disk");
  make->add_option("folder", line.target, "The folder; about.json in it tells summaries")
      ->option_text(" ")
      ->required();
  make->add_option(
      "--key", asked.key,
      "The file of the key that signs (PEM), made where it is missing; default: one in "
      "the user's data folder");
  make->add_flag("--force", line.force, "Sign by another key than the index that is there");
  add_output_flags(*make, line);
}

}  // namespace

void add_plugin_verbs(CLI::App& app, CommandLine& line) {
  CLI::App* plugin = app.add_subcommand("plugin", "Install plugins, check one, or start one");
  plugin->require_subcommand(1);
  add_plugin_store_verbs(*plugin, line);
  CLI::App* check = plugin->add_subcommand(
      "check", "Try a plugin by every rule, each test in a process of its own");
  check->add_option("file", line.target, "The plugin (.so)")->option_text(" ")->required();
  check->add_option("--model", line.plugin_check.model,
                    "An exported program (.pt2) with a layer of the plugin's type");
  check->add_option("--layer", line.plugin_check.layer, "The path of that layer in the model");
  check
      ->add_option("--set", line.plugin_check.set,
                   "A key of the method, or options.KEY of the layer type, that is not to be its "
                   "default: KEY=VALUE")
      ->allow_extra_args(false);
  check->add_option("--device", line.plugin_check.device,
                    "Where the layers run: cuda, cuda:1; default: cpu");
  check->add_option("--time-limit", line.plugin_check.seconds, "Seconds for each test; default: 20")
      ->check(CLI::PositiveNumber);
  add_output_flags(*check, line);
  CLI::App* fresh = plugin->add_subcommand(
      "new", "Write a small plugin project that builds, passes the check and runs");
  fresh->add_option("folder", line.target, "The folder to make")->option_text(" ")->required();
  fresh->add_option("--type", line.plugin_new.type,
                    "Adapters on layers of a type: acme.Fancy, torch.nn.LSTM");
  fresh->add_option("--method", line.plugin_new.method,
                    "The method of adapting; default: " + AdapterConfig().method);
  fresh->add_option("--model", line.plugin_new.model, "A C++ model of this name: acme.mlp");
  fresh->add_option("--loss", line.plugin_new.loss, "A loss of this name: acme.focal");
  fresh->add_option("--metric", line.plugin_new.metric, "A metric of this name: acme.hits");
  add_output_flags(*fresh, line);
}

}  // namespace tenon
