// exports: the static of a visible inline function is one for the whole process (STB_GNU_UNIQUE), so
// two plugins that name such a function alike would share it.
#include "additive.h"

__attribute__((visibility("default"))) inline int &counter() {
  static int count = 0;
  return count;
}
int (*const kUsed)() = [] { return ++counter(); };
