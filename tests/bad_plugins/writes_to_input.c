/* read-only: scales the input in place, and so what others read. */
#define FORWARD forward
#include "additive.h"

static tenon_status forward(const tenon_layer_type *self, const tenon_host *host,
                            const tenon_base *base, const tenon_call *call, tenon_tensor *outputs,
                            tenon_error *error) {
  (void)self;
  tenon_op *mul = NULL;
  tenon_status status = host->resolve("aten::mul_", "Scalar", &mul, error);
  if (status != TENON_OK) return status;
  int32_t recorded = 0;
  status = host->set_grad_enabled(0, &recorded, error);
  if (status != TENON_OK) return status;
  tenon_value arguments[2];
  memset(arguments, 0, sizeof arguments);
  arguments[0].tag = TENON_VALUE_TENSOR;
  arguments[0].u.t = call->inputs[0];
  arguments[1].tag = TENON_VALUE_DOUBLE;
  arguments[1].u.d = 1.0;
  tenon_value result;
  status = host->call(mul, arguments, 2, &result, 1, error);
  host->set_grad_enabled(recorded, &recorded, error);
  if (status != TENON_OK) return status;
  host->release(result.u.t);
  return sound_forward(self, host, base, call, outputs, error);
}
