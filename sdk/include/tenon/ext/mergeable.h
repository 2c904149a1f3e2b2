/* Whether a layer can be merged, told before anything is trained: an extension of a layer type
 * whose merged_weight works for some bases or options only.
 *
 * tenon_layer_type.extension(TENON_MERGEABLE) returns a tenon_mergeable, or NULL. since 1.0 */
#pragma once

#include "tenon/layer_type.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TENON_MERGEABLE "tenon.mergeable/1"

typedef struct tenon_mergeable {
  uint32_t struct_size;
  uint32_t reserved;

  /* TENON_UNSUPPORTED with the reason where merged_weight would not give what forward computes. The
   * adapter is trained and run all the same; `tenon plan` and `run` tell the reason, and merging is
   * refused with it. [injection thread; after add_adapter] since 1.0 */
  tenon_status(TENON_ABI *check)(const tenon_layer_type *self, const struct tenon_host *,
                                 const tenon_base *, const tenon_setup *, tenon_error *);
} tenon_mergeable;

#ifdef __cplusplus
}
#endif
