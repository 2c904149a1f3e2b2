#include "plugin/saved_file.h"

#include "plugin/declared_value.h"
#include "plugin/handles.h"
#include "plugin/host_fence.h"

namespace tenon {
namespace {

tenon_status set_key(tenon_file* file, const char* key, const tenon_value* value,
                     tenon_error* error) {
  return fenced(error,
                [&] { return put_declared(*file->declared, key, *value, file->keys, error); });
}

tenon_status set_parameter(tenon_file* file, std::uint32_t layer, std::uint32_t parameter,
                           tenon_tensor tensor, tenon_error* error) {
  return fenced(error, [&] {
    if (tensor == nullptr || layer >= file->n_parameters.size() ||
        parameter >= file->n_parameters[layer]) {
      return set_failure(error, TENON_INVALID_ARGUMENT, "there is no such layer or parameter");
    }
    file->parameters.insert_or_assign({layer, parameter}, from_handle(tensor).detach());
    return static_cast<tenon_status>(TENON_OK);
  });
}

}  // namespace

const tenon_files_host& files_host() {
  static const tenon_files_host table{sizeof(tenon_files_host), 0, set_key, set_parameter};
  return table;
}

}  // namespace tenon
