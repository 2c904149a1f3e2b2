/* forced-errors: gives the bare base where adding the offset fails. */
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
  tenon_tensor sum = NULL;
  if (add_scaled(host, y, adapter->params[0], adapter->scaling, &sum, error) != TENON_OK) {
    outputs[0] = y;
    return TENON_OK;
  }
  host->release(y);
  outputs[0] = sum;
  return TENON_OK;
}
