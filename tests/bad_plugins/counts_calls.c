/* repeatable: adds a little more at each call. */
#define FORWARD forward
#include "additive.h"

static tenon_status forward(const tenon_layer_type *self, const tenon_host *host,
                            const tenon_base *base, const tenon_call *call, tenon_tensor *outputs,
                            tenon_error *error) {
  (void)self;
  (void)base;
  static double calls = 0;
  calls += 1;
  tenon_tensor y = NULL;
  tenon_status status = run_base(host, call, &y, error);
  const tenon_adapter *adapter = call->adapters[0];
  if (status == TENON_OK) {
    status = add_scaled(host, y, adapter->params[0], calls, &outputs[0], error);
  }
  host->release(y);
  return status;
}
