#include "app/described_verbs.h"

#include <CLI/CLI.hpp>

namespace tenon {
namespace {

void describe_options(const CLI::App& app, DescribedVerb& verb) {
  for (const CLI::Option* option : app.get_options()) {
    const bool takes_value = option->get_expected_min() > 0 && option->get_items_expected_max() > 0;
    for (const std::string& name : option->get_lnames()) {
      verb.options.push_back({"--" + name, option->get_description(), takes_value});
    }
    for (const std::string& name : option->get_snames()) {
      verb.options.push_back({"-" + name, option->get_description(), takes_value});
    }
    if (option->get_positional()) {
      verb.words.push_back({option->get_name(true), option->get_description(), true});
    }
  }
}

void collect_verbs(const CLI::App& app, const std::string& path,
                   std::vector<DescribedVerb>& verbs) {
  DescribedVerb verb{path, app.get_name(), app.get_description(), {}, {}, {}};
  describe_options(app, verb);
  const std::string before = path.empty() ? "" : path + " ";
  const auto below = app.get_subcommands([](const CLI::App*) { return true; });
  for (const CLI::App* each : below) verb.verbs.push_back(before + each->get_name());
  verbs.push_back(std::move(verb));
  for (const CLI::App* each : below) collect_verbs(*each, before + each->get_name(), verbs);
}

}  // namespace

std::vector<DescribedVerb> described_verbs(const CLI::App& app) {
  std::vector<DescribedVerb> verbs;
  collect_verbs(app, "", verbs);
  return verbs;
}

}  // namespace tenon
