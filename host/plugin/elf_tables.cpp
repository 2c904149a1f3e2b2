// System V ABI, chapter 5, and the GNU extensions for versions of symbols.
#include "plugin/elf_tables.h"

#include <elf.h>

#include <algorithm>
#include <cstring>

namespace tenon {
namespace {

struct TablePlace {
  std::uint32_t type;  // SHT_*, SHT_NULL: by its name
  const char* name;
  std::int64_t address;
  std::int64_t size;   // 0: the section's is not repeated
  std::int64_t count;  // likewise
};
constexpr TablePlace kTablePlaces[] = {{SHT_DYNSYM, "", DT_SYMTAB, 0, 0},
                                       {SHT_GNU_HASH, "", DT_GNU_HASH, 0, 0},
                                       {SHT_HASH, "", DT_HASH, 0, 0},
                                       {SHT_GNU_versym, "", DT_VERSYM, 0, 0},
                                       {SHT_GNU_verneed, "", DT_VERNEED, 0, DT_VERNEEDNUM},
                                       {SHT_GNU_verdef, "", DT_VERDEF, 0, DT_VERDEFNUM},
                                       {SHT_INIT_ARRAY, "", DT_INIT_ARRAY, DT_INIT_ARRAYSZ, 0},
                                       {SHT_FINI_ARRAY, "", DT_FINI_ARRAY, DT_FINI_ARRAYSZ, 0},
                                       {SHT_NULL, ".init", DT_INIT, 0, 0},
                                       {SHT_NULL, ".fini", DT_FINI, 0, 0},
                                       {SHT_NULL, ".rela.dyn", DT_RELA, DT_RELASZ, 0},
                                       {SHT_NULL, ".rela.plt", DT_JMPREL, DT_PLTRELSZ, 0}};

const ElfSection* section_of(const ElfLibrary& library, const TablePlace& place) {
  for (const ElfSection& section : library.sections()) {
    if (place.type == SHT_NULL ? section.name == place.name : section.type == place.type) {
      return &section;
    }
  }
  return nullptr;
}

const ElfSection* section_of(const ElfLibrary& library, std::uint32_t type) {
  return section_of(library, TablePlace{type, "", 0, 0, 0});
}

template <typename T>
std::optional<T> entry_at(const ElfSection& section, std::uint64_t offset) {
  const auto bytes = section.bytes;
  if (offset > bytes.size() || bytes.size() - offset < sizeof(T)) return std::nullopt;
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof(T));
  return value;
}

std::string_view name_at(const ElfSection& names, std::uint64_t offset) {
  const std::string_view all(reinterpret_cast<const char*>(names.bytes.data()), names.bytes.size());
  return offset >= all.size() ? std::string_view()
                              : all.substr(offset, all.find('\0', offset) - offset);
}

// The versions that a library wants of others: one chain of files, and in each one of versions.
// The highest number of a version; nullopt if a chain is broken.
std::optional<std::uint32_t> needed_versions(const ElfSection& section, const ElfSection& names,
                                             const std::function<bool(std::string_view)>& needed) {
  std::uint32_t highest = 0;
  std::uint64_t steps = section.bytes.size();
  for (std::uint64_t at = 0;;) {
    const auto file = entry_at<Elf64_Verneed>(section, at);
    if (!file || steps-- == 0 || !needed(name_at(names, file->vn_file))) return std::nullopt;
    for (std::uint64_t place = at + file->vn_aux;;) {
      const auto version = entry_at<Elf64_Vernaux>(section, place);
      if (!version || steps-- == 0 || version->vna_name >= names.bytes.size()) return std::nullopt;
      highest = std::max<std::uint32_t>(highest, version->vna_other & 0x7FFFU);
      if (version->vna_next == 0) break;
      place += version->vna_next;
    }
    if (file->vn_next == 0) return highest;
    at += file->vn_next;
  }
}

std::optional<std::uint32_t> own_versions(const ElfSection& section) {
  std::uint32_t highest = 0;
  std::uint64_t steps = section.bytes.size();
  for (std::uint64_t at = 0;;) {
    const auto version = entry_at<Elf64_Verdef>(section, at);
    if (!version || steps-- == 0 || !entry_at<Elf64_Verdaux>(section, at + version->vd_aux)) {
      return std::nullopt;
    }
    highest = std::max<std::uint32_t>(highest, version->vd_ndx & 0x7FFFU);
    if (version->vd_next == 0) return highest;
    at += version->vd_next;
  }
}

}  // namespace

std::optional<std::string> check_table_places(const ElfLibrary& library,
                                              const DynamicValue& value) {
  for (const TablePlace& place : kTablePlaces) {
    const ElfSection* section = section_of(library, place);
    const std::uint64_t address = value(place.address);
    const bool same = section == nullptr
                          ? address == 0
                          : address == section->address &&
                                (place.size == 0 || value(place.size) == section->size) &&
                                (place.count == 0 || value(place.count) == section->info);
    if (!same) return "its dynamic section and its section table differ";
  }
  const ElfSection* symbols = section_of(library, SHT_DYNSYM);
  if (symbols == nullptr || symbols->link >= library.sections().size()) return "it has no symbols";
  const ElfSection& names = library.sections()[symbols->link];
  if (names.address != value(DT_STRTAB) || names.size != value(DT_STRSZ)) {
    return "its dynamic section and its section table differ";
  }
  return std::nullopt;
}

std::optional<std::string> check_symbols(const ElfLibrary& library,
                                         const std::function<bool(std::string_view)>& needed) {
  const ElfSection& symbols = *section_of(library, SHT_DYNSYM);
  const ElfSection& names = library.sections()[symbols.link];
  if (names.bytes.empty() || names.bytes.back() != std::byte{0}) return "its names have no end";
  std::uint64_t count = 0;
  for (; const auto symbol = entry_at<Elf64_Sym>(symbols, count * sizeof(Elf64_Sym)); ++count) {
    if (symbol->st_name >= names.bytes.size()) return "a symbol's name is outside of its names";
  }
  const ElfSection* versions = section_of(library, SHT_GNU_versym);
  if (versions == nullptr) return std::nullopt;
  std::uint32_t highest = 1;
  if (const ElfSection* section = section_of(library, SHT_GNU_verneed)) {
    const auto found = needed_versions(*section, names, needed);
    if (!found) return "its table of versions is damaged";
    highest = std::max(highest, *found);
  }
  if (const ElfSection* section = section_of(library, SHT_GNU_verdef)) {
    const auto found = own_versions(*section);
    if (!found) return "its table of versions is damaged";
    highest = std::max(highest, *found);
  }
  for (std::uint64_t i = 0; i < count; ++i) {
    const auto version = entry_at<Elf64_Half>(*versions, i * sizeof(Elf64_Half));
    if (!version || (*version & 0x7FFFU) > highest) return "a symbol's version is not declared";
  }
  return std::nullopt;
}

}  // namespace tenon
