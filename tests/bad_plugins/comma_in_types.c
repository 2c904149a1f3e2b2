/* table: a comma between types, so that none of them is served. */
#define BASE_TYPES "torch.nn.Linear, torch.nn.Bilinear"
#include "additive.h"
