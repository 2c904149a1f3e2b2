#include <algorithm>
#include <charconv>
#include <cmath>
#include <set>

#include "base/error.h"
#include "data/csv.h"

namespace tenon {

namespace {

constexpr std::size_t kShownProblems = 10;
constexpr std::size_t kShownCharacters = 40;

// Collects misfits with their places; only the first few are kept as text.
class CsvProblems {
 public:
  explicit CsvProblems(std::string file) : file_(std::move(file)) {}

  void add(std::int64_t line, const std::string& what) {
    if (count_++ < kShownProblems) {
      text_ += "\n  " + file_ + ":" + std::to_string(line) + ": " + what;
    }
  }

  void throw_if_any() const {
    if (count_ == 0) return;
    std::string message =
        std::to_string(count_) + (count_ == 1 ? " place" : " places") + " cannot be read:" + text_;
    if (count_ > kShownProblems) {
      message += "\n  and " + std::to_string(count_ - kShownProblems) + " more";
    }
    throw Error{{.stage = Stage::kData,
                 .message = message,
                 .hint = "every field of a column in use must hold one finite number; name the "
                         "columns to use with [data] inputs and target",
                 .location = file_}};
  }

 private:
  std::string file_;
  std::string text_;
  std::size_t count_ = 0;
};

std::string_view trim(std::string_view field) {
  while (!field.empty() && (field.front() == ' ' || field.front() == '\t')) field.remove_prefix(1);
  while (!field.empty() && (field.back() == ' ' || field.back() == '\t')) field.remove_suffix(1);
  // from_chars takes no plus sign.
  if (field.size() > 1 && field[0] == '+' && field[1] != '-') field.remove_prefix(1);
  return field;
}

std::string quoted(std::string_view field) {
  std::string text(1, '`');
  text += field.substr(0, kShownCharacters);
  if (field.size() > kShownCharacters) text += "...";
  return text += '`';
}

// Empty when `value` was read, else what is wrong.
std::string parse_float(std::string_view field, float& value) {
  const std::string_view digits = trim(field);
  if (digits.empty()) return "is empty";
  double number = 0;
  const auto [end, status] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (status == std::errc::invalid_argument || end != digits.data() + digits.size()) {
    return quoted(field) + " is not a number";
  }
  value = static_cast<float>(number);
  if (status == std::errc::result_out_of_range || (std::isfinite(number) && !std::isfinite(value)))
    return quoted(field) + " does not fit float32";
  if (!std::isfinite(number)) return quoted(field) + " is not a finite number";
  return "";
}

std::string parse_integer(std::string_view field, std::int64_t& value) {
  const std::string_view digits = trim(field);
  if (digits.empty()) return "is empty";
  const char* const digits_end = digits.data() + digits.size();
  const auto [end, status] = std::from_chars(digits.data(), digits_end, value);
  if (status == std::errc::result_out_of_range) return quoted(field) + " does not fit int64";
  if (status == std::errc{} && end == digits_end) return "";
  // A class number that passed through floating point: "3.0".
  double number = 0;
  const auto [float_end, float_status] = std::from_chars(digits.data(), digits_end, number);
  constexpr double kExactLimit = 9007199254740992.0;  // 2^53
  if (float_status == std::errc{} && float_end == digits_end && std::trunc(number) == number &&
      std::abs(number) <= kExactLimit) {
    value = static_cast<std::int64_t>(number);
    return "";
  }
  return quoted(field) + " is not a whole number, as classes are";
}

// A first line of numbers is a row: taken as names, that row would be lost without a word. The
// names 0, 1, 2, ... are what data frames without names write.
bool is_row_of_numbers(const std::vector<std::string>& names) {
  bool counting = true;
  for (std::size_t i = 0; i < names.size(); ++i) {
    float number = 0;
    if (!parse_float(names[i], number).empty()) return false;
    counting = counting && names[i] == std::to_string(i);
  }
  return !counting;
}

}  // namespace

std::vector<std::string> read_csv_header(std::string_view text, const std::filesystem::path& path) {
  CsvReader reader(text, path);
  const auto* fields = reader.next();
  const std::string hint = "the first line of a CSV file names its columns";
  if (fields == nullptr) {
    throw Error{{.stage = Stage::kData,
                 .message = "the file has no header line",
                 .hint = hint,
                 .location = path.string()}};
  }
  std::vector<std::string> names;
  std::set<std::string> seen;
  for (const std::string_view field : *fields) {
    const std::string& name = names.emplace_back(trim(field));
    if (!name.empty() && seen.insert(name).second) continue;
    throw Error{{.stage = Stage::kData,
                 .message = name.empty() ? "column " + std::to_string(names.size()) + " has no name"
                                         : "two columns are named `" + name + "`",
                 .hint = hint,
                 .location = path.string() + ":" + std::to_string(reader.line())}};
  }
  if (is_row_of_numbers(names)) {
    throw Error{{.stage = Stage::kData,
                 .message = "the first line holds numbers, not column names",
                 .hint = hint,
                 .location = path.string() + ":" + std::to_string(reader.line())}};
  }
  return names;
}

CsvNumbers read_csv_numbers(std::string_view text, const std::filesystem::path& path,
                            const std::vector<std::size_t>& float_columns,
                            std::optional<std::size_t> integer_column) {
  const std::vector<std::string> names = read_csv_header(text, path);
  CsvReader reader(text, path);
  reader.next();  // the header
  CsvProblems problems(path.string());
  CsvNumbers numbers;
  const auto lines = static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
  numbers.floats.reserve(lines * float_columns.size());

  while (const auto* fields = reader.next()) {
    ++numbers.rows;
    if (fields->size() != names.size()) {
      problems.add(reader.line(), std::to_string(fields->size()) + " fields where the header has " +
                                      std::to_string(names.size()));
      continue;
    }
    for (const std::size_t column : float_columns) {
      const std::string problem = parse_float((*fields)[column], numbers.floats.emplace_back());
      if (!problem.empty())
        problems.add(reader.line(), "column `" + names[column] + "` " + problem);
    }
    if (!integer_column) continue;
    const std::string problem =
        parse_integer((*fields)[*integer_column], numbers.integers.emplace_back());
    if (!problem.empty()) {
      problems.add(reader.line(), "column `" + names[*integer_column] + "` " + problem);
    }
  }
  problems.throw_if_any();
  return numbers;
}

}  // namespace tenon
