/* table: an id that is no id. */
#define LAYER_ID "Trial Reg/../x"
#include "additive.h"
