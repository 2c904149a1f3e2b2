/* init: fails and does not say why. */
#define INIT init
#include "additive.h"

static tenon_status init(const tenon_plugin *self, const tenon_host *host, tenon_error *error) {
  (void)self;
  (void)host;
  (void)error;
  return TENON_INTERNAL;
}
