/* handles: gives the same handle back twice. */
#define FORWARD forward
#include "additive.h"

static tenon_status forward(const tenon_layer_type *self, const tenon_host *host,
                            const tenon_base *base, const tenon_call *call, tenon_tensor *outputs,
                            tenon_error *error) {
  (void)self;
  tenon_tensor mine = NULL;
  tenon_status status = host->retain(call->inputs[0], &mine, error);
  if (status != TENON_OK) return status;
  host->release(mine);
  host->release(mine);
  return sound_forward(self, host, base, call, outputs, error);
}
