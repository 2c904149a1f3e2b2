#include "config/toml_document.h"

#include <algorithm>
#include <utility>

#include "base/file.h"
#include "base/foreign_content.h"
#include "config/overrides.h"
#include "config/toml_keys.h"
#include "config/toml_reader.h"

namespace tenon {
namespace {

std::string position_text(const std::filesystem::path& file, const toml::source_position& at) {
  return file.string() + ":" + std::to_string(at.line) + ":" + std::to_string(at.column);
}

toml::table parse(const std::string& text, const std::filesystem::path& file) {
  if (const auto deep = find_deep_key(text)) {
    const auto line = 1 + std::count(text.begin(), text.begin() + static_cast<long>(*deep), '\n');
    throw Error{{.stage = Stage::kConfig,
                 .message = "not valid here: a key of more than 256 parts",
                 .location = file.string() + ":" + std::to_string(line)}};
  }
  if (const ForeignContent content = foreign_content(text); content.what != nullptr) {
    const bool is_program = text.starts_with("PK");
    throw Error{{.stage = Stage::kConfig,
                 .message = is_program
                                ? "this is no config but a zip archive, as exported programs are"
                                : "this is no config but " + std::string(content.what),
                 .hint = is_program ? "`tenon init MODEL.pt2` writes a config for one"
                                    : std::string(content.hint),
                 .location = file.string()}};
  }
  try {
    return toml::parse(text, file.string());
  } catch (const toml::parse_error& error) {
    throw Error{{.stage = Stage::kConfig,
                 .message = "not valid TOML: " + std::string(error.description()),
                 .location = position_text(file, error.source().begin)}};
  }
}

}  // namespace

TomlDocument::TomlDocument(std::filesystem::path file, toml::table root, bool has_lines)
    : file_(std::move(file)), root_(std::move(root)), has_lines_(has_lines) {}

// The parser notes the source it was given in every node: the file's name, or "--set KEY".
bool TomlDocument::is_overridden(const toml::source_region& source) const {
  return source.path && *source.path != file_.string();
}

Place TomlDocument::place(const toml::source_region& source) const {
  const toml::source_position& at = source.begin;
  if (at.line == 0) return {.text = file_.string()};
  Place place{.overridden = is_overridden(source), .line = at.line, .column = at.column};
  place.text = place.overridden ? *source.path
               : has_lines_     ? position_text(file_, at)
                                : file_.string();
  return place;
}

Place TomlDocument::place_of(std::string_view dotted_path) const {
  const toml::node* node = root_.at_path(dotted_path).node();
  return place(node == nullptr ? toml::source_region{} : node->source());
}

std::filesystem::path TomlDocument::resolve(const toml::node& node, const std::string& path) const {
  return is_overridden(node.source()) ? std::filesystem::path(path)
                                      : (file_.parent_path() / path).lexically_normal();
}

TomlDocument read_document(const std::filesystem::path& file,
                           const std::vector<std::string>& overrides, Problems& problems) {
  toml::table root = parse(read_text_file(file, Stage::kConfig, kMostConfigBytes), file);
  apply_overrides(root, overrides, problems);
  return TomlDocument(file, std::move(root));
}

TomlDocument read_document(const ConfigText& config) {
  return TomlDocument(config.name, parse(config.text, config.name), config.has_lines);
}

}  // namespace tenon
