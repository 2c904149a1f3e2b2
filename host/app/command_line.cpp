#include "app/command_line.h"

#include <CLI/CLI.hpp>
#include <iostream>

#include "app/completion.h"
#include "app/manual.h"
#include "base/error.h"
#include "base/suggest.h"

namespace tenon {
namespace {

void add_output_flags(CLI::App& verb, CommandLine& line) {
  verb.add_flag("--json", line.json, "Print the answer as JSON on standard output");
  verb.add_flag("-q,--quiet", line.quiet, "Log errors only");
  verb.add_flag("-v,--verbose", line.verbose, "Log more");
}

void add_force(CLI::App& verb, CommandLine& line) {
  verb.add_flag("--force", line.force, "Replace the file that is there");
}

void add_no_verify(CLI::App& verb, CommandLine& line) {
  verb.add_flag("--no-verify", line.no_verify,
                "Take the weights of a .pt2 without checking their checksums");
}

void add_common(CLI::App& verb, CommandLine& line) {
  verb.add_option("--set", line.overrides,
                  "Override a config key: section.key=VALUE (TOML, else a string); repeatable")
      ->allow_extra_args(false);
  verb.add_option("--plugin-dir", line.plugin_directories,
                  "A folder of plugins, before all other places; repeatable")
      ->allow_extra_args(false);
  add_output_flags(verb, line);
}

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

// `tenon plugin ...`: for who uses plugins, and for their authors.
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

// `tenon adapter ...`: from adapters to adapters, and what is on a model.
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

void add_processes(CLI::App& verb, CommandLine& line) {
  constexpr std::int64_t kMost = 4096;
  verb.add_option("--processes", line.processes,
                  "Start this many processes on this machine, which share the rows")
      ->check(CLI::Range(std::int64_t{1}, kMost));
}

CLI::App* add_verb(CLI::App& app, CommandLine& line, const std::string& name,
                   const std::string& description, const std::string& target,
                   bool required = true) {
  CLI::App* verb = app.add_subcommand(name, description);
  auto* option = verb->add_option("target", line.target, target)->option_text(" ");
  if (required) option->required();
  add_common(*verb, line);
  return verb;
}

// A verb that is none, before the parser only misses one: `tenon rnu`, `tenon adapter combin`.
void check_verbs(const CLI::App& app, int argc, const char* const* argv) {
  const CLI::App* level = &app;
  for (int i = 1; i < argc && !level->get_subcommands({}).empty(); ++i) {
    const std::string word = argv[i];
    if (word.empty() || word.front() == '-') return;
    std::vector<std::string> verbs;
    const CLI::App* next = nullptr;
    for (const CLI::App* verb : level->get_subcommands({})) {
      verbs.push_back(verb->get_name());
      if (verb->get_name() == word) next = verb;
    }
    if (next == nullptr) {
      const std::string near = did_you_mean(word, verbs);
      const std::string before = level == &app ? "" : level->get_name() + " ";
      throw Error({.stage = Stage::kCommandLine,
                   .message = "there is no verb `" + before + word + "`" +
                              (near.empty() ? "; the verbs are " + join(verbs) : "; " + near),
                   .hint = "`tenon --help` lists the verbs, `tenon VERB --help` their options"});
    }
    level = next;
  }
}

}  // namespace

std::optional<CommandLine> parse_command_line(int argc, const char* const* argv) {
  CommandLine line;
  CLI::App app("Adapts trained PyTorch models in C++, without Python.", "tenon");
  app.set_version_flag("--version", std::string("tenon ") + TENON_VERSION);
  app.require_subcommand(1);
  app.footer(
      "`tenon VERB --help` tells more. The exit status is 0 when done, 2 when the command "
      "line, the config or its targets are wrong, 1 for every other failure.");

  std::string resumed;
  CLI::App* run =
      add_verb(app, line, "run", "Train the adapter of a config and save it", "The config (.toml)");
  run->add_flag("--force", line.force,
                "Replace the adapter in the output folder, or the file of [output] model");
  add_no_verify(*run, line);
  add_processes(*run, line);
  run->add_flag("--profile", line.profile, "Show where the time of the steps went");
  CLI::Option* resume =
      run->add_option(
             "--resume", resumed,
             "Go on from the newest checkpoint in the output folder, or from DIR; from the "
             "start where there is none")
          ->option_text("[DIR]")
          ->expected(0, 1);
  CLI::App* init =
      app.add_subcommand("init", "Write a config for a model, with comments, to start from");
  init->add_option("model", line.target, "The exported program (.pt2)")
      ->option_text(" ")
      ->required();
  init->add_option("--output", line.outputs, "The config; default: the model's name, .toml, here");
  init->add_flag("--force", line.force, "Replace the file that is there");
  init->add_option("--plugin-dir", line.plugin_directories,
                   "A folder of plugins, before all other places; repeatable")
      ->allow_extra_args(false);
  add_output_flags(*init, line);
  add_verb(app, line, "plan", "Show what `run` would adapt, and change nothing",
           "The config (.toml)");
  add_verb(app, line, "tree", "List the named modules of a model with their types",
           "A config (.toml) or an exported program (.pt2)");
  CLI::App* plugins =
      add_verb(app, line, "plugins", "List the plugins that are found, and why files are refused",
               "A config (.toml), for its [plugins]", false);
  plugins->add_flag("--load", line.load, "Load each of them too, as its use would");
  plugins->add_flag("--markdown", line.markdown,
                    "Print a page of each that is loaded, with its keys, instead");
  CLI::App* predict =
      add_verb(app, line, "predict", "Run the model on a file of inputs", "The config (.toml)");
  predict
      ->add_option("--adapter", line.adapters,
                   "[NAME=]DIR, an adapter's folder, repeatable; without it, the bare base")
      ->allow_extra_args(false);
  predict->add_option("--active", line.active, "The adapters that run, summed; default: all")
      ->delimiter(',');
  predict
      ->add_option("--adapter-names", line.adapter_names,
                   "The adapter of each row, or __base__: a batch of mixed rows")
      ->delimiter(',')
      ->excludes("--active");
  predict->add_option("--inputs", line.inputs, "Safetensors, one tensor for each input")
      ->required();
  predict->add_option("--outputs", line.outputs, "Safetensors to write: output_0, output_1, ...")
      ->required();
  add_force(*predict, line);
  add_no_verify(*predict, line);
  add_processes(*predict, line);
  predict->add_option("--batch-size", line.batch_size, "Split the file; default: one forward")
      ->check(CLI::PositiveNumber);
  CLI::App* eval = add_verb(app, line, "eval", "Measure the loss and [train] metrics on a file",
                            "The config (.toml)");
  eval->add_option("--adapter", line.adapters,
                   "[NAME=]DIR, an adapter's folder, repeatable; without it, the bare base")
      ->allow_extra_args(false);
  eval->add_option("--active", line.active, "The adapters that run, summed; default: all")
      ->delimiter(',');
  eval->add_option("--data", line.data, "The file or folder to measure on; default: [data] eval");
  add_no_verify(*eval, line);
  add_processes(*eval, line);
  CLI::App* report =
      app.add_subcommand("report", "Write a page with the curves of runs, from their logs");
  report->add_option("folders", line.reported, "The folders of runs that were logged")
      ->option_text(" ")
      ->required();
  report->add_option("--output", line.outputs, "F.html, a page that needs nothing else")
      ->required();
  add_force(*report, line);
  add_output_flags(*report, line);
  CLI::App* merge = add_verb(app, line, "merge",
                             "Fold adapters into the base and write a model that needs neither "
                             "adapters nor plugins",
                             "The config (.toml)");
  merge->add_option("--adapter", line.adapters, "[NAME=]DIR, an adapter's folder; repeatable")
      ->allow_extra_args(false)
      ->required();
  merge
      ->add_option("--output", line.outputs,
                   "F.pt2, a program for torch.export.load, or F.safetensors, a state dict")
      ->required();
  merge->add_flag("--requantize", line.requantize,
                  "Round what is merged into quantised weights once more, and tell what it costs; "
                  "writes F.safetensors for [model] weights");
  add_force(*merge, line);
  add_no_verify(*merge, line);
  CLI::App* quantize = add_verb(app, line, "quantize",
                                "Pack the weights of a model's linear layers once, in a file that "
                                "later runs map ([model] weights)",
                                "A config (.toml) or an exported program (.pt2)");
  quantize->add_option("--to", line.quantize_to, "int8 or nf4")
      ->required()
      ->check(CLI::IsMember({"int8", "nf4"}));
  quantize->add_option("--output", line.outputs, "F.safetensors")->required();
  add_force(*quantize, line);
  add_no_verify(*quantize, line);
  add_verb(app, line, "doctor", "Print versions, threads, libraries and search paths",
           "A config (.toml), for its [plugins]", false);

  CLI::App* inspect =
      app.add_subcommand("inspect", "Describe an adapter's folder, without its model");
  inspect->add_option("folder", line.target, "The adapter's folder")->option_text(" ")->required();
  add_output_flags(*inspect, line);
  add_adapter_verbs(app, line);
  add_plugin_verbs(app, line);

  std::string shell;
  app.add_subcommand("completion", "Print what completes verbs and options in a shell")
      ->add_option("shell", shell, join(completed_shells()))
      ->option_text(" ")
      ->required()
      ->check(CLI::IsMember(completed_shells()));

  app.add_subcommand("schema", "Print the JSON Schema of a config, for editors")
      ->add_option("--plugin-dir", line.plugin_directories,
                   "A folder of plugins, before all other places; repeatable")
      ->allow_extra_args(false);
  const CLI::App* manual =
      app.add_subcommand("manual", "Print this page of help as `man` reads it (roff)");

  check_verbs(app, argc, argv);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& stop) {
    if (stop.get_exit_code() == 0) {
      app.exit(stop, std::cout, std::cerr);
      return std::nullopt;
    }
    throw Error({.stage = Stage::kCommandLine,
                 .message = stop.what(),
                 .hint = "`tenon --help` lists the verbs, `tenon VERB --help` their options"});
  }
  if (!shell.empty()) {
    std::cout << completion_script(app, shell);
    return std::nullopt;
  }
  if (manual->parsed()) {
    std::cout << manual_page(app, TENON_VERSION);
    return std::nullopt;
  }
  if (resume->count() > 0) line.resume = resumed;
  const CLI::App* verb = app.get_subcommands().front();
  line.verb = verb->get_name();
  if (!verb->get_subcommands().empty()) {
    line.verb += " " + verb->get_subcommands().front()->get_name();
  }
  return line;
}

}  // namespace tenon
