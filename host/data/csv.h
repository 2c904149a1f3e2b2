#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tenon {

// Splits CSV text into records (RFC 4180): commas, optional double quotes ("" inside quotes is one
// quote, commas and line ends inside belong to the field), LF or CRLF, a leading byte order mark
// and empty lines are skipped.
class CsvReader {
 public:
  // `text` must outlive the reader; `path` is for messages.
  CsvReader(std::string_view text, std::filesystem::path path);

  // The next record's fields, valid until the next call; nullptr at the end. Throws
  // Error{Stage::kData} where quotes are not closed or stand inside a bare field.
  const std::vector<std::string_view>* next();

  std::int64_t line() const { return line_; }  // where the record of the last next() starts, from 1

 private:
  std::string_view take_field();
  std::string_view take_quoted_field();
  void skip_line_end();
  bool at_line_end() const;
  [[noreturn]] void fail(const std::string& what) const;

  std::string_view text_;
  std::filesystem::path path_;
  std::size_t position_ = 0;
  std::int64_t line_ = 1;
  std::int64_t next_line_ = 1;
  std::vector<std::string_view> fields_;
  std::deque<std::string> unescaped_;  // fields that held "": their text without the doubling
};

// The numbers of a CSV file: `floats` row after row.
struct CsvNumbers {
  std::int64_t rows = 0;
  std::vector<float> floats;
  std::vector<std::int64_t> integers;
};

// The names in the header line. Throws Error{Stage::kData} if there is none, a name is empty or
// given twice.
std::vector<std::string> read_csv_header(std::string_view text, const std::filesystem::path& path);

// Reads the columns at these positions as float32, and one as int64 where given. Every field must
// be one finite number (blanks around it are allowed). Throws Error{Stage::kData} with the first
// ten misfits, each with file:line and column, and the count of the others.
CsvNumbers read_csv_numbers(std::string_view text, const std::filesystem::path& path,
                            const std::vector<std::size_t>& float_columns,
                            std::optional<std::size_t> integer_column);

}  // namespace tenon
