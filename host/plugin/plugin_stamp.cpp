#include "plugin/plugin_stamp.h"

#include <tenon/version.h>

#include <algorithm>
#include <cstring>
#include <variant>

#include "plugin/elf_library.h"

namespace tenon {
namespace {

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
  if ((stamp.kind & (TENON_STAMP_LAYERS | TENON_STAMP_METHODS)) == 0) {
    return PluginRefusal{"kind",
                         "it offers neither layer types nor methods, which is all that this Tenon "
                         "loads; update Tenon"};
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
  const auto read = ElfLibrary::read(library);
  if (const auto* refusal = std::get_if<PluginRefusal>(&read)) return *refusal;
  const ElfSection* section = std::get<ElfLibrary>(read).find(TENON_STAMP_SECTION);
  if (section == nullptr) {
    return PluginRefusal{"no-entry",
                         "it is a shared library but no Tenon plugin: it has no stamp "
                         "(a plugin ends with TENON_PLUGIN(id, version, layers...))"};
  }
  if (section->bytes.size() < sizeof(tenon_stamp)) {
    return PluginRefusal{"bad-stamp", "its stamp is cut off; build the plugin again"};
  }
  std::memcpy(&stamp, section->bytes.data(), sizeof stamp);
  return check_stamp(stamp);
}

}  // namespace tenon
