#include "app/manual.h"

#include <sstream>

#include "app/described_verbs.h"

namespace tenon {
namespace {

// A text in roff: a hyphen stays one, and no line starts a command.
std::string in_roff(const std::string& text) {
  std::string out;
  for (const char each : text) {
    if (each == '\\') {
      out += "\\e";
    } else if (each == '-') {
      out += "\\-";
    } else {
      out += each;
    }
  }
  return out.starts_with('.') || out.starts_with('\'') ? "\\&" + out : out;
}

// Names of one option stand next to each other, and share its help.
void describe(std::ostringstream& out, const std::vector<DescribedOption>& options) {
  for (std::size_t i = 0; i < options.size(); ++i) {
    out << ".TP\n.B " << in_roff(options[i].name);
    while (i + 1 < options.size() && options[i + 1].help == options[i].help) {
      out << ", " << in_roff(options[++i].name);
    }
    if (options[i].takes_value) out << " \\fIVALUE\\fR";
    out << "\n" << in_roff(options[i].help) << "\n";
  }
}

}  // namespace

std::string manual_page(const CLI::App& app, const std::string& version) {
  const std::vector<DescribedVerb> verbs = described_verbs(app);
  std::ostringstream out;
  out << ".TH TENON 1 \"\" \"tenon " << in_roff(version) << "\" \"User Commands\"\n"
      << ".SH NAME\ntenon \\- adapts trained PyTorch models without Python\n"
      << ".SH SYNOPSIS\n.B tenon\n.I VERB\n[words and options]\n"
      << ".SH DESCRIPTION\n"
      << in_roff(verbs.front().help)
      << " A config in TOML names the model, the layers to adapt, the data and the training.\n"
      << ".SH VERBS\n";
  for (const DescribedVerb& verb : verbs) {
    if (verb.path.empty() || !verb.verbs.empty()) continue;
    out << ".SS tenon " << in_roff(verb.path);
    for (const DescribedOption& word : verb.words) out << " " << in_roff(word.name);
    out << "\n" << in_roff(verb.help) << ".\n";
    for (const DescribedOption& word : verb.words) {
      out << ".TP\n.I " << in_roff(word.name) << "\n" << in_roff(word.help) << "\n";
    }
    describe(out, verb.options);
  }
  out << ".SH EXIT STATUS\n0 when done; 2 when the command line, the config or its targets are "
         "wrong; 128 + signal where a signal ended it; 1 for every other failure.\n";
  return out.str();
}

}  // namespace tenon
