// The ELF-64 file format: System V ABI, chapters 4 and 5.
#include "plugin/elf_library.h"

#include <elf.h>

#include <cstring>
#include <optional>
#include <string>

namespace tenon {
namespace {

#if defined(__x86_64__)
constexpr Elf64_Half kMachine = EM_X86_64;
#elif defined(__aarch64__)
constexpr Elf64_Half kMachine = EM_AARCH64;
#else
#error "the reader of plugin files knows x86-64 and AArch64"
#endif

using Bytes = std::span<const std::byte>;

// A struct at an offset; nullopt if it does not lie inside.
template <typename T>
std::optional<T> read_at(Bytes bytes, std::uint64_t offset) {
  if (offset > bytes.size() || bytes.size() - offset < sizeof(T)) return std::nullopt;
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof(T));
  return value;
}

PluginRefusal not_a_library(const std::string& why) {
  return {"not-a-library", "it is not a shared library: " + why};
}

// Up to the first zero byte.
std::string_view text_in(Bytes table, std::uint64_t offset) {
  if (offset >= table.size()) return {};
  const std::string_view rest(reinterpret_cast<const char*>(table.data()) + offset,
                              table.size() - offset);
  return rest.substr(0, rest.find('\0'));
}

template <typename T, typename Visit>
void for_each_entry(Bytes bytes, Visit visit) {
  for (std::uint64_t offset = 0; const auto entry = read_at<T>(bytes, offset); offset += sizeof(T))
    visit(*entry);
}

}  // namespace

std::variant<ElfLibrary, PluginRefusal> ElfLibrary::read(Bytes file) {
  const auto header = read_at<Elf64_Ehdr>(file, 0);
  if (!header || std::memcmp(header->e_ident, ELFMAG, SELFMAG) != 0) {
    return not_a_library("it does not start as an ELF file");
  }
  if (header->e_ident[EI_CLASS] != ELFCLASS64 || header->e_ident[EI_DATA] != ELFDATA2LSB ||
      header->e_machine != kMachine) {
    return PluginRefusal{"architecture", "it was built for another processor architecture"};
  }
  if (header->e_type != ET_DYN) return not_a_library("it is an object file or a program");
  if (header->e_shentsize != sizeof(Elf64_Shdr)) {
    return not_a_library("its section table is damaged");
  }
  ElfLibrary library;
  std::vector<std::uint32_t> name_offsets;
  for (std::uint64_t i = 0; i < header->e_shnum; ++i) {
    const auto section = read_at<Elf64_Shdr>(file, header->e_shoff + i * sizeof(Elf64_Shdr));
    if (!section) return not_a_library("its section table is damaged or cut off");
    ElfSection& read = library.sections_.emplace_back();
    read.type = section->sh_type;
    read.link = section->sh_link;
    read.info = section->sh_info;
    read.flags = section->sh_flags;
    read.address = section->sh_addr;
    read.size = section->sh_size;
    name_offsets.push_back(section->sh_name);
    if (section->sh_type == SHT_NOBITS || section->sh_type == SHT_NULL) continue;
    if (section->sh_offset > file.size() || file.size() - section->sh_offset < section->sh_size) {
      return not_a_library("its section table is damaged or cut off");
    }
    read.bytes = file.subspan(section->sh_offset, section->sh_size);
  }
  if (header->e_shstrndx >= library.sections_.size()) {
    return not_a_library("its section table is damaged or cut off");
  }
  for (std::size_t i = 0; i < name_offsets.size(); ++i) {
    library.sections_[i].name = library.text_at(header->e_shstrndx, name_offsets[i]);
  }
  return library;
}

const ElfSection* ElfLibrary::find(std::string_view name) const {
  for (const ElfSection& section : sections_) {
    if (section.name == name) return &section;
  }
  return nullptr;
}

std::string_view ElfLibrary::text_at(std::uint32_t string_section, std::uint64_t offset) const {
  if (string_section >= sections_.size()) return {};
  return text_in(sections_[string_section].bytes, offset);
}

std::vector<ElfSymbol> ElfLibrary::dynamic_symbols() const {
  std::vector<ElfSymbol> symbols;
  for (const ElfSection& section : sections_) {
    if (section.type != SHT_DYNSYM) continue;
    for_each_entry<Elf64_Sym>(section.bytes, [&](const Elf64_Sym& entry) {
      const std::string_view name = text_at(section.link, entry.st_name);
      if (name.empty()) return;  // the table's first entry, and sections
      symbols.push_back(
          {name, entry.st_shndx != SHN_UNDEF, ELF64_ST_BIND(entry.st_info), entry.st_value});
    });
  }
  return symbols;
}

std::size_t ElfLibrary::constructor_count() const {
  std::size_t count = 0;
  for (const ElfSection& section : sections_) {
    if (section.type == SHT_INIT_ARRAY) count += section.bytes.size() / sizeof(Elf64_Addr);
  }
  return count;
}

}  // namespace tenon
