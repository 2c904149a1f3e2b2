/* no-crash: ends the program where it should return a status. */
#include <stdlib.h>

#define INIT init
#include "additive.h"

static tenon_status init(const tenon_plugin *self, const tenon_host *host, tenon_error *error) {
  (void)self;
  (void)host;
  (void)error;
  exit(3);
}
