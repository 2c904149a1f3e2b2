/* no-threads: a worker that lives on. */
#include <pthread.h>
#include <unistd.h>

#define INIT init
#include "additive.h"

static void *work(void *nothing) {
  for (;;) pause();
  return nothing;
}
static tenon_status init(const tenon_plugin *self, const tenon_host *host, tenon_error *error) {
  (void)self;
  (void)host;
  (void)error;
  pthread_t thread;
  return pthread_create(&thread, NULL, work, NULL) == 0 ? TENON_OK : TENON_INTERNAL;
}
