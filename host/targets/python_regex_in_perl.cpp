// Python's regular expressions (Lib/re/_parser.py) written in Perl's dialect. Names are matched as
// bytes, which is enough for what module names hold.
#include <cctype>
#include <stdexcept>

#include "targets/python_regex.h"

namespace tenon {
namespace {

bool is_letter(char c) { return std::isalpha(static_cast<unsigned char>(c)) != 0; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

class Translator {
 public:
  explicit Translator(std::string_view python) : rest_(python) {}

  std::string run() {
    while (!rest_.empty()) {
      switch (rest_.front()) {
        case '\\':
          escape(false);
          break;
        case '[':
          set();
          break;
        case '(':
          group();
          break;
        case '{':
          repetition();
          break;
        case '}':
          emit("\\}", 1);
          break;
        default:
          copy(1);
      }
    }
    return std::move(perl_);
  }

 private:
  void copy(std::size_t count) { emit(std::string(rest_.substr(0, count)), count); }
  void emit(const std::string& text, std::size_t consumed) {
    perl_ += text;
    rest_.remove_prefix(consumed);
  }
  [[noreturn]] static void fail(const std::string& what) { throw std::invalid_argument(what); }

  std::string digits(std::size_t from, const char* allowed, std::size_t most) const {
    const std::string_view tail = rest_.substr(from, most);
    return std::string(tail.substr(0, tail.find_first_not_of(allowed)));
  }

  void emit_code(unsigned long code, std::size_t consumed) {
    if (code > 0x7F) fail("a character beyond ASCII as a code; write the character itself");
    constexpr const char* kHex = "0123456789ABCDEF";
    emit(std::string("\\x{") + kHex[code / 16] + kHex[code % 16] + "}", consumed);
  }

  void hexadecimal(std::size_t length) {
    const std::string code = digits(2, "0123456789abcdefABCDEF", length);
    if (code.size() < length) fail("incomplete escape " + std::string(rest_.substr(0, 2)));
    emit_code(std::stoul(code, nullptr, 16), 2 + length);
  }

  void escape(bool in_set) {
    if (rest_.size() < 2) fail("it ends with a backslash");
    const char c = rest_[1];
    if (is_digit(c)) return number(in_set);
    if (c == 'x') return hexadecimal(2);
    if (c == 'u') return hexadecimal(4);
    if (c == 'U') return hexadecimal(8);
    if (in_set && c == 'b') return emit_code('\b', 2);
    if (!in_set && c == 'Z') return emit("\\z", 2);
    const std::string_view known = in_set ? "dDsSwWafnrtv" : "AbBdDsSwWafnrtv";
    if (is_letter(c) && known.find(c) == std::string_view::npos) {
      fail(std::string("bad escape \\") + c);
    }
    // To Perl these four are word and text borders.
    if (std::string_view("<>`'").find(c) != std::string_view::npos) {
      return emit_code(static_cast<unsigned char>(c), 2);
    }
    copy(2);
  }

  // \0 and three octal digits are a character, all else is a group's number.
  void number(bool in_set) {
    const std::string octal = digits(1, "01234567", 3);
    if (in_set || rest_[1] == '0' || octal.size() == 3) {
      if (octal.empty()) fail("bad escape " + std::string(rest_.substr(0, 2)));
      return emit_code(std::stoul(octal, nullptr, 8), 1 + octal.size());
    }
    const std::string group = digits(1, "0123456789", 2);
    emit("\\g{" + group + "}", 1 + group.size());
  }

  void set() {
    copy(1);
    if (rest_.starts_with('^')) copy(1);
    if (rest_.starts_with(']')) emit("\\]", 1);
    while (!rest_.starts_with(']')) {
      if (rest_.empty()) fail("unterminated character set");
      if (static_cast<unsigned char>(rest_.front()) > 0x7F) {
        fail("a character beyond ASCII in a set; write the choices as (a|b)");
      }
      if (rest_.front() == '\\') {
        escape(true);
      } else if (rest_.front() == '[') {
        emit("\\[", 1);
      } else {
        copy(1);
      }
    }
    copy(1);
  }

  // A brace that begins no repetition is a plain character.
  void repetition() {
    const std::string low = digits(1, "0123456789", std::string::npos);
    std::size_t at = 1 + low.size();
    std::string high = low;
    const bool comma = rest_.substr(at).starts_with(',');
    if (comma) {
      high = digits(at + 1, "0123456789", std::string::npos);
      at += 1 + high.size();
    }
    if (!rest_.substr(at).starts_with('}') || (!comma && low.empty())) return emit("\\{", 1);
    emit("{" + (low.empty() ? "0" : low) + (comma ? "," + high : "") + "}", at + 1);
  }

  // The name up to `end`, which starts at `from`.
  std::string name(std::size_t from, char end) const {
    const std::size_t close = rest_.find(end, from);
    if (close == std::string_view::npos) fail(std::string("missing ") + end);
    return std::string(rest_.substr(from, close - from));
  }

  void group() {
    if (!rest_.starts_with("(?")) return copy(1);
    for (const char* same : {"(?:", "(?=", "(?!", "(?>", "(?<=", "(?<!"}) {
      if (rest_.starts_with(same)) return copy(std::string_view(same).size());
    }
    if (rest_.starts_with("(?P<")) return emit("(?<", 4);
    if (rest_.starts_with("(?P=")) {
      const std::string group = name(4, ')');
      return emit("\\k<" + group + ">", group.size() + 5);
    }
    if (rest_.starts_with("(?#")) return emit("", name(3, ')').size() + 4);
    if (rest_.starts_with("(?(")) {
      const std::string group = name(3, ')');
      const bool numbered = !group.empty() && is_digit(group.front());
      return emit("(?(" + (numbered ? group : "<" + group + ">") + ")", group.size() + 4);
    }
    if (rest_.starts_with("(?<")) fail("unknown extension (?<; a named group is (?P<name>...)");
    flags();
  }

  // (?i) or (?i-s:...); a and u choose between alphabets that agree on ASCII.
  void flags() {
    const std::size_t end = rest_.find_first_not_of("aiLmsux-", 2);
    const bool ends = end != std::string_view::npos && (rest_[end] == ')' || rest_[end] == ':');
    if (!ends || end == 2) fail("unknown extension " + std::string(rest_.substr(0, 3)));
    std::string kept;
    for (const char flag : rest_.substr(2, end - 2)) {
      if (flag == 'L') fail("the flag L is for bytes only");
      if (flag != 'a' && flag != 'u') kept += flag;
    }
    const bool is_group = rest_[end] == ':';
    const bool nothing = kept.empty() && !is_group;
    emit(nothing ? "" : "(?" + kept + rest_[end], end + 1);
  }

  std::string_view rest_;
  std::string perl_;
};

}  // namespace

std::string to_perl_regex(std::string_view python) { return Translator(python).run(); }

}  // namespace tenon
