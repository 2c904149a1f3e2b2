#include "plugin/plugin_offer.h"

#include <tenon/plugin.h>

#include <algorithm>
#include <cctype>
#include <cstring>
#include <optional>
#include <sstream>
#include <string_view>
#include <utility>

#include "plugin/elf_library.h"
#include "plugin/elf_segments.h"

namespace tenon {
namespace {

constexpr std::uint32_t kMostEntries = 10'000;
constexpr std::size_t kLongestText = std::size_t{1} << 16U;

// The structs of a table as they lie in the file. `broken_`: something was not there.
class TableReader {
 public:
  explicit TableReader(const ElfSegments& segments) : segments_(segments) {}

  bool is_broken() const { return broken_; }

  std::uint32_t number(std::uint64_t address) {
    std::uint32_t value = 0;
    const auto bytes = segments_.bytes_at(address);
    if (bytes.size() < sizeof value) return fail(0U);
    std::memcpy(&value, bytes.data(), sizeof value);
    return value;
  }

  std::string text(std::uint64_t address) {
    const auto bytes = segments_.bytes_at(address);
    const std::string_view rest(reinterpret_cast<const char*>(bytes.data()),
                                std::min(bytes.size(), kLongestText));
    const std::size_t end = rest.find('\0');
    return address == 0 || end == std::string_view::npos ? fail(std::string())
                                                         : std::string(rest.substr(0, end));
  }

  // Behind a pointer at this address, which may be NULL.
  std::string optional_text(std::uint64_t address) {
    const std::uint64_t text_address = pointer(address);
    return text_address == 0 ? "" : text(text_address);
  }

  std::uint64_t pointer(std::uint64_t address) {
    return segments_.bytes_at(address).size() < sizeof(std::uint64_t)
               ? fail(std::uint64_t{0})
               : segments_.pointer_at(address);
  }

  // Of an array of pointers to structs, which a count is given for.
  std::vector<std::uint64_t> structs(std::uint64_t array, std::uint32_t count) {
    std::vector<std::uint64_t> found;
    if (count > kMostEntries) return fail(found);
    for (std::uint32_t i = 0; i < count; ++i) {
      found.push_back(pointer(array + i * sizeof(std::uint64_t)));
      if (broken_ || found.back() == 0) return fail(found);
    }
    return found;
  }

 private:
  template <typename T>
  T fail(T value) {
    broken_ = true;
    return value;
  }

  const ElfSegments& segments_;
  bool broken_ = false;
};

OfferedLayerType read_layer_type(TableReader& reader, std::uint64_t at) {
  OfferedLayerType type;
  type.priority = static_cast<int>(reader.number(at + offsetof(tenon_layer_type, priority)));
  type.id = reader.text(reader.pointer(at + offsetof(tenon_layer_type, id)));
  type.method = reader.text(reader.pointer(at + offsetof(tenon_layer_type, method)));
  type.base_types =
      split_base_types(reader.text(reader.pointer(at + offsetof(tenon_layer_type, base_types))));
  return type;
}

OfferedMethod read_method(TableReader& reader, std::uint64_t at) {
  OfferedMethod method;
  method.name = reader.text(reader.pointer(at + offsetof(tenon_method, name)));
  const std::uint64_t peft_type = reader.pointer(at + offsetof(tenon_method, peft_type));
  const std::string given = peft_type == 0 ? "" : reader.text(peft_type);
  method.is_in_peft = peft_type != 0;
  method.peft_type = peft_type_of(method.name, method.is_in_peft ? given.c_str() : nullptr);
  return method;
}

}  // namespace

std::variant<PluginOffer, PluginRefusal> read_offer(std::span<const std::byte> library) {
  const auto read = ElfLibrary::read(library);
  if (const auto* refusal = std::get_if<PluginRefusal>(&read)) return *refusal;
  ElfSegments segments(library);
  if (auto refusal = segments.read()) return *std::move(refusal);
  const std::string wanted = "tenon_plugin_v" + std::to_string(TENON_ABI_MAJOR);
  const auto symbols = std::get<ElfLibrary>(read).dynamic_symbols();
  const auto table = std::find_if(symbols.begin(), symbols.end(), [&](const ElfSymbol& symbol) {
    return symbol.defined && symbol.name == wanted;
  });
  if (table == symbols.end()) {
    return PluginRefusal{"no-entry", "it has a stamp but does not export " + wanted};
  }

  TableReader reader(segments);
  PluginOffer offer;
  const std::uint64_t at = table->address;
  for (const std::uint64_t type :
       reader.structs(reader.pointer(at + offsetof(tenon_plugin, layer_types)),
                      reader.number(at + offsetof(tenon_plugin, n_layer_types)))) {
    offer.layer_types.push_back(read_layer_type(reader, type));
  }
  for (const std::uint64_t method :
       reader.structs(reader.pointer(at + offsetof(tenon_plugin, methods)),
                      reader.number(at + offsetof(tenon_plugin, n_methods)))) {
    offer.methods.push_back(read_method(reader, method));
  }
  offer.vendor = reader.optional_text(at + offsetof(tenon_plugin, vendor));
  offer.license = reader.optional_text(at + offsetof(tenon_plugin, license));
  if (reader.is_broken()) {
    return PluginRefusal{"bad-table", "its table is wrong: it is not whole constant data"};
  }
  return offer;
}

std::vector<std::string> split_base_types(const std::string& base_types) {
  std::vector<std::string> types;
  std::istringstream list(base_types);
  for (std::string type; std::getline(list, type, ';');) {
    if (!type.empty()) types.push_back(type);
  }
  return types;
}

std::string peft_type_of(const std::string& method, const char* given) {
  if (given != nullptr) return given;
  std::string type = method;
  std::transform(type.begin(), type.end(), type.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return type;
}

}  // namespace tenon
