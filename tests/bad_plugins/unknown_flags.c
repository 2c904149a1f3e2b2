/* table: flags of a host that is not here. */
#define FLAGS (1u << 30)
#include "additive.h"
