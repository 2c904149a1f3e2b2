#include "check/file_checks.h"

#include <elf.h>
#include <tenon/plugin.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <vector>

#include "base/suggest.h"
#include "plugin/elf_library.h"
#include "plugin/plugin_stamp.h"

namespace tenon {
namespace {

constexpr std::size_t kMostNames = 5;

// The linker's own; clang's driver exports them.
constexpr std::array<std::string_view, 3> kOfTheLinker{"__bss_start", "_edata", "_end"};

// "a, b and 3 more"
std::string short_list(std::vector<std::string> names) {
  std::string more;
  if (names.size() > kMostNames) {
    more = " and " + std::to_string(names.size() - kMostNames) + " more";
    names.resize(kMostNames);
  }
  return join(names) + more;
}

bool starts_with_any(std::string_view name, std::initializer_list<std::string_view> prefixes) {
  return std::any_of(prefixes.begin(), prefixes.end(),
                     [&](std::string_view prefix) { return name.starts_with(prefix); });
}

// Templates and inline functions of the C++ library that the compiler put into the plugin too
// (Itanium ABI names): whoever's copy is taken does the same.
bool is_standard_library(std::string_view name) {
  return starts_with_any(
      name, {"_ZNSt", "_ZNKSt", "_ZSt", "_ZZNSt", "_ZZNKSt", "_ZZSt", "_ZGVZNSt", "_ZGVZSt"});
}

// In LibTorch's namespaces at, c10, torch and caffe2: functions, vtables, type information.
bool is_libtorch(std::string_view name) {
  for (const std::string_view kind : {"_ZN", "_ZNK", "_ZTVN", "_ZTIN", "_ZTSN", "_ZTTN"}) {
    if (!name.starts_with(kind)) continue;
    return starts_with_any(name.substr(kind.size()), {"2at", "3c10", "5torch", "6caffe2"});
  }
  return false;
}

// Weak symbols, of the author's inline functions, stay harmless: the library is opened local to
// itself. A unique one (GNU's, for static locals of inline functions) is one for the whole process.
std::string find_stray_exports(const std::vector<ElfSymbol>& symbols) {
  std::vector<std::string> strays;
  for (const ElfSymbol& symbol : symbols) {
    const bool counts = symbol.binding == STB_GLOBAL || symbol.binding == STB_GNU_UNIQUE;
    if (!symbol.defined || !counts || is_standard_library(symbol.name)) continue;
    if (symbol.name == "tenon_plugin_v1" || symbol.name == "tenon_stamp_v1") continue;
    if (std::find(kOfTheLinker.begin(), kOfTheLinker.end(), symbol.name) != kOfTheLinker.end()) {
      continue;
    }
    strays.emplace_back(symbol.name);
  }
  if (strays.empty()) return "";
  return "it exports " + short_list(strays) +
         " too; build it with -fvisibility=hidden, or give such functions `static`";
}

std::string find_missing_exports(const std::vector<ElfSymbol>& symbols) {
  std::vector<std::string> missing;
  for (const char* wanted : {"tenon_plugin_v1", "tenon_stamp_v1"}) {
    if (std::none_of(symbols.begin(), symbols.end(), [&](const ElfSymbol& symbol) {
          return symbol.defined && symbol.name == wanted;
        })) {
      missing.emplace_back(wanted);
    }
  }
  return missing.empty() ? "" : "it does not export " + join(missing);
}

std::string find_libtorch(const std::vector<ElfSymbol>& symbols, const tenon_stamp& stamp) {
  if (stamp.torch_version[0] != '\0') return "";
  std::vector<std::string> found;
  for (const ElfSymbol& symbol : symbols) {
    if (!symbol.defined && is_libtorch(symbol.name)) found.emplace_back(symbol.name);
  }
  if (found.empty()) return "";
  return "it needs " + short_list(found) + "; call operators through the host's table instead";
}

// One is the compiler's own (frame_dummy).
std::string find_constructors(const ElfLibrary& library) {
  const std::size_t count = library.constructor_count();
  if (count <= 1) return "";
  return std::to_string(count - 1) +
         " constructors run when it is opened; make its global objects constexpr, or static inside "
         "the function that uses them (<iostream> brings one too)";
}

}  // namespace

Findings check_file(std::span<const std::byte> file, FileFacts& facts) {
  const auto read = ElfLibrary::read(file);
  if (const auto* refusal = std::get_if<PluginRefusal>(&read)) {
    return {judge("library", refusal->reason)};
  }
  Findings findings{judge("library", "")};
  tenon_stamp stamp{};
  if (const auto refusal = read_stamp(file, stamp)) {
    const bool of_version = refusal->rule.starts_with("abi-");
    if (of_version) findings.push_back(judge("stamp", ""));
    findings.push_back(judge(of_version ? "abi-version" : "stamp", refusal->reason));
    return findings;
  }
  facts = {stamp.id, stamp.version,
           std::to_string(stamp.abi_major) + "." + std::to_string(stamp.abi_minor),
           stamp.sdk_version};
  findings.push_back(judge("stamp", ""));
  findings.push_back(judge("abi-version", ""));
  const ElfLibrary& library = std::get<ElfLibrary>(read);
  const std::vector<ElfSymbol> symbols = library.dynamic_symbols();
  const std::string missing = find_missing_exports(symbols);
  findings.push_back(judge("exports", missing.empty() ? find_stray_exports(symbols) : missing));
  findings.push_back(judge("no-libtorch", find_libtorch(symbols, stamp)));
  findings.push_back(judge("no-static-constructors", find_constructors(library)));
  return findings;
}

}  // namespace tenon
