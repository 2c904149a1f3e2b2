/* exports: a helper that is not static, and no -fvisibility=hidden. */
#include "additive.h"

__attribute__((visibility("default"))) int additive_helper(void) { return 42; }
