/* A method that takes part in training: at the gradients, after the step, in the loss. An extension
 * of a method; a draft, which may still change.
 *
 * tenon_method.extension(TENON_TRAINING) returns a tenon_training, or NULL.
 *
 * All functions are called on the training thread, one after the other, for each adapter of the
 * method that is trained; nobody else runs or reads the adapter meanwhile. What is in a
 * tenon_training_run is borrowed until the function returns. A failure ends the training: what was
 * trained until then is saved, and the text names the plugin. */
#pragma once

#include "tenon/layer_type.h"
#include "tenon/method.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TENON_TRAINING "tenon.training.draft/1"

typedef struct tenon_training_store tenon_training_store; /* what outlasts a step, by name */

/* One layer of the adapter. `params` may be written to in after_step, `gradients` in before_step;
 * in place, by operators, with gradient recording off (as it is there). */
typedef struct tenon_training_layer {
  uint32_t struct_size;
  uint32_t n_params;
  const tenon_base *base;
  const tenon_setup *setup;      /* for tenon_host.option */
  const char *layer_type;        /* its id */
  const char *const *names;      /* of the parameters, as declared */
  const tenon_tensor *params;    /* trained ones and buffers */
  const tenon_tensor *gradients; /* NULL where there is none */
  double scaling;
  void *state; /* what prepare made, or NULL */
} tenon_training_layer;

typedef struct tenon_training_run {
  uint32_t struct_size;
  uint32_t n_layers;
  int64_t step;        /* the one at hand, from 1 */
  int64_t total_steps; /* planned */
  const char *adapter; /* its name */
  const tenon_training_layer *const *layers;
  tenon_training_store *store; /* for tenon_training_host */
} tenon_training_run;

typedef struct tenon_training {
  uint32_t struct_size;
  uint32_t reserved;

  /* After the gradients of a step are there, before the optimizer uses them. May be NULL. */
  tenon_status(TENON_ABI *before_step)(const tenon_method *self, const struct tenon_host *,
                                       const tenon_training_run *, tenon_error *);

  /* After the optimizer's step; the gradients are still those of the step. May be NULL. */
  tenon_status(TENON_ABI *after_step)(const tenon_method *self, const struct tenon_host *,
                                      const tenon_training_run *, tenon_error *);

  /* Writes an owned tensor of one number, differentiable in the parameters, which is added to the
   * loss of the step, or NULL for nothing. `gradients` are not there. May be NULL. */
  tenon_status(TENON_ABI *regularise)(const tenon_method *self, const struct tenon_host *,
                                      const tenon_training_run *, tenon_tensor *loss_owned,
                                      tenon_error *);
} tenon_training;

/* tenon_host.extension(TENON_TRAINING): tensors of the method that outlast a step and are saved in
 * checkpoints, by names of its own ("seq.0.lora_A.sensitivity"). */
typedef struct tenon_training_host {
  uint32_t struct_size;
  uint32_t reserved;

  /* Keeps the tensor under the name, in place of what was there; NULL drops it. */
  tenon_status(TENON_ABI *keep)(tenon_training_store *, const char *name, tenon_tensor,
                                tenon_error *);

  /* A further owned handle on what is kept, or NULL. */
  tenon_status(TENON_ABI *kept)(tenon_training_store *, const char *name, tenon_tensor *owned,
                                tenon_error *);
} tenon_training_host;

#ifdef __cplusplus
}
#endif
