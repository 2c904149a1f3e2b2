/* The layer that is adapted: facts only, known before any tensor is there. */
#pragma once

#include "tenon/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

/* tenon_weight_info.flags */
typedef uint32_t tenon_weight_flags;
enum {
  TENON_WEIGHT_IS_BUFFER = 1,
  TENON_WEIGHT_IS_TARGET = 2 /* of a torch.nn.Parameter layer: the config names it */
};

/* A parameter or buffer of the base, descendants included. A parameter that no call of the layer
 * reads is left out (a bias that the caller adds). */
typedef struct tenon_weight_info {
  uint32_t struct_size;
  tenon_weight_flags flags;
  const char *name; /* relative to the module: "weight", "out_proj.weight" */
  const int64_t *shape;
  uint32_t ndim;
  tenon_dtype dtype;
} tenon_weight_info;

/* Borrowed, with all that it points to, until the function that it was given to returns. Its
 * contents are the same in every call for one layer; its address need not be. */
typedef struct tenon_base {
  uint32_t struct_size;
  uint32_t n_weights;
  const char *type;        /* "torch.nn.Linear" */
  const char *module_path; /* "seq.0" */
  /* "aten::linear" if each call of the layer is exactly one call of that operator whose arguments
   * are the layer's inputs, all its weights in the operator's order, and numbers; "" otherwise. */
  const char *operator_name;
  const tenon_weight_info *const *weights; /* in the model's order */
  uint32_t n_inputs;                       /* tensors that enter the layer from outside */
  uint32_t n_outputs;
} tenon_base;

#ifdef __cplusplus
}
#endif
