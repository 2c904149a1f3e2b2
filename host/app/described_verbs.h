#pragma once

#include <string>
#include <vector>

namespace CLI {  // NOLINT(readability-identifier-naming): CLI11's
class App;
}

namespace tenon {

struct DescribedOption {
  std::string name;  // "--force", "-q"; of a word without dashes "folder"
  std::string help;
  bool takes_value = false;
};

// A verb and what may follow it: verbs of its own, words, options.
struct DescribedVerb {
  std::string path;  // "adapter combine"; "" for the program
  std::string name;
  std::string help;
  std::vector<std::string> verbs;      // by path
  std::vector<DescribedOption> words;  // in their order
  std::vector<DescribedOption> options;
};

// The program and all its verbs, each before those below it, taken from the parser itself.
std::vector<DescribedVerb> described_verbs(const CLI::App& app);

}  // namespace tenon
