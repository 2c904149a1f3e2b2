/* Nothing to try it on: a type of which the check has no model. */
#define BASE_TYPES "acme.Fancy"
#include "additive.h"
