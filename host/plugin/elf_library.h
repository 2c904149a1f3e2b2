#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <variant>
#include <vector>

#include "plugin/plugin_refusal.h"

namespace tenon {

struct ElfSection {
  std::string_view name;
  std::uint32_t type = 0;  // SHT_*
  std::uint32_t link = 0;  // number of the section that this one refers to
  std::uint32_t info = 0;
  std::uint64_t flags = 0;  // SHF_*
  std::uint64_t address = 0;
  std::uint64_t size = 0;
  std::span<const std::byte> bytes;
};

// A symbol that the dynamic linker sees.
struct ElfSymbol {
  std::string_view name;
  bool defined = false;
  int binding = 0;  // STB_*
  std::uint64_t address = 0;
};

// A shared library's file, read without running any of it: 64-bit ELF of this machine's
// architecture, every offset checked. Borrows the bytes.
class ElfLibrary {
 public:
  static std::variant<ElfLibrary, PluginRefusal> read(std::span<const std::byte> file);

  const std::vector<ElfSection>& sections() const { return sections_; }
  // The first of that name; nullptr if there is none.
  const ElfSection* find(std::string_view name) const;
  // Entries that are cut off or point outside are left out.
  std::vector<ElfSymbol> dynamic_symbols() const;
  // How many functions run when it is opened.
  std::size_t constructor_count() const;

 private:
  std::string_view text_at(std::uint32_t string_section, std::uint64_t offset) const;

  std::vector<ElfSection> sections_;
};

}  // namespace tenon
