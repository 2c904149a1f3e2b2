/* quiet: greets on standard output. */
#include <stdio.h>

#define INIT init
#include "additive.h"

static tenon_status init(const tenon_plugin *self, const tenon_host *host, tenon_error *error) {
  (void)self;
  (void)host;
  (void)error;
  puts("additive 1.0.0 at your service");
  return TENON_OK;
}
