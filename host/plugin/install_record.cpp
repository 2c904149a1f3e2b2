#include "plugin/install_record.h"

#include <array>
#include <utility>

#include "base/file.h"
#include "base/json.h"

namespace tenon {
namespace {

constexpr int kRecordFormat = 1;
constexpr std::size_t kMostRecordBytes = std::size_t{1} << 20U;

using Field = std::pair<const char*, std::string InstallRecord::*>;
constexpr std::array<Field, 9> kRecordFields{{{"id", &InstallRecord::id},
                                              {"version", &InstallRecord::version},
                                              {"sha256", &InstallRecord::sha256},
                                              {"from", &InstallRecord::from},
                                              {"key", &InstallRecord::key},
                                              {"installed", &InstallRecord::installed},
                                              {"license", &InstallRecord::license},
                                              {"summary", &InstallRecord::summary},
                                              {"homepage", &InstallRecord::homepage}}};

}  // namespace

std::filesystem::path record_of(const std::filesystem::path& plugin) {
  return std::filesystem::path(plugin).replace_extension(".json");
}

std::optional<InstallRecord> read_record(const std::filesystem::path& plugin) {
  const std::filesystem::path path = record_of(plugin);
  std::error_code failed;
  if (!std::filesystem::exists(path, failed)) return std::nullopt;
  const Failure context{.stage = Stage::kPlugins,
                        .message = "the record of an installed plugin",
                        .hint = "install the plugin again with --force",
                        .location = path.string()};
  const Json json = parse_json(read_text_file(path, Stage::kPlugins, kMostRecordBytes), context);
  Failure wrong = context;
  if (!json.is_object() || json.value("format", Json()) != Json(kRecordFormat)) {
    wrong.message += " is not of format 1, which this Tenon reads";
    throw Error(wrong);
  }
  InstallRecord record;
  for (const auto& [name, field] : kRecordFields) {
    const auto value = json.find(name);
    if (value == json.end() || !value->is_string()) {
      wrong.message += std::string(" has no text `") + name + "`";
      throw Error(wrong);
    }
    record.*field = value->get<std::string>();
  }
  return record;
}

std::string record_text(const InstallRecord& record) {
  OrderedJson json{{"format", kRecordFormat}};
  for (const auto& [name, field] : kRecordFields) json[name] = record.*field;
  return json.dump(2, ' ', false, OrderedJson::error_handler_t::replace) + "\n";
}

}  // namespace tenon
