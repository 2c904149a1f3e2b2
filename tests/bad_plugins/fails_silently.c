/* says-why: fails in training, and gives no text. */
#define FORWARD forward
#include "additive.h"

static tenon_status forward(const tenon_host *host, const tenon_base *base, const tenon_call *call,
                            tenon_tensor *outputs, tenon_error *error) {
  if ((call->flags & TENON_TRAINING) != 0) return TENON_UNSUPPORTED;
  return sound_forward(host, base, call, outputs, error);
}
