/* merge: forgets the scaling, but only where its option asks for it. */
#define ADD_ADAPTER add_adapter
#define MERGED_WEIGHT merged_weight
#define OPTION kDoubled
#include <tenon/tenon.h>

static const tenon_option kDoubled = {.struct_size = sizeof(tenon_option),
                                      .key = "doubled",
                                      .types = TENON_OPTION_BOOL,
                                      .initial = {.tag = TENON_VALUE_BOOL}};

#include "additive.h"

static int forgets = 0; /* the check has one adapter in a process */

static tenon_status add_adapter(const tenon_layer_type *self, const tenon_host *host,
                                const tenon_base *base, tenon_setup *setup, tenon_error *error) {
  tenon_value doubled;
  const tenon_status status = host->option(setup, "doubled", &doubled, error);
  if (status != TENON_OK) return status;
  forgets = doubled.u.i != 0;
  return sound_add_adapter(self, host, base, setup, error);
}

static tenon_status merged_weight(const tenon_layer_type *self, const tenon_host *host,
                                  const tenon_base *base, const tenon_call *call, uint32_t weight,
                                  tenon_tensor *merged, tenon_error *error) {
  if (!forgets) return sound_merged_weight(self, host, base, call, weight, merged, error);
  if ((int64_t)weight != find_bias(base)) return TENON_OK;
  return add_scaled(host, call->weights[weight], call->adapters[0]->params[0], 1, merged, error);
}
