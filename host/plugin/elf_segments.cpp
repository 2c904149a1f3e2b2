// Program headers and the dynamic section: System V ABI, chapter 5; GNU's hash table.
#include "plugin/elf_segments.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <variant>

#include "plugin/elf_library.h"
#include "plugin/elf_tables.h"

namespace tenon {
namespace {

#if defined(__x86_64__)
constexpr std::uint32_t kRelative = R_X86_64_RELATIVE;
constexpr std::uint32_t kAbsolute = R_X86_64_64;
constexpr std::uint32_t kCopied = R_X86_64_COPY;  // of programs alone
#elif defined(__aarch64__)
constexpr std::uint32_t kRelative = R_AARCH64_RELATIVE;
constexpr std::uint32_t kAbsolute = R_AARCH64_ABS64;
constexpr std::uint32_t kCopied = R_AARCH64_COPY;  // of programs alone
#endif

constexpr std::size_t kMostSegments = 128;
constexpr std::uint64_t kMostMemory = std::uint64_t{1} << 32U;

// A table that lies at one address and has its size in another entry, 0 for one without.
struct TableTags {
  std::int64_t address;
  std::int64_t size;
};
constexpr TableTags kTables[] = {{DT_STRTAB, DT_STRSZ}, {DT_SYMTAB, 0},
                                 {DT_RELA, DT_RELASZ},  {DT_JMPREL, DT_PLTRELSZ},
                                 {DT_RELR, DT_RELRSZ},  {DT_INIT_ARRAY, DT_INIT_ARRAYSZ},
                                 {DT_HASH, 0},          {DT_FINI_ARRAY, DT_FINI_ARRAYSZ},
                                 {DT_GNU_HASH, 0},      {DT_VERSYM, 0},
                                 {DT_VERNEED, 0},       {DT_VERDEF, 0},
                                 {DT_PLTGOT, 0}};

template <typename T>
std::optional<T> struct_at(std::span<const std::byte> bytes, std::uint64_t offset) {
  if (offset > bytes.size() || bytes.size() - offset < sizeof(T)) return std::nullopt;
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof(T));
  return value;
}

PluginRefusal damaged(const std::string& what) {
  return {"not-a-library", "it is not a shared library that can be opened: " + what};
}

bool is_power_of_two(std::uint64_t number) { return number != 0 && (number & (number - 1)) == 0; }

// Whether [at, at + size) lies in [begin, begin + length).
bool lies_within(std::uint64_t at, std::uint64_t size, std::uint64_t begin, std::uint64_t length) {
  return at >= begin && at - begin <= length && size <= length - (at - begin);
}

}  // namespace

std::optional<PluginRefusal> ElfSegments::read() {
  if (auto refusal = read_headers()) return refusal;
  if (auto refusal = read_dynamic()) return refusal;
  if (auto refusal = read_relocations(value_of(DT_RELA), value_of(DT_RELASZ))) return refusal;
  if (auto refusal = read_relocations(value_of(DT_JMPREL), value_of(DT_PLTRELSZ))) return refusal;
  std::stable_sort(
      relocations_.begin(), relocations_.end(),
      [](const auto& one, const auto& other) { return one.r_offset < other.r_offset; });
  if (auto refusal = check_tables()) return refusal;
  return check_sections();
}

