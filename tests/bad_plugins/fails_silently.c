/* says-why: fails in training, and gives no text. */
#define FORWARD forward
#include "additive.h"

static tenon_status forward(const tenon_layer_type *self, const tenon_host *host,
                            const tenon_base *base, const tenon_call *call, tenon_tensor *outputs,
                            tenon_error *error) {
  (void)self;
  if ((call->flags & TENON_CALL_TRAINING) != 0) return TENON_UNSUPPORTED;
  return sound_forward(self, host, base, call, outputs, error);
}
