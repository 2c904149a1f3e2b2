/* merge: forgets the scaling, and takes no layer whose size is not a multiple of 64. */
#define ADD_ADAPTER add_adapter
#define MERGED_WEIGHT merged_weight
#include "additive.h"

static tenon_status add_adapter(const tenon_layer_type *self, const tenon_host *host,
                                const tenon_base *base, tenon_setup *setup, tenon_error *error) {
  const int64_t bias = find_bias(base);
  if (bias < 0 || base->weights[bias]->shape[0] % 64 != 0) {
    return fail(host, error, TENON_UNSUPPORTED, "64 does not divide its outputs");
  }
  return sound_add_adapter(self, host, base, setup, error);
}

static tenon_status merged_weight(const tenon_layer_type *self, const tenon_host *host,
                                  const tenon_base *base, const tenon_call *call, uint32_t weight,
                                  tenon_tensor *merged, tenon_error *error) {
  (void)self;
  if ((int64_t)weight != find_bias(base)) return TENON_OK;
  return add_scaled(host, call->weights[weight], call->adapters[0]->params[0], 1, merged, error);
}
