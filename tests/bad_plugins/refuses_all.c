/* No rule: takes no layer, so that nothing can be tried. */
#define ADD_ADAPTER add_adapter
#include "additive.h"

static tenon_status add_adapter(const tenon_layer_type *self, const tenon_host *host,
                                const tenon_base *base, tenon_setup *setup, tenon_error *error) {
  (void)self;
  (void)base;
  (void)setup;
  (void)sound_add_adapter;
  return fail(host, error, TENON_UNSUPPORTED, "1000 does not divide its outputs");
}
