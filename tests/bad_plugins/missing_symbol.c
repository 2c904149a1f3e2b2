/* loads: calls a function that is nowhere. */
#define INIT init
#include "additive.h"

int of_another_library(void);
static tenon_status init(const tenon_plugin *self, const tenon_host *host, tenon_error *error) {
  (void)self;
  (void)host;
  (void)error;
  return of_another_library();
}
