#include "plugin/plugin_stamp.h"

#include <tenon/torch/cxx_abi.h>
#include <tenon/version.h>
#include <torch/headeronly/version.h>

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <sstream>
#include <string_view>
#include <tenon/cpp/names.hpp>
#include <variant>
#include <vector>

#include "base/printable.h"
#include "plugin/elf_library.h"

namespace tenon {
namespace {

// What every stamp has, that of the drafts before 1.0 too.
constexpr std::size_t kFirstStamp = offsetof(tenon_stamp, architecture);

constexpr tenon_stamp_kind kStampKinds = TENON_STAMP_LAYERS | TENON_STAMP_METHODS |
                                         TENON_STAMP_MODELS | TENON_STAMP_LOSSES |
                                         TENON_STAMP_METRICS;

// What the section, of kFirstStamp bytes at least, holds of a stamp; fields that the plugin's SDK
// did not know yet are zero.
tenon_stamp stamp_in(std::span<const std::byte> section) {
  tenon_stamp stamp{};
  std::memcpy(&stamp, section.data(), kFirstStamp);
  const auto size = std::min<std::size_t>({section.size(), stamp.struct_size, sizeof stamp});
  if (size > kFirstStamp) std::memcpy(&stamp, section.data(), size);
  return stamp;
}

// Of what a file says, in messages.
constexpr std::size_t kMostStampText = 80;

bool is_terminated(std::span<const char> text) {
  return std::find(text.begin(), text.end(), '\0') != text.end();
}

// The numbers of "2.13.0+cpu": {2, 13, 0}.
std::vector<unsigned long> version_numbers(std::string_view version) {
  std::vector<unsigned long> numbers;
  std::istringstream parts{std::string(version)};
  for (std::string part; std::getline(parts, part, '.');) {
    numbers.push_back(std::strtoul(part.c_str(), nullptr, 10));
  }
  return numbers;
}

std::optional<PluginRefusal> check_torch(const tenon_stamp& stamp) {
  if (stamp.torch_version[0] != '\0' && std::string_view(stamp.torch_version) != TORCH_VERSION) {
    return PluginRefusal{"full-libtorch", std::string("it needs exactly LibTorch ") +
                                              stamp.torch_version + ", this Tenon runs on " +
                                              TORCH_VERSION + "; build it again against that"};
  }
  if (stamp.cxx_abi[0] != '\0' && std::string_view(stamp.cxx_abi) != TENON_CXX_ABI) {
    return PluginRefusal{"full-libtorch",
                         std::string("it was built with the C++ ABI ") + stamp.cxx_abi +
                             ", this Tenon with " TENON_CXX_ABI "; build it again with that"};
  }
  if (stamp.torch_minimum[0] != '\0' &&
      version_numbers(TORCH_VERSION) < version_numbers(stamp.torch_minimum)) {
    return PluginRefusal{"full-libtorch", std::string("it needs LibTorch ") + stamp.torch_minimum +
                                              " or newer, this Tenon runs on " + TORCH_VERSION +
                                              "; update LibTorch"};
  }
  return std::nullopt;
}

std::optional<PluginRefusal> check_stamp(const tenon_stamp& stamp) {
  if (std::memcmp(stamp.magic, TENON_STAMP_MAGIC, sizeof stamp.magic) != 0 ||
      stamp.struct_size < kFirstStamp) {
    return PluginRefusal{"bad-stamp", "its stamp is damaged; build the plugin again"};
  }
  if (!is_terminated(stamp.id) || !is_terminated(stamp.version) ||
      !is_terminated(stamp.sdk_version) || !is_terminated(stamp.torch_version) ||
      !is_terminated(stamp.cxx_abi) || !is_terminated(stamp.architecture) ||
      !is_terminated(stamp.torch_minimum) || stamp.id[0] == '\0') {
    return PluginRefusal{"bad-stamp", "its stamp names no plugin id; build the plugin again"};
  }
  const auto version = [](std::uint32_t major, std::uint32_t minor) {
    return std::to_string(major) + "." + std::to_string(minor);
  };
  const std::string offered = version(TENON_ABI_MAJOR, TENON_ABI_MINOR);
  if (stamp.abi_major != TENON_ABI_MAJOR) {
    const bool newer = stamp.abi_major > TENON_ABI_MAJOR;
    return PluginRefusal{
        "abi-major", printable_excerpt(stamp.id, kMostStampText) + " was built for plugin ABI " +
                         version(stamp.abi_major, stamp.abi_minor) + ", this Tenon offers " +
                         offered + "; " +
                         (newer ? "update Tenon"
                                : "rebuild it with SDK " + std::to_string(TENON_ABI_MAJOR) + ".0")};
  }
  if (stamp.min_host_minor > TENON_ABI_MINOR) {
    return PluginRefusal{"abi-minor",
                         "it needs plugin ABI " + version(stamp.abi_major, stamp.min_host_minor) +
                             " or newer, this Tenon offers " + offered + "; update Tenon"};
  }
  if (stamp.pointer_bits != 64) {
    return PluginRefusal{"architecture", "it was not built for a 64-bit machine"};
  }
  const bool has_models = (stamp.kind & TENON_STAMP_MODELS) != 0;
  if ((stamp.kind & kStampKinds) == 0 || (stamp.kind & ~kStampKinds) != 0 ||
      (has_models && stamp.kind != TENON_STAMP_MODELS)) {
    return PluginRefusal{"kind",
                         "it offers something else than layer types, methods, losses and metrics, "
                         "or models, which is all that this Tenon loads; update Tenon"};
  }
  if (!names::is_id(stamp.id)) {
    return PluginRefusal{"bad-stamp",
                         "its id `" + printable_excerpt(stamp.id, kMostStampText) +
                             "` is not lower case letters and digits, joined by . - or _, with one "
                             "dot at least"};
  }
  if (!names::is_version(stamp.version)) {
    return PluginRefusal{"bad-stamp", "its version `" +
                                          printable_excerpt(stamp.version, kMostStampText) +
                                          "` is not three numbers like 1.0.0"};
  }
  return check_torch(stamp);
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
  if (section->bytes.size() < kFirstStamp) {
    return PluginRefusal{"bad-stamp", "its stamp is cut off; build the plugin again"};
  }
  stamp = stamp_in(section->bytes);
  return check_stamp(stamp);
}

}  // namespace tenon
