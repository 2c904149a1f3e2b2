#include <algorithm>
#include <cctype>

#include "config/sections.h"

namespace tenon {
namespace {

bool is_sha256(const std::string& text) {
  return text.size() == 64 && std::all_of(text.begin(), text.end(),
                                          [](unsigned char c) { return std::isxdigit(c) != 0; });
}

void read_prefer(SectionReader& section, std::map<std::string, std::string>& prefer) {
  const auto value = section.take("prefer", "table", "");
  if (!value) return;
  for (const ConfigValue& entry : value->entries("a layer's id")) {
    const auto layer_id = entry.as_string();
    if (!layer_id) continue;
    const std::size_t colon = entry.key().find(':');
    if (colon == 0 || colon >= entry.key().size() - 1) {
      entry.fail("must be named \"method:type\", such as \"" + AdapterConfig().method +
                 ":torch.nn.Linear\"");
    } else {
      prefer[entry.key()] = *layer_id;
    }
  }
}

void read_sha256(SectionReader& section, std::map<std::string, std::string>& sha256) {
  const auto value = section.take("sha256", "table", "");
  if (!value) return;
  for (const ConfigValue& entry : value->entries("a plugin's hash")) {
    auto hash = entry.as_string();
    if (!hash) continue;
    if (!is_sha256(*hash)) {
      entry.fail("must be a SHA-256 of 64 hexadecimal digits");
      continue;
    }
    std::transform(hash->begin(), hash->end(), hash->begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    sha256[entry.key()] = *hash;
  }
}

}  // namespace

void read_plugins_section(SectionReader& section, RunConfig& config) {
  PluginsConfig& plugins = config.plugins;
  section.paths("directories", plugins.directories);
  section.paths("files", plugins.files);
  read_prefer(section, plugins.prefer);
  read_sha256(section, plugins.sha256);
}

}  // namespace tenon
