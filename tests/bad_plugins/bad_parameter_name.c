/* declares-alike: a parameter whose name leads out of the adapter's folder. */
#define PARAMETER_NAME "../../etc/x"
#include "additive.h"
