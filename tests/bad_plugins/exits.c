/* no-crash: ends the program as if all were done. */
#include <stdlib.h>
#define FORWARD forward
#include "additive.h"

static tenon_status forward(const tenon_layer_type *self, const tenon_host *host,
                            const tenon_base *base, const tenon_call *call, tenon_tensor *outputs,
                            tenon_error *error) {
  (void)self;
  (void)host;
  (void)base;
  (void)call;
  (void)outputs;
  (void)error;
  exit(0);
}
