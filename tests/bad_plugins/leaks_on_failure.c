/* handles: forgets the base's output where the operator behind it fails. */
#define FORWARD forward
#include "additive.h"

static tenon_status forward(const tenon_layer_type *self, const tenon_host *host,
                            const tenon_base *base, const tenon_call *call, tenon_tensor *outputs,
                            tenon_error *error) {
  (void)self;
  (void)base;
  tenon_tensor y = NULL;
  tenon_status status = run_base(host, call, &y, error);
  if (status != TENON_OK) return status;
  const tenon_adapter *adapter = call->adapters[0];
  status = add_scaled(host, y, adapter->params[0], adapter->scaling, &outputs[0], error);
  if (status != TENON_OK) return status;
  host->release(y);
  return TENON_OK;
}
