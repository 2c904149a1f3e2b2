/* leaves-process: goes to another working folder. */
#include <unistd.h>

#define FORWARD forward
#include "additive.h"

static tenon_status forward(const tenon_layer_type *self, const tenon_host *host,
                            const tenon_base *base, const tenon_call *call, tenon_tensor *outputs,
                            tenon_error *error) {
  if (chdir("/") != 0) return fail(host, error, TENON_INTERNAL, "there is no folder /");
  return sound_forward(self, host, base, call, outputs, error);
}