std::optional<PluginRefusal> ElfSegments::read_headers() {
  const auto header = struct_at<Elf64_Ehdr>(file_, 0);
  if (!header || header->e_phentsize != sizeof(Elf64_Phdr) || header->e_phnum == 0 ||
      header->e_phnum > kMostSegments) {
    return damaged("its program headers are damaged");
  }
  for (std::uint64_t i = 0; i < header->e_phnum; ++i) {
    const auto segment = struct_at<Elf64_Phdr>(file_, header->e_phoff + i * sizeof(Elf64_Phdr));
    if (!segment || header->e_phoff > file_.size())
      return damaged("its program headers are cut off");
    const bool in_file = lies_within(segment->p_offset, segment->p_filesz, 0, file_.size());
    if (segment->p_type != PT_GNU_STACK && !in_file) {
      return damaged("a segment reaches outside the file");
    }
    if (segment->p_type == PT_DYNAMIC) dynamic_ = *segment;
    if (segment->p_type == PT_GNU_RELRO) protected_ = *segment;
    if (segment->p_type == PT_TLS && segment->p_memsz > kMostMemory) {
      return damaged("its segments are too large");
    }
    if (segment->p_type != PT_LOAD) continue;
    const std::uint64_t align = std::max<std::uint64_t>(segment->p_align, 1);
    if ((segment->p_flags & PF_R) == 0 || segment->p_filesz > segment->p_memsz ||
        segment->p_vaddr > kMostMemory || segment->p_memsz > kMostMemory ||
        !is_power_of_two(align) || align > kMostMemory ||
        segment->p_vaddr % align != segment->p_offset % align ||
        (!loads_.empty() && segment->p_vaddr < loads_.back().p_vaddr + loads_.back().p_memsz)) {
      return damaged("its segments do not fit together");
    }
    loads_.push_back(*segment);
  }
  if (loads_.empty()) return damaged("it has no segment to load");
  if (protected_ && !is_mapped(protected_->p_vaddr, protected_->p_memsz, PF_W)) {
    return damaged("its segments do not fit together");
  }
  return std::nullopt;
}

std::optional<PluginRefusal> ElfSegments::read_dynamic() {
  if (!dynamic_ || !is_in_file(dynamic_->p_vaddr, dynamic_->p_filesz) ||
      bytes_at(dynamic_->p_vaddr).data() != file_.data() + dynamic_->p_offset) {
    return damaged("its dynamic section is damaged");
  }
  const auto bytes = bytes_at(dynamic_->p_vaddr).first(dynamic_->p_filesz);
  for (std::uint64_t offset = 0;; offset += sizeof(Elf64_Dyn)) {
    const auto entry = struct_at<Elf64_Dyn>(bytes, offset);
    if (!entry) return damaged("its dynamic section has no end");
    if (entry->d_tag == DT_NULL) return std::nullopt;
    if (entry->d_tag != DT_NEEDED &&
        std::ranges::count(entries_, entry->d_tag, &Elf64_Dyn::d_tag) > 0) {
      return damaged("its dynamic section is damaged");
    }
    entries_.push_back(*entry);
  }
}

std::optional<PluginRefusal> ElfSegments::check_tables() const {
  for (const TableTags& table : kTables) {
    const std::uint64_t address = value_of(table.address);
    const std::uint64_t size = table.size == 0 ? 1 : value_of(table.size);
    if (address != 0 && !is_mapped(address, size)) {
      return damaged("a table of its dynamic section lies outside its segments");
    }
  }
  if (value_of(DT_STRTAB) == 0 || value_of(DT_SYMTAB) == 0 ||
      (value_of(DT_RELA) != 0 && value_of(DT_RELAENT) != sizeof(Elf64_Rela)) ||
      (value_of(DT_JMPREL) != 0 && value_of(DT_PLTREL) != DT_RELA) ||
      value_of(DT_SYMENT) != sizeof(Elf64_Sym)) {
    return damaged("its dynamic section is damaged");
  }
  for (const Elf64_Dyn& entry : entries_) {
    const bool names = entry.d_tag == DT_NEEDED || entry.d_tag == DT_SONAME ||
                       entry.d_tag == DT_RPATH || entry.d_tag == DT_RUNPATH;
    if (names && entry.d_un.d_val >= value_of(DT_STRSZ)) {
      return damaged("a name of its dynamic section lies outside its names");
    }
    const bool is_code = entry.d_tag == DT_INIT || entry.d_tag == DT_FINI;
    if (is_code && !is_mapped(entry.d_un.d_ptr, 1, PF_X)) {
      return damaged("what runs when it is opened is not in its code");
    }
  }
  if (!points_to_code(value_of(DT_INIT_ARRAY), value_of(DT_INIT_ARRAYSZ)) ||
      !points_to_code(value_of(DT_FINI_ARRAY), value_of(DT_FINI_ARRAYSZ))) {
    return damaged("what runs when it is opened is not in its code");
  }
  return value_of(DT_GNU_HASH) == 0 ? std::nullopt : check_hash(value_of(DT_GNU_HASH));
}

