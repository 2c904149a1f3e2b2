/* merge: forgets the scaling. */
#define MERGED_WEIGHT merged_weight
#include "additive.h"

static tenon_status merged_weight(const tenon_layer_type *self, const tenon_host *host,
                                  const tenon_base *base, const tenon_call *call, uint32_t weight,
                                  tenon_tensor *merged, tenon_error *error) {
  (void)self;
  if ((int64_t)weight != find_bias(base)) return TENON_OK;
  return add_scaled(host, call->weights[weight], call->adapters[0]->params[0], 1, merged, error);
}
