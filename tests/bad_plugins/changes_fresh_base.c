/* starts-as-base: the offset starts at one. */
#define START "ones"
#include "additive.h"
