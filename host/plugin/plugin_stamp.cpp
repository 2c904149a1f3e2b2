#include "plugin/plugin_stamp.h"

#include <elf.h>
#include <tenon/version.h>

#include <algorithm>
#include <cstring>
#include <string_view>

namespace tenon {
namespace {

#if defined(__x86_64__)
constexpr Elf64_Half kMachine = EM_X86_64;
#elif defined(__aarch64__)
constexpr Elf64_Half kMachine = EM_AARCH64;
#else
#error "the stamp's reader knows x86-64 and AArch64"
#endif

// A struct at an offset of the file; nullopt if it does not lie inside.
template <typename T>
std::optional<T> read_at(std::span<const std::byte> file, std::uint64_t offset) {
  if (offset > file.size() || file.size() - offset < sizeof(T)) return std::nullopt;
  T value;
  std::memcpy(&value, file.data() + offset, sizeof(T));
  return value;
}

PluginRefusal not_a_library(const std::string& why) {
  return {"not-a-library", "it is not a shared library: " + why};
}

bool is_terminated(std::span<const char> text) {
  return std::find(text.begin(), text.end(), '\0') != text.end();
}

std::optional<PluginRefusal> check_stamp(const tenon_stamp& stamp) {
  if (std::memcmp(stamp.magic, TENON_STAMP_MAGIC, sizeof stamp.magic) != 0 ||
      stamp.struct_size < sizeof(tenon_stamp)) {
    return PluginRefusal{"bad-stamp", "its stamp is damaged; build the plugin again"};
  }
  if (!is_terminated(stamp.id) || !is_terminated(stamp.version) ||
      !is_terminated(stamp.sdk_version) || !is_terminated(stamp.torch_version) ||
      !is_terminated(stamp.cxx_abi) || stamp.id[0] == '\0') {
    return PluginRefusal{"bad-stamp", "its stamp names no plugin id; build the plugin again"};
  }
  const auto version = [](std::uint32_t major, std::uint32_t minor) {
    return std::to_string(major) + "." + std::to_string(minor);
  };
  const std::string offered = version(TENON_ABI_MAJOR, TENON_ABI_MINOR);
  if (stamp.abi_major != TENON_ABI_MAJOR) {
    const bool newer = stamp.abi_major > TENON_ABI_MAJOR;
    return PluginRefusal{"abi-major", "it was built for plugin ABI " +
                                          version(stamp.abi_major, stamp.abi_minor) +
                                          ", this Tenon offers " + offered + "; " +
                                          (newer ? "update Tenon"
                                                 : "build the plugin again with the "
                                                   "SDK of this Tenon")};
  }
  if (stamp.min_host_minor > TENON_ABI_MINOR) {
    return PluginRefusal{"abi-minor",
                         "it needs plugin ABI " + version(stamp.abi_major, stamp.min_host_minor) +
                             " or newer, this Tenon offers " + offered + "; update Tenon"};
  }
  if (stamp.pointer_bits != 64) {
    return PluginRefusal{"architecture", "it was not built for a 64-bit machine"};
  }
  if ((stamp.kind & TENON_STAMP_LAYERS) == 0) {
    return PluginRefusal{"kind", "it offers no layer types, which is all that this Tenon loads"};
  }
  if (stamp.torch_version[0] != '\0') {
    return PluginRefusal{"full-libtorch",
                         std::string("it needs exactly LibTorch ") + stamp.torch_version +
                             " and its C++ interface, which this Tenon does not lend to plugins; "
                             "build it against the C interface of the SDK"};
  }
  return std::nullopt;
}

}  // namespace

std::optional<PluginRefusal> read_stamp(std::span<const std::byte> library, tenon_stamp& stamp) {
  const auto header = read_at<Elf64_Ehdr>(library, 0);
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
  const auto section_at = [&](std::uint64_t index) -> std::optional<Elf64_Shdr> {
    return read_at<Elf64_Shdr>(library, header->e_shoff + index * sizeof(Elf64_Shdr));
  };
  const auto names = section_at(header->e_shstrndx);
  if (!names || names->sh_offset > library.size() ||
      library.size() - names->sh_offset < names->sh_size) {
    return not_a_library("its section table is damaged or cut off");
  }
  const std::string_view name_table(
      reinterpret_cast<const char*>(library.data()) + names->sh_offset, names->sh_size);
  for (std::uint64_t i = 0; i < header->e_shnum; ++i) {
    const auto section = section_at(i);
    if (!section) return not_a_library("its section table is cut off");
    if (section->sh_name >= name_table.size()) continue;
    const std::string_view rest = name_table.substr(section->sh_name);
    if (rest.substr(0, rest.find('\0')) != TENON_STAMP_SECTION) continue;
    const auto found = read_at<tenon_stamp>(library, section->sh_offset);
    if (!found || section->sh_size < sizeof(tenon_stamp)) {
      return PluginRefusal{"bad-stamp", "its stamp is cut off; build the plugin again"};
    }
    stamp = *found;
    return check_stamp(stamp);
  }
  return PluginRefusal{"no-entry",
                       "it is a shared library but no Tenon plugin: it has no stamp "
                       "(a plugin ends with TENON_PLUGIN(id, version, layers...))"};
}

}  // namespace tenon
