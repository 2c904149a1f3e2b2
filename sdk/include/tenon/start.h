/* How an adapter starts on one layer where its parameters depend on the base's weights. */
#pragma once

#include "tenon/value.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What initialise sees and gives. Borrowed until the function returns, but for the two arrays of
 * owned handles, which the host has filled with NULLs. */
typedef struct tenon_start {
  uint32_t struct_size;
  uint32_t flags;              /* none yet: 0 */
  const tenon_tensor *weights; /* the base's own, in the order of tenon_base.weights */
  const tenon_tensor *params;  /* as their declared `init` left them */
  uint32_t n_weights;
  uint32_t n_params;
  double scaling;
  void *state;                /* what prepare made, or NULL */
  tenon_generator *generator; /* the seeded one: pass it to operators that draw */
  /* A tensor put here, of the parameter's shape, is copied into the parameter. */
  tenon_tensor *params_owned;
  /* A tensor put here, of the weight's shape and dtype, is the base's weight wherever this adapter
   * is active (PiSSA: W - s B A). The model's own weight does not change: without the adapter, the
   * base is what it was. Must not depend on a random draw, since it is made again on loading. */
  tenon_tensor *weights_owned;
} tenon_start;

#ifdef __cplusplus
}
#endif
