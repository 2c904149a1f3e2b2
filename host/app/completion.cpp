#include "app/completion.h"

#include <algorithm>
#include <sstream>

#include "app/described_verbs.h"
#include "app/shell_quotes.h"
#include "base/suggest.h"

namespace tenon {
namespace {

std::string last_word(const std::string& path) { return path.substr(path.rfind(' ') + 1); }

// All that can stand behind a verb, but for files.
std::string words_after(const DescribedVerb& verb) {
  std::vector<std::string> words;
  for (const std::string& path : verb.verbs) words.push_back(last_word(path));
  for (const DescribedOption& option : verb.options) words.push_back(option.name);
  return join(words, " ");
}

std::string bash_script(const std::vector<DescribedVerb>& verbs) {
  std::ostringstream out;
  out << "# Completes tenon in bash: source <(tenon completion bash)\n"
         "_tenon() {\n"
         "  local current=${COMP_WORDS[COMP_CWORD]} verb= words= i\n"
         "  for ((i = 1; i < COMP_CWORD; ++i)); do\n"
         "    case \"${verb:+$verb }${COMP_WORDS[i]}\" in\n"
         "      ";
  for (std::size_t i = 1; i < verbs.size(); ++i) {
    out << (i == 1 ? "" : " | ") << in_shell_quotes(verbs[i].path);
  }
  out << ") verb=${verb:+$verb }${COMP_WORDS[i]} ;;\n"
         "    esac\n"
         "  done\n"
         "  case $verb in\n";
  for (const DescribedVerb& verb : verbs) {
    out << "    " << in_shell_quotes(verb.path) << ") words=" << in_shell_quotes(words_after(verb))
        << " ;;\n";
  }
  out << "  esac\n"
         "  COMPREPLY=($(compgen -W \"$words\" -- \"$current\"))\n"
         "  [[ $current == -* || -z $verb ]] || COMPREPLY+=($(compgen -f -- \"$current\"))\n"
         "}\n"
         "complete -o filenames -F _tenon tenon\n";
  return out.str();
}

std::string fish_script(const std::vector<DescribedVerb>& verbs) {
  std::ostringstream out;
  out << "# Completes tenon in fish: tenon completion fish | source\n";
  for (const DescribedVerb& verb : verbs) {
    std::string where = "__fish_use_subcommand";
    if (!verb.path.empty()) {
      where = "__fish_seen_subcommand_from " + last_word(verb.path);
      const std::size_t space = verb.path.find(' ');
      if (space != std::string::npos) {
        where.insert(0, "__fish_seen_subcommand_from " + verb.path.substr(0, space) + "; and ");
      }
    }
    for (const std::string& path : verb.verbs) {
      const auto named = std::ranges::find(verbs, path, &DescribedVerb::path);
      out << "complete -c tenon -f -n " << in_shell_quotes(where) << " -a " << last_word(path)
          << " -d " << in_shell_quotes(named->help) << "\n";
    }
    for (const DescribedOption& option : verb.options) {
      const bool is_long = option.name.starts_with("--");
      out << "complete -c tenon -n " << in_shell_quotes(where) << (is_long ? " -l " : " -s ")
          << option.name.substr(is_long ? 2 : 1) << (option.takes_value ? " -r" : "") << " -d "
          << in_shell_quotes(option.help) << "\n";
    }
  }
  return out.str();
}

// A word and its help as zsh's _describe takes them: a colon parts the two.
std::string described(const std::string& word, const std::string& help) {
  std::string out;
  for (const char each : word) out += each == ':' ? std::string("\\:") : std::string(1, each);
  return in_shell_quotes(out + ":" + help);
}

std::string zsh_script(const std::vector<DescribedVerb>& verbs) {
  std::ostringstream out;
  out << "#compdef tenon\n"
         "# Completes tenon in zsh: source <(tenon completion zsh), or a file _tenon in $fpath\n"
         "_tenon() {\n"
         "  local verb= i\n"
         "  local -a words_here\n"
         "  for ((i = 2; i < CURRENT; ++i)); do\n"
         "    case \"${verb:+$verb }${words[i]}\" in\n"
         "      (";
  for (std::size_t i = 1; i < verbs.size(); ++i) {
    out << (i == 1 ? "" : "|") << in_shell_quotes(verbs[i].path);
  }
  out << ") verb=\"${verb:+$verb }${words[i]}\" ;;\n"
         "    esac\n"
         "  done\n"
         "  case $verb in\n";
  for (const DescribedVerb& verb : verbs) {
    out << "    (" << in_shell_quotes(verb.path) << ") words_here=(\n";
    for (const std::string& path : verb.verbs) {
      const auto named = std::ranges::find(verbs, path, &DescribedVerb::path);
      out << "      " << described(last_word(path), named->help) << "\n";
    }
    for (const DescribedOption& option : verb.options) {
      out << "      " << described(option.name, option.help) << "\n";
    }
    out << "    ) ;;\n";
  }
  out << "  esac\n"
         "  _describe tenon words_here\n"
         "  [[ -z $verb ]] || _files\n"
         "}\n"
         "compdef _tenon tenon\n";
  return out.str();
}

}  // namespace

const std::vector<std::string>& completed_shells() {
  static const std::vector<std::string> shells = {"bash", "zsh", "fish"};
  return shells;
}

std::string completion_script(const CLI::App& app, const std::string& shell) {
  const std::vector<DescribedVerb> verbs = described_verbs(app);
  if (shell == "bash") return bash_script(verbs);
  return shell == "zsh" ? zsh_script(verbs) : fish_script(verbs);
}

}  // namespace tenon
