#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "fuzz/mutations.h"

namespace tenon::fuzz {
namespace {

using Tokens = std::vector<std::string>;

constexpr std::array<const char*, 14> kValues{"0",
                                              "-1",
                                              "9223372036854775807",
                                              "-9223372036854775808",
                                              "18446744073709551615",
                                              "4611686018427387905",
                                              "1e308",
                                              "0.5",
                                              "true",
                                              "null",
                                              "\"\"",
                                              "\"a.b.c.d\"",
                                              "[]",
                                              "{}"};

// Strings, numbers and words, and each bracket, comma and colon.
Tokens tokenize(std::string_view text) {
  constexpr std::string_view kMarks = "{}[],:";
  Tokens tokens;
  while (!text.empty()) {
    std::size_t size = 1;
    if (text.front() == '"') {
      while (size < text.size() && text[size] != '"') size += text[size] == '\\' ? 2 : 1;
      ++size;
    } else if (kMarks.find(text.front()) == std::string_view::npos) {
      size = std::min(text.find_first_of("{}[],:\""), text.size());
    }
    tokens.emplace_back(text.substr(0, size));
    text.remove_prefix(std::min(size, text.size()));
  }
  return tokens;
}

bool opens(const std::string& token) { return token == "{" || token == "["; }
bool closes(const std::string& token) { return token == "}" || token == "]"; }
bool is_mark(const std::string& token) {
  return opens(token) || closes(token) || token == "," || token == ":";
}

// The index behind the value that begins at `begin`.
std::size_t end_of_value(const Tokens& tokens, std::size_t begin) {
  std::size_t depth = 0;
  for (std::size_t index = begin; index < tokens.size(); ++index) {
    if (opens(tokens[index])) ++depth;
    if (closes(tokens[index]) && depth > 0) --depth;
    if (depth == 0) return index + 1;
  }
  return tokens.size();
}

class JsonMutation {
 public:
  JsonMutation(Tokens tokens, std::mt19937_64& random)
      : tokens_(std::move(tokens)), random_(random) {}

  void apply(const Tokens& other) {
    const std::size_t at = place(tokens_);
    const std::size_t from = place(other);
    switch (random_() % 5) {
      case 0:  // another value of a seed
        return replace(at,
                       {other.begin() + static_cast<std::ptrdiff_t>(from),
                        other.begin() + static_cast<std::ptrdiff_t>(end_of_value(other, from))});
      case 1:
        return replace(at, {kValues[random_() % kValues.size()]});
      case 2:  // one word for another: names, kinds and numbers change places
        tokens_[at] = is_mark(tokens_[at]) || is_mark(other[from]) ? tokens_[at] : other[from];
        return;
      case 3:
        return remove_item(at);
      default:
        return repeat_item(at);
    }
  }

  std::string take() const {
    std::string text;
    for (const std::string& token : tokens_) text += token;
    return text;
  }

 private:
  // Where a value or a key begins.
  std::size_t place(const Tokens& tokens) {
    for (int tries = 0; tries < 50; ++tries) {
      const std::size_t index = random_() % tokens.size();
      if (!is_mark(tokens[index]) || opens(tokens[index])) return index;
    }
    return 0;
  }

  void replace(std::size_t at, const Tokens& by) {
    const auto begin = tokens_.begin() + static_cast<std::ptrdiff_t>(at);
    tokens_.erase(begin, tokens_.begin() + static_cast<std::ptrdiff_t>(end_of_value(tokens_, at)));
    tokens_.insert(tokens_.begin() + static_cast<std::ptrdiff_t>(at), by.begin(), by.end());
  }

  // With the comma behind it.
  std::size_t end_of_item(std::size_t at) const {
    std::size_t end = end_of_value(tokens_, at);
    if (end + 1 < tokens_.size() && tokens_[end] == ":") end = end_of_value(tokens_, end + 1);
    return end < tokens_.size() && tokens_[end] == "," ? end + 1 : at;
  }

  void remove_item(std::size_t at) {
    tokens_.erase(tokens_.begin() + static_cast<std::ptrdiff_t>(at),
                  tokens_.begin() + static_cast<std::ptrdiff_t>(end_of_item(at)));
  }

  void repeat_item(std::size_t at) {
    const Tokens item(tokens_.begin() + static_cast<std::ptrdiff_t>(at),
                      tokens_.begin() + static_cast<std::ptrdiff_t>(end_of_item(at)));
    tokens_.insert(tokens_.begin() + static_cast<std::ptrdiff_t>(at), item.begin(), item.end());
  }

  Tokens tokens_;
  std::mt19937_64& random_;
};

}  // namespace

std::string mutate_json(const std::vector<std::string>& seeds, std::mt19937_64& random) {
  JsonMutation mutation(tokenize(seeds[random() % seeds.size()]), random);
  const Tokens other = tokenize(seeds[random() % seeds.size()]);
  const std::size_t count = 1 + random() % 4;
  for (std::size_t i = 0; i < count; ++i) mutation.apply(other);
  return mutation.take();
}

}  // namespace tenon::fuzz
