/* gradients: half of the term is added where gradients are not recorded. */
#define FORWARD forward
#include "additive.h"

static tenon_status forward(const tenon_layer_type *self, const tenon_host *host,
                            const tenon_base *base, const tenon_call *call, tenon_tensor *outputs,
                            tenon_error *error) {
  (void)self;
  (void)base;
  const tenon_adapter *adapter = call->adapters[0];
  tenon_tensor y = NULL;
  tenon_tensor half = NULL;
  tenon_tensor zero = NULL;
  tenon_status status = run_base(host, call, &y, error);
  if (status != TENON_OK) return status;
  int32_t recorded = 0;
  host->set_grad_enabled(0, &recorded, error);
  /* 0.5 s p, as a constant: p + (0.5 s - 1) p */
  status = add_scaled(host, adapter->params[0], adapter->params[0], 0.5 * adapter->scaling - 1,
                      &half, error);
  host->set_grad_enabled(recorded, &recorded, error);
  if (status == TENON_OK) status = add_scaled(host, y, half, 1, &zero, error);
  if (status == TENON_OK) {
    status = add_scaled(host, zero, adapter->params[0], 0.5 * adapter->scaling, &outputs[0], error);
  }
  host->release(zero);
  host->release(half);
  host->release(y);
  return status;
}
