#include "config/overrides.h"

#include <algorithm>
#include <optional>
#include <sstream>
#include <string_view>
#include <utility>

#include "config/toml_keys.h"

namespace tenon {
namespace {

constexpr std::string_view kForm = "--set wants section.key=VALUE";

struct Override {
  std::string key;    // as written
  std::string value;  // as written
  std::uint32_t number = 0;

  std::string source() const { return "--set " + key; }
  Place place() const {
    return {.overridden = true, .line = number, .column = 1, .text = source()};
  }
};

// The first "=" outside quotes ends the key.
std::optional<std::size_t> end_of_key(std::string_view text) {
  char quote = '\0';
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quote != '\0') {
      if (c == quote) quote = '\0';
    } else if (c == '"' || c == '\'') {
      quote = c;
    } else if (c == '=') {
      return i;
    }
  }
  return std::nullopt;
}

std::string trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return "";
  return std::string(text.substr(first, text.find_last_not_of(" \t") - first + 1));
}

// A one-line document; its line is the argument's number, so that places keep their order.
std::optional<toml::table> parse_line(const Override& assignment, const std::string& key,
                                      const std::string& value) {
  if (find_deep_key(key) || find_deep_key(value)) return std::nullopt;
  try {
    const std::string blank_lines(assignment.number - 1, '\n');
    return toml::parse(blank_lines + key + " = " + value, assignment.source());
  } catch (const toml::parse_error&) {
    return std::nullopt;
  }
}

// How many tables deep "a.b.c" leads; 0 if it is not a TOML key.
std::size_t depth_of_key(const Override& assignment) {
  if (assignment.key.find('\n') != std::string::npos) return 0;
  const std::optional<toml::table> parsed = parse_line(assignment, assignment.key, "0");
  if (!parsed) return 0;
  std::size_t depth = 1;
  const toml::table* table = &*parsed;
  while (const toml::table* next = table->begin()->second.as_table()) {
    table = next;
    ++depth;
  }
  return depth;
}

std::string quoted(const std::string& text) {
  std::ostringstream stream;
  stream << toml::value<std::string>(text);
  return stream.str();
}

// `[seq.0, seq.2]`, a list whose quotes the shell took away. A regular expression may start with a
// bracket and may end with one, but hardly is one bracket from end to end.
bool looks_like_unquoted_list(std::string_view value) {
  return value.size() >= 2 && value.front() == '[' &&
         value.find_first_of("[]", 1) == value.size() - 1;
}

std::optional<toml::table> parse_override(const Override& assignment, Problems& problems) {
  // Parsed apart from its key first: a value with a line break could smuggle in other keys.
  const std::optional<toml::table> alone = parse_line(assignment, "value", assignment.value);
  if (alone && alone->size() == 1) return parse_line(assignment, assignment.key, assignment.value);
  if (looks_like_unquoted_list(assignment.value)) {
    problems.add(assignment.place(), '`' + assignment.value +
                                         "` is not a TOML list; keep the quotes of its strings "
                                         "from the shell: --set '" +
                                         assignment.key + "=[\"a\", \"b\"]'");
    return std::nullopt;
  }
  return parse_line(assignment, assignment.key, quoted(assignment.value));
}

std::optional<Override> split(const std::string& text, std::uint32_t number, Problems& problems) {
  const std::optional<std::size_t> equals = end_of_key(text);
  if (!equals) {
    problems.add({.overridden = true, .line = number, .text = "--set " + text}, std::string(kForm));
    return std::nullopt;
  }
  return Override{trimmed(std::string_view(text).substr(0, *equals)),
                  trimmed(std::string_view(text).substr(*equals + 1)), number};
}

// Walks `depth` keys into both tables and replaces what `from` holds there.
void graft(toml::table& into, toml::table& from, std::size_t depth, const std::string& walked,
           const Override& assignment, Problems& problems) {
  const toml::key key = from.begin()->first;
  const std::string path = walked.empty() ? std::string(key.str()) : walked + "." + key.data();
  toml::node* present = into.get(key.str());
  if (depth == 1 || present == nullptr) {
    into.insert_or_assign(key, std::move(from.begin()->second));
    return;
  }
  if (toml::table* next = present->as_table()) {
    graft(*next, *from.begin()->second.as_table(), depth - 1, path, assignment, problems);
    return;
  }
  problems.add(assignment.place(),
               present->is_array() ? '`' + path +
                                         "` is a list in the file; --set can replace the whole "
                                         "list but not change an entry"
                                   : '`' + path + "` is a plain value in the file, not a table");
}

}  // namespace

void apply_overrides(toml::table& root, const std::vector<std::string>& overrides,
                     Problems& problems) {
  std::uint32_t number = 0;
  for (const std::string& text : overrides) {
    const std::optional<Override> assignment = split(text, ++number, problems);
    if (!assignment) continue;
    const std::size_t depth = depth_of_key(*assignment);
    if (depth == 0) {
      problems.add(assignment->place(), '`' + assignment->key + "` is not a key; " +
                                            std::string(kForm) +
                                            ", with quotes around a part that holds more than "
                                            "letters, digits, _ and -");
      continue;
    }
    std::optional<toml::table> parsed = parse_override(*assignment, problems);
    if (parsed) graft(root, *parsed, depth, "", *assignment, problems);
  }
}

}  // namespace tenon