std::optional<PluginRefusal> ElfSegments::read_relocations(std::uint64_t table,
                                                           std::uint64_t size) {
  if (table == 0) return std::nullopt;
  if (!is_in_file(table, size)) return damaged("its relocations lie outside its segments");
  const auto bytes = bytes_at(table).first(size);
  const auto library = ElfLibrary::read(file_);
  const auto* read = std::get_if<ElfLibrary>(&library);
  const ElfSection* symbols = read == nullptr ? nullptr : read->find(".dynsym");
  for (std::uint64_t offset = 0; const auto entry = struct_at<Elf64_Rela>(bytes, offset);
       offset += sizeof(Elf64_Rela)) {
    const std::uint64_t symbol = ELF64_R_SYM(entry->r_info);
    const bool is_counted =
        table == value_of(DT_RELA) && offset / sizeof(Elf64_Rela) < value_of(DT_RELACOUNT);
    const std::uint64_t type = ELF64_R_TYPE(entry->r_info);
    if (!is_mapped(entry->r_offset, sizeof(Elf64_Addr), PF_W) ||
        entry->r_offset % sizeof(Elf64_Addr) != 0 || (is_counted && type != kRelative) ||
        type == kCopied || symbols == nullptr ||
        symbol >= symbols->bytes.size() / sizeof(Elf64_Sym)) {
      return damaged("a relocation points outside its segments");
    }
    relocations_.push_back(*entry);
  }
  return std::nullopt;
}

// What is loaded has to be what the sections call so: code from another place of the file would
// run.
std::optional<PluginRefusal> ElfSegments::check_sections() const {
  const auto read = ElfLibrary::read(file_);
  if (const auto* refusal = std::get_if<PluginRefusal>(&read)) return *refusal;
  const auto& library = std::get<ElfLibrary>(read);
  for (const ElfSection& section : library.sections()) {
    if ((section.flags & SHF_ALLOC) == 0 || section.bytes.empty()) continue;
    const std::uint32_t wanted = ((section.flags & SHF_EXECINSTR) != 0 ? PF_X : 0) |
                                 ((section.flags & SHF_WRITE) != 0 ? PF_W : 0);
    const auto bytes = bytes_at(section.address);
    if (bytes.data() != section.bytes.data() || bytes.size() < section.bytes.size() ||
        !is_mapped(section.address, section.bytes.size(), wanted)) {
      return damaged("its segments and its section table differ");
    }
  }
  auto problem = check_table_places(library, [&](std::int64_t tag) { return value_of(tag); });
  if (!problem) {
    problem = check_symbols(library, [&](std::string_view name) { return is_needed(name); });
  }
  return problem ? std::optional(damaged(*problem)) : std::nullopt;
}

bool ElfSegments::points_to_code(std::uint64_t array, std::uint64_t size) const {
  for (std::uint64_t offset = 0; offset < size; offset += sizeof(Elf64_Addr)) {
    if (!is_mapped(pointer_at(array + offset), 1, PF_X)) return false;
  }
  return true;
}

bool ElfSegments::is_needed(std::string_view name) const {
  const auto names = bytes_at(value_of(DT_STRTAB));
  const std::string_view all(reinterpret_cast<const char*>(names.data()), names.size());
  return std::ranges::any_of(entries_, [&](const Elf64_Dyn& entry) {
    return entry.d_tag == DT_NEEDED && all.substr(entry.d_un.d_val).starts_with(name) &&
           all.substr(entry.d_un.d_val)[name.size()] == '\0';
  });
}

