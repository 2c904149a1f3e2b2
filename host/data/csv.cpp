#include "data/csv.h"

#include <utility>

#include "base/error.h"

namespace tenon {

namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

}  // namespace

CsvReader::CsvReader(std::string_view text, std::filesystem::path path)
    : text_(text), path_(std::move(path)) {
  if (text_.starts_with(kByteOrderMark)) text_.remove_prefix(kByteOrderMark.size());
}

const std::vector<std::string_view>* CsvReader::next() {
  fields_.clear();
  unescaped_.clear();
  while (position_ < text_.size() && at_line_end()) skip_line_end();
  if (position_ >= text_.size()) return nullptr;

  line_ = next_line_;
  fields_.push_back(take_field());
  while (position_ < text_.size() && text_[position_] == ',') {
    ++position_;
    fields_.push_back(take_field());
  }
  skip_line_end();
  return &fields_;
}

std::string_view CsvReader::take_field() {
  if (position_ < text_.size() && text_[position_] == '"') return take_quoted_field();
  const std::size_t start = position_;
  while (position_ < text_.size() && text_[position_] != ',' && !at_line_end()) {
    if (text_[position_] == '"') fail("a quote inside a field that does not start with one");
    ++position_;
  }
  return text_.substr(start, position_ - start);
}

std::string_view CsvReader::take_quoted_field() {
  const std::size_t start = ++position_;
  bool doubled = false;
  for (; position_ < text_.size(); ++position_) {
    if (text_[position_] == '\n') ++next_line_;
    if (text_[position_] != '"') continue;
    if (position_ + 1 >= text_.size() || text_[position_ + 1] != '"') break;
    doubled = true;
    ++position_;
  }
  if (position_ >= text_.size()) fail("a quote that is never closed");
  const std::string_view raw = text_.substr(start, position_ - start);
  ++position_;
  if (position_ < text_.size() && text_[position_] != ',' && !at_line_end()) {
    fail("text after a closing quote");
  }
  if (!doubled) return raw;

  std::string& field = unescaped_.emplace_back();
  for (std::size_t i = 0; i < raw.size(); ++i) {
    field += raw[i];
    if (raw[i] == '"') ++i;
  }
  return field;
}

bool CsvReader::at_line_end() const {
  return text_[position_] == '\n' || text_.substr(position_, 2) == "\r\n";
}

void CsvReader::skip_line_end() {
  if (position_ >= text_.size()) return;
  position_ += text_[position_] == '\r' ? 2 : 1;
  ++next_line_;
}

void CsvReader::fail(const std::string& what) const {
  throw Error{{.stage = Stage::kData,
               .message = "this record has " + what,
               .hint = "write a field with quotes as \"...\", and each quote inside it twice",
               .location = path_.string() + ":" + std::to_string(line_)}};
}

}  // namespace tenon
