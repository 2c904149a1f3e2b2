/* parameters-train: declares a parameter that forward never uses. */
#define ADD_ADAPTER add_adapter
#include "additive.h"

static tenon_status add_adapter(const tenon_layer_type *self, const tenon_host *host,
                                const tenon_base *base, tenon_setup *setup, tenon_error *error) {
  (void)self;
  tenon_status status = sound_add_adapter(self, host, base, setup, error);
  if (status != TENON_OK) return status;
  const int64_t shape[] = {3};
  tenon_parameter idle;
  memset(&idle, 0, sizeof idle);
  idle.struct_size = sizeof idle;
  idle.flags = TENON_PARAMETER_TRAINABLE;
  idle.name = "lora_idle";
  idle.shape = shape;
  idle.ndim = 1;
  idle.dtype = -1;
  idle.init = "zeros";
  uint32_t index = 0;
  return host->add_parameter(setup, &idle, &index, error);
}
