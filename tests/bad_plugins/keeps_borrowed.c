/* borrowed: looks at the input of the call before. */
#define FORWARD forward
#include "additive.h"

static tenon_status forward(const tenon_layer_type *self, const tenon_host *host,
                            const tenon_base *base, const tenon_call *call, tenon_tensor *outputs,
                            tenon_error *error) {
  (void)self;
  static tenon_tensor last = NULL;
  tenon_tensor_info info;
  memset(&info, 0, sizeof info);
  info.struct_size = sizeof info;
  tenon_status status = host->describe(last != NULL ? last : call->inputs[0], &info, error);
  last = call->inputs[0];
  if (status != TENON_OK) return status;
  return sound_forward(self, host, base, call, outputs, error);
}
