/* threads: counts its callers in a static, and scales by the count. */
#define _DEFAULT_SOURCE
#include <unistd.h>

#define FORWARD forward
#include "additive.h"

static tenon_status forward(const tenon_layer_type *self, const tenon_host *host,
                            const tenon_base *base, const tenon_call *call, tenon_tensor *outputs,
                            tenon_error *error) {
  (void)self;
  (void)base;
  static int callers = 0;
  __atomic_add_fetch(&callers, 1, __ATOMIC_SEQ_CST);
  usleep(1000);
  const int count = __atomic_load_n(&callers, __ATOMIC_SEQ_CST);
  tenon_tensor y = NULL;
  tenon_status status = run_base(host, call, &y, error);
  const tenon_adapter *adapter = call->adapters[0];
  if (status == TENON_OK) {
    status = add_scaled(host, y, adapter->params[0], count * adapter->scaling, &outputs[0], error);
  }
  host->release(y);
  __atomic_sub_fetch(&callers, 1, __ATOMIC_SEQ_CST);
  return status;
}
