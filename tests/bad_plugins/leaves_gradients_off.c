/* no-grad: switches gradients off for its own output and forgets to restore them. */
#define FORWARD forward
#include "additive.h"

static tenon_status forward(const tenon_layer_type *self, const tenon_host *host,
                            const tenon_base *base, const tenon_call *call, tenon_tensor *outputs,
                            tenon_error *error) {
  (void)self;
  (void)base;
  tenon_status status = sound_forward(self, host, base, call, outputs, error);
  int32_t recorded = 0;
  if (status == TENON_OK) host->set_grad_enabled(0, &recorded, error);
  return status;
}
