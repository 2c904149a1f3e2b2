#include "app/command_line.h"

#include <CLI/CLI.hpp>
#include <iostream>

#include "app/command_line_verbs.h"
#include "app/completion.h"
#include "app/manual.h"
#include "base/error.h"
#include "base/suggest.h"

namespace tenon {
namespace {

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
