#include "plugin/training_store.h"

#include <tenon/cpp/names.hpp>

#include "plugin/handles.h"
#include "plugin/host_fence.h"

namespace tenon {
namespace {

tenon_status keep(tenon_training_store* store, const char* name, tenon_tensor tensor,
                  tenon_error* error) {
  return fenced(error, [&] {
    if (name == nullptr || !names::is_parameter(name)) {
      return set_failure(error, TENON_INVALID_ARGUMENT,
                         "what is kept needs a name of parts joined by single dots");
    }
    if (tensor == nullptr) {
      store->tensors.erase(name);
    } else {
      store->tensors.insert_or_assign(name, from_handle(tensor).detach());
    }
    return static_cast<tenon_status>(TENON_OK);
  });
}

tenon_status kept(tenon_training_store* store, const char* name, tenon_tensor* owned,
                  tenon_error* error) {
  return fenced(error, [&] {
    const auto found = store->tensors.find(name);
    *owned = found == store->tensors.end() ? nullptr : new_handle(found->second);
    return static_cast<tenon_status>(TENON_OK);
  });
}

}  // namespace

const tenon_training_host& training_host() {
  static const tenon_training_host table{sizeof(tenon_training_host), 0, keep, kept};
  return table;
}

}  // namespace tenon
