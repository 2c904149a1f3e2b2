/* factors: an offset that says it is a product. */
#define EXTENSION extension
#include "additive.h"

#include <tenon/draft/factors.h>

static const void *extension(const tenon_layer_type *self, const char *id) {
  static const tenon_factor_form form = {.down = "lora_A.weight", .up = "lora_B.weight"};
  static const tenon_layer_factors table = {.struct_size = sizeof table, .form = &form};
  (void)self;
  return strcmp(id, TENON_FACTORS) == 0 ? &table : NULL;
}
