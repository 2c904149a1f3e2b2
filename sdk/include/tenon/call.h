/* One call of an adapted layer, and the adapters that are active in it. Everything here is borrowed
 * until the function that it was given to returns. */
#pragma once

#include "tenon/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tenon_call_context tenon_call_context; /* one forward of one call site */

/* One active adapter of the layer. */
typedef struct tenon_adapter {
  uint32_t struct_size;
  uint32_t n_params;
  const char *name;
  const tenon_tensor *params; /* in the order of add_parameter */
  double scaling;             /* what the method's `scaling` gave; 1 without */
  void *state;                /* what prepare made, or NULL */
  tenon_tensor rows; /* int64 numbers, ascending: it works on these rows of dimension 0 of the first
                        input and of each output, and leaves the others alone. NULL: on all. Never
                        given to a type without TENON_LAYER_ROWS, nor to merged_weight. */
} tenon_adapter;

/* tenon_call.flags */
typedef uint32_t tenon_call_flags;
enum { TENON_CALL_TRAINING = 1, TENON_CALL_GRAD_ENABLED = 2 };

/* One call of forward or merged_weight. */
typedef struct tenon_call {
  uint32_t struct_size;
  tenon_call_flags flags;
  const tenon_tensor *inputs; /* forward only */
  const tenon_tensor *weights;
  /* The active ones, at least one: all of this layer type. Two that are of different layer types,
   * and so two methods, are never active on a layer at once; the host refuses them by name. */
  const tenon_adapter *const *adapters;
  uint32_t n_inputs;
  uint32_t n_weights;
  uint32_t n_adapters;
  uint32_t n_outputs;
  tenon_call_context *context; /* for tenon_host.run_base; NULL in merged_weight */
} tenon_call;

#ifdef __cplusplus
}
#endif
