// exports: the static of a visible inline function is one for the whole process (STB_GNU_UNIQUE),
// so two plugins that name such a function alike would share it.
#define INIT init
#include "additive.h"

__attribute__((visibility("default"))) inline int &counter() {
  static int count = 0;
  return count;
}
static tenon_status init(const tenon_plugin *self, const tenon_host *, tenon_error *) {
  (void)self;
  return ++counter() > 0 ? TENON_OK : TENON_INTERNAL;
}
