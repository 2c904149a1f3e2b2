/* in-time: waits for something that never comes. */
#include <unistd.h>

#define INIT init
#include "additive.h"

static tenon_status init(const tenon_host *host, tenon_error *error) {
  (void)host;
  (void)error;
  for (;;) pause();
}
