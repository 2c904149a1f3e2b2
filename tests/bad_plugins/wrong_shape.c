/* runs: an output of another shape than the base's. */
#define FORWARD forward
#include "additive.h"

static tenon_status forward(const tenon_layer_type *self, const tenon_host *host,
                            const tenon_base *base, const tenon_call *call, tenon_tensor *outputs,
                            tenon_error *error) {
  (void)self;
  (void)base;
  tenon_tensor y = NULL;
  tenon_op *sum = NULL;
  tenon_status status = run_base(host, call, &y, error);
  if (status == TENON_OK) status = host->resolve("aten::sum", "dim_IntList", &sum, error);
  tenon_value arguments[3];
  memset(arguments, 0, sizeof arguments);
  const int64_t all[2] = {0, 1};
  arguments[0].tag = TENON_VALUE_TENSOR;
  arguments[0].u.t = y;
  arguments[1].tag = TENON_VALUE_INT_LIST;
  arguments[1].n = 1;
  arguments[1].u.is = all;
  arguments[2].tag = TENON_VALUE_BOOL;
  tenon_value result;
  if (status == TENON_OK) status = host->call(sum, arguments, 3, &result, 1, error);
  if (status == TENON_OK) outputs[0] = result.u.t;
  host->release(y);
  return status;
}
