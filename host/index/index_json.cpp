#include "index/index_json.h"

#include <algorithm>
#include <tenon/cpp/names.hpp>

#include "base/printable.h"

namespace tenon {
namespace {

constexpr std::size_t kMostQuoted = 80;
constexpr std::size_t kMostPluginBytes = std::size_t{1} << 30U;

// A table of the index, and where it stands: "`plugins`[3]".
class IndexTable {
 public:
  IndexTable(const Json& json, std::string place, const Failure& context)
      : json_(json), place_(std::move(place)), context_(context) {
    if (!json_.is_object()) fail("is not a table");
  }

  [[noreturn]] void fail(const std::string& problem) const {
    Failure failure = context_;
    failure.message += (place_.empty() ? " " : ", in " + place_ + ", ") + problem;
    throw Error(failure);
  }

  std::string text(const char* name) const {
    const Json& value = at(name);
    if (!value.is_string()) fail(std::string("has no text `") + name + "`");
    return value.get<std::string>();
  }
  // "" where it is missing or null.
  std::string optional_text(const char* name) const {
    const auto value = json_.find(name);
    return value == json_.end() || value->is_null() ? "" : text(name);
  }
  std::string checked(const char* name, bool (*is_sound)(std::string_view)) const {
    std::string value = text(name);
    if (!is_sound(value)) {
      fail(std::string("has a wrong `") + name + "`: " + printable_excerpt(value, kMostQuoted));
    }
    return value;
  }
  std::uint64_t number(const char* name, std::uint64_t most) const {
    const Json& value = at(name);
    if (!value.is_number_unsigned() || value.get<std::uint64_t>() > most) {
      fail(std::string("has no sound number `") + name + "`");
    }
    return value.get<std::uint64_t>();
  }
  template <typename Read>
  void list(const char* name, Read read) const {
    const Json& value = at(name);
    if (!value.is_array()) fail(std::string("has no list `") + name + "`");
    std::size_t number = 0;
    for (const Json& each : value) {
      read(each,
           (place_.empty() ? "" : place_ + ".") + name + "[" + std::to_string(number++) + "]");
    }
  }
  std::vector<std::string> texts(const char* name) const {
    std::vector<std::string> all;
    list(name, [&](const Json& each, const std::string&) {
      if (!each.is_string()) fail(std::string("has something else than texts in `") + name + "`");
      all.push_back(each.get<std::string>());
    });
    return all;
  }

 private:
  const Json& at(const char* name) const {
    const auto value = json_.find(name);
    if (value == json_.end()) fail(std::string("has no `") + name + "`");
    return *value;
  }

  const Json& json_;
  std::string place_;
  const Failure& context_;
};

bool is_hash(std::string_view text) {
  return text.size() == 64 && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

// Of an ABI: two numbers.
bool is_abi(std::string_view text) {
  const std::size_t dot = text.find('.');
  const auto is_number = [](std::string_view part) {
    return !part.empty() && part.size() < 6 && std::ranges::all_of(part, names::is_digit);
  };
  return dot != std::string_view::npos && is_number(text.substr(0, dot)) &&
         is_number(text.substr(dot + 1));
}

// Of a file in the index's own folder: it leads nowhere else, in an address neither.
bool is_file_name(std::string_view text) {
  return text.size() > 3 && text.size() < 256 && text.ends_with(".so") && text[0] != '.' &&
         text[0] != '-' && std::ranges::all_of(text, [](char c) {
           return names::is_lower(c) || names::is_upper(c) || names::is_digit(c) || c == '.' ||
                  c == '-' || c == '_' || c == '+';
         });
}

IndexedFile read_file_entry(const IndexTable& table) {
  return {table.checked("version", names::is_version),
          table.checked("file", is_file_name),
          table.checked("sha256", is_hash),
          table.number("size", kMostPluginBytes),
          table.text("platform"),
          table.checked("abi_minimum", is_abi),
          table.checked("abi_below", is_abi),
          table.optional_text("libtorch"),
          table.optional_text("libtorch_minimum")};
}

IndexedPlugin read_plugin_entry(const IndexTable& table, const Failure& context) {
  IndexedPlugin plugin{table.checked("id", names::is_id), table.text("summary"),
                       table.text("license"), table.text("homepage"), table.texts("methods")};
  table.list("serves", [&](const Json& each, const std::string& place) {
    const IndexTable layers(each, place, context);
    plugin.serves.push_back({layers.text("method"), layers.texts("types")});
  });
  table.list("files", [&](const Json& each, const std::string& place) {
    plugin.files.push_back(read_file_entry(IndexTable(each, place, context)));
  });
  return plugin;
}

}  // namespace

PluginIndex read_index(const Json& json, const Failure& context) {
  const IndexTable table(json, "", context);
  constexpr std::uint64_t kMostSerial = std::uint64_t{1} << 53U;
  PluginIndex index{
      table.text("name"), static_cast<std::int64_t>(table.number("serial", kMostSerial)), {}};
  table.list("plugins", [&](const Json& each, const std::string& place) {
    IndexedPlugin plugin = read_plugin_entry(IndexTable(each, place, context), context);
    if (index.find(plugin.id) != nullptr) table.fail("has " + plugin.id + " twice");
    index.plugins.push_back(std::move(plugin));
  });
  return index;
}

Json index_json(const PluginIndex& index) {
  Json plugins = Json::array();
  for (const IndexedPlugin& plugin : index.plugins) {
    Json serves = Json::array();
    for (const IndexedLayers& layers : plugin.serves) {
      serves.push_back({{"method", layers.method}, {"types", layers.types}});
    }
    Json files = Json::array();
    for (const IndexedFile& file : plugin.files) {
      Json entry{{"version", file.version},    {"file", file.file},
                 {"sha256", file.sha256},      {"size", file.size},
                 {"platform", file.platform},  {"abi_minimum", file.abi_minimum},
                 {"abi_below", file.abi_below}};
      if (!file.libtorch.empty()) entry["libtorch"] = file.libtorch;
      if (!file.libtorch_minimum.empty()) entry["libtorch_minimum"] = file.libtorch_minimum;
      files.push_back(std::move(entry));
    }
    plugins.push_back({{"id", plugin.id},
                       {"summary", plugin.summary},
                       {"license", plugin.license},
                       {"homepage", plugin.homepage},
                       {"methods", plugin.methods},
                       {"serves", serves},
                       {"files", files}});
  }
  return {{"name", index.name},
          {"serial", static_cast<std::uint64_t>(index.serial)},
          {"plugins", plugins}};
}

}  // namespace tenon
