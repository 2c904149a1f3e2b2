#include "index/host_fit.h"

#include <tenon/version.h>
#include <torch/headeronly/version.h>

#include "index/version_order.h"

namespace tenon {
namespace {

// The release of "2.13.0+cpu".
std::string release_of(const std::string& version) { return version.substr(0, version.find('+')); }

}  // namespace

HostFacts this_host() {
#if defined(__x86_64__)
  const char* machine = "x86_64";
#elif defined(__aarch64__)
  const char* machine = "aarch64";
#endif
  return {std::string("linux-") + machine,
          std::to_string(TENON_ABI_MAJOR) + "." + std::to_string(TENON_ABI_MINOR), TORCH_VERSION};
}

std::string find_misfit(const IndexedFile& file, const HostFacts& host) {
  if (file.platform != host.platform) {
    return "it is for " + file.platform + ", this is " + host.platform;
  }
  if (compare_abi(host.abi, file.abi_minimum) < 0 || compare_abi(host.abi, file.abi_below) >= 0) {
    return "it needs plugin ABI " + file.abi_minimum + " or newer, below " + file.abi_below +
           ", this Tenon offers " + host.abi;
  }
  if (!file.libtorch.empty() && file.libtorch != host.libtorch) {
    return "it needs exactly LibTorch " + file.libtorch + ", this Tenon runs on " + host.libtorch;
  }
  if (!file.libtorch_minimum.empty() &&
      compare_abi(release_of(host.libtorch), file.libtorch_minimum) < 0) {
    return "it needs LibTorch " + file.libtorch_minimum + " or newer, this Tenon runs on " +
           host.libtorch;
  }
  return "";
}

const IndexedFile* newest_fitting(const IndexedPlugin& plugin, const HostFacts& host,
                                  const std::string& version) {
  const IndexedFile* newest = nullptr;
  for (const IndexedFile& file : plugin.files) {
    if ((!version.empty() && file.version != version) || !find_misfit(file, host).empty()) continue;
    if (newest == nullptr || compare_semantic_versions(newest->version, file.version) < 0) {
      newest = &file;
    }
  }
  return newest;
}

}  // namespace tenon