// Header of four words, a filter of 64-bit words, buckets, and a word for each symbol from the
// first that is hashed, of which the last of a bucket is odd.
std::optional<PluginRefusal> ElfSegments::check_hash(std::uint64_t table) const {
  const PluginRefusal refusal = damaged("its table of symbols is damaged");
  const auto word = [&](std::uint64_t address) {
    return struct_at<std::uint32_t>(bytes_at(address), 0);
  };
  const auto buckets = word(table);
  const auto first = word(table + 4);
  const auto filter = word(table + 8);
  if (!buckets || !first || !filter || *buckets == 0 || !is_power_of_two(*filter)) return refusal;
  std::uint64_t steps = file_.size();  // buckets of a damaged table may run into each other
  const std::uint64_t bucket_table = table + 16 + std::uint64_t{*filter} * 8;
  const std::uint64_t chains = bucket_table + std::uint64_t{*buckets} * 4;
  for (std::uint64_t i = 0; i < *buckets; ++i) {
    const auto bucket = word(bucket_table + i * 4);
    if (!bucket || (*bucket != 0 && *bucket < *first)) return refusal;
    if (*bucket == 0) continue;
    for (std::uint64_t symbol = *bucket;; ++symbol) {
      const auto chain = word(chains + (symbol - *first) * 4);
      if (!chain || steps-- == 0 ||
          !is_in_file(value_of(DT_SYMTAB) + symbol * sizeof(Elf64_Sym), sizeof(Elf64_Sym))) {
        return refusal;
      }
      if ((*chain & 1U) != 0) break;
    }
  }
  return std::nullopt;
}

bool ElfSegments::is_mapped(std::uint64_t address, std::uint64_t size, std::uint32_t flags) const {
  return std::any_of(loads_.begin(), loads_.end(), [&](const Elf64_Phdr& load) {
    return (load.p_flags & flags) == flags &&
           lies_within(address, size, load.p_vaddr, load.p_memsz);
  });
}

bool ElfSegments::is_in_file(std::uint64_t address, std::uint64_t size) const {
  return bytes_at(address).size() >= size;
}

std::span<const std::byte> ElfSegments::bytes_at(std::uint64_t address) const {
  for (const Elf64_Phdr& load : loads_) {
    if (!lies_within(address, 0, load.p_vaddr, load.p_filesz)) continue;
    const std::uint64_t inside = address - load.p_vaddr;
    return file_.subspan(load.p_offset + inside, load.p_filesz - inside);
  }
  return {};
}

std::uint64_t ElfSegments::pointer_at(std::uint64_t address) const {
  const auto found = std::lower_bound(
      relocations_.begin(), relocations_.end(), address,
      [](const Elf64_Rela& entry, std::uint64_t wanted) { return entry.r_offset < wanted; });
  if (found == relocations_.end() || found->r_offset != address) {
    if (value_of(DT_RELR) == 0) return 0;
    return struct_at<std::uint64_t>(bytes_at(address), 0).value_or(0);  // packed: it lies there
  }
  const auto added = static_cast<std::uint64_t>(found->r_addend);
  const std::uint64_t type = ELF64_R_TYPE(found->r_info);
  if (type == kRelative) return added;
  if (type != kAbsolute) return 0;
  const auto symbol = struct_at<Elf64_Sym>(
      bytes_at(value_of(DT_SYMTAB) + ELF64_R_SYM(found->r_info) * sizeof(Elf64_Sym)), 0);
  return !symbol || symbol->st_shndx == SHN_UNDEF ? 0 : symbol->st_value + added;
}

std::uint64_t ElfSegments::value_of(std::int64_t tag) const {
  for (const Elf64_Dyn& entry : entries_) {
    if (entry.d_tag == tag) return entry.d_un.d_val;
  }
  return 0;
}

}  // namespace tenon
