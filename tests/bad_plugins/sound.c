/* No fault: what all the others are, but for one thing each. */
#include "additive.h"
