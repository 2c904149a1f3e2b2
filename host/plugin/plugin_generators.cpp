#include "plugin/plugin_generators.h"

#include <ATen/CPUGeneratorImpl.h>

#include "plugin/handles.h"
#include "plugin/host_fence.h"

namespace tenon {
namespace {

tenon_status make(std::uint64_t seed, tenon_generator** owned, tenon_error* error) {
  return fenced(error, [&] {
    *owned = new tenon_generator{at::detail::createCPUGenerator(seed)};
    return TENON_OK;
  });
}

void release_generator(tenon_generator* owned) { delete owned; }

}  // namespace

const tenon_generators& plugin_generators() {
  static const tenon_generators table{sizeof(tenon_generators), 0, make, release_generator};
  return table;
}

}  // namespace tenon
