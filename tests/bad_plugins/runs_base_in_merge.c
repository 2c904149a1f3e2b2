/* merge: asks for the base's output where there is none. */
#define MERGED_WEIGHT merged_weight
#include "additive.h"

static tenon_status merged_weight(const tenon_layer_type *self, const tenon_host *host,
                                  const tenon_base *base, const tenon_call *call, uint32_t weight,
                                  tenon_tensor *merged, tenon_error *error) {
  tenon_tensor y = NULL;
  const tenon_status status = run_base(host, call, &y, error);
  if (status != TENON_OK) return status;
  host->release(y);
  return sound_merged_weight(self, host, base, call, weight, merged, error);
}
