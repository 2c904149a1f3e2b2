/* declares-alike: another shape each time it is asked. */
#define ADD_ADAPTER add_adapter
#include "additive.h"

static tenon_status add_adapter(const tenon_layer_type *self, const tenon_host *host,
                                const tenon_base *base, tenon_setup *setup, tenon_error *error) {
  (void)self;
  static int64_t size = 0;
  (void)base;
  ++size;
  tenon_parameter offset;
  memset(&offset, 0, sizeof offset);
  offset.struct_size = sizeof offset;
  offset.flags = TENON_PARAMETER_TRAINABLE;
  offset.name = "lora_offset";
  offset.shape = &size;
  offset.ndim = 1;
  offset.dtype = -1;
  offset.init = "zeros";
  uint32_t index = 0;
  return host->add_parameter(setup, &offset, &index, error);
}
