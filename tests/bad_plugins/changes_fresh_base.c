/* starts-as-base: the offset starts at one. */
#define ADD_ADAPTER add_adapter
#include "additive.h"

static tenon_status add_adapter(const tenon_host *host, const tenon_base *base, tenon_setup *setup,
                                tenon_error *error) {
  const int64_t bias = find_bias(base);
  if (bias < 0) return fail(host, error, TENON_UNSUPPORTED, "the layer has no bias");
  tenon_parameter offset;
  memset(&offset, 0, sizeof offset);
  offset.struct_size = sizeof offset;
  offset.flags = TENON_TRAINABLE;
  offset.name = "lora_offset";
  offset.shape = base->weights[bias]->shape;
  offset.ndim = base->weights[bias]->ndim;
  offset.dtype = -1;
  offset.init = "ones";
  uint32_t index = 0;
  return host->add_parameter(setup, &offset, &index, error);
}
