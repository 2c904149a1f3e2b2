#pragma once

#include <elf.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "plugin/plugin_refusal.h"

namespace tenon {

// What the dynamic linker maps of a shared library's file, and the tables that it then follows
// without a doubt: every address is checked against the file here, since a damaged one ends the
// process there.
class ElfSegments {
 public:
  // Of an ELF-64 file of this machine's architecture (ElfLibrary).
  explicit ElfSegments(std::span<const std::byte> file) : file_(file) {}

  // Reads and checks; nullopt if the linker can be trusted with it.
  std::optional<PluginRefusal> read();

  // The bytes of the file at an address, up to the end of its segment; empty where there are none.
  std::span<const std::byte> bytes_at(std::uint64_t address) const;
  // Where a pointer points once it has been relocated: an address, 0 for none or one outside.
  std::uint64_t pointer_at(std::uint64_t address) const;

 private:
  std::optional<PluginRefusal> read_headers();
  std::optional<PluginRefusal> read_dynamic();
  std::optional<PluginRefusal> check_tables() const;
  std::optional<PluginRefusal> read_relocations(std::uint64_t table, std::uint64_t size);
  std::optional<PluginRefusal> check_hash(std::uint64_t table) const;
  std::optional<PluginRefusal> check_sections() const;
  bool points_to_code(std::uint64_t array, std::uint64_t size) const;
  bool is_needed(std::string_view name) const;
  bool is_mapped(std::uint64_t address, std::uint64_t size, std::uint32_t flags = 0) const;
  bool is_in_file(std::uint64_t address, std::uint64_t size) const;
  std::uint64_t value_of(std::int64_t tag) const;  // 0 if the library has no such entry

  std::span<const std::byte> file_;
  std::vector<Elf64_Phdr> loads_;
  std::optional<Elf64_Phdr> dynamic_;
  std::optional<Elf64_Phdr> protected_;  // made read-only once relocated
  std::vector<Elf64_Dyn> entries_;
  std::vector<Elf64_Rela> relocations_;  // by address
};

}  // namespace tenon
