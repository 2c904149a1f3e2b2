/* table: the stamp was not touched when the version was raised. */
#define STAMP_VERSION "0.9.0"
#include "additive.h"
