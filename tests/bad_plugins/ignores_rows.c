/* rows: it says that it heeds rows, and adds its offset to all of them. */
#define FLAGS TENON_LAYER_ROWS
#include "additive.h"
