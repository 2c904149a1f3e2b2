/* Layers that read one tensor, run by one call: an extension of a layer type that can save passes
 * over that tensor and its gradient (query, key and value of an attention).
 *
 * tenon_layer_type.extension(TENON_SIBLINGS) returns a tenon_siblings, or NULL. The host may then
 * put layers of this type together that have one input and one output each, read the same tensor,
 * and do not depend on each other; it still calls `forward` for each wherever it likes, so both
 * must compute the same. since 1.0 */
#pragma once

#include "tenon/layer_type.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TENON_SIBLINGS "tenon.siblings/1"

typedef struct tenon_siblings {
  uint32_t struct_size;
  uint32_t reserved;

  /* Writes one owned tensor for each of the n calls, n > 1, to outputs_owned. calls[i] belongs to
   * bases[i]; all have the same inputs[0]. A failure fails the forward of the model.
   * [any thread, several at once] since 1.0 */
  tenon_status(TENON_ABI *forward)(const tenon_layer_type *self, const struct tenon_host *,
                                   const tenon_base *const *bases, const tenon_call *const *calls,
                                   uint32_t n, tenon_tensor *outputs_owned, tenon_error *);
} tenon_siblings;

#ifdef __cplusplus
}
#endif
