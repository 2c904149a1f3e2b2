/* A method whose adapters may start from batches of the training data: an extension of a method; a
 * draft, which may still change.
 *
 * tenon_method.extension(TENON_DATA_START) returns a tenon_data_start, or NULL.
 *
 * The host plans the adapter, runs the base on one batch after the other, shows the inputs and
 * outputs of the layers that the adapter is planned for, and at last takes what the method makes of
 * them: parameters, keys of single layers, weights that the base has under the adapter. By these it
 * plans the adapter anew and starts it. While it observes, no adapter runs, and gradients are those
 * of the outputs alone, where they are asked for.
 *
 * What is in a tenon_data_run and a tenon_observed is borrowed until the function returns. */
#pragma once

#include "tenon/layer_type.h"
#include "tenon/method.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TENON_DATA_START "tenon.data-start.draft/1"

typedef struct tenon_started tenon_started; /* how an adapter is to start, while it is said */

/* What an adapter's keys ask for. */
typedef uint32_t tenon_data_needs;
enum {
  TENON_NEEDS_DATA = 1,  /* the adapter starts from data: begin is called */
  TENON_NEEDS_RANKS = 2, /* and the layers' ranks, or other keys, come from them, too */
  /* and the gradients of the run's loss in what the layers give; the calls of a batch are then
   * shown once all of it has run. Layers run as in evaluation. */
  TENON_NEEDS_GRADIENTS = 4
};

/* One layer that the adapter is planned for. */
typedef struct tenon_data_layer {
  uint32_t struct_size;
  uint32_t n_weights;
  const tenon_base *base;
  const tenon_setup *setup;    /* for tenon_host.option: the keys as they hold for it */
  const char *layer_type;      /* its id */
  const tenon_tensor *weights; /* the base's own, in the order of tenon_base.weights */
  double scaling;              /* as planned */
} tenon_data_layer;

typedef struct tenon_data_run {
  uint32_t struct_size;
  uint32_t n_layers;
  const tenon_data_layer *const *layers; /* in the model's order */
  const tenon_setup *setup;              /* the keys as the config has them, for no layer */
  int64_t batches_per_epoch;
  int64_t largest_size; /* the largest dimension of any parameter of the base */
} tenon_data_run;

/* One call of one layer. */
typedef struct tenon_observed {
  uint32_t struct_size;
  uint32_t layer; /* its number in the run */
  int64_t batch;  /* from 0; it goes on counting in the next epoch */
  uint32_t n_inputs;
  uint32_t n_outputs;
  const tenon_tensor *inputs;
  const tenon_tensor *outputs;
  /* Bool (rows, length): which positions of the batch count, by the model's input
   * `attention_mask`; NULL: all. */
  tenon_tensor positions;
  tenon_tensor target; /* of the batch; NULL: there is none */
  /* With TENON_NEEDS_GRADIENTS: of the batch's loss in each output, NULL where it does not reach;
   * else NULL itself. */
  const tenon_tensor *output_gradients;
} tenon_observed;

/* All are called on one thread, one after the other. A failure ends the program with its text;
 * TENON_UNSUPPORTED says that the config asks for what cannot be. */
typedef struct tenon_data_start {
  uint32_t struct_size;
  uint32_t reserved;

  /* Writes what the keys ask for, 0 for nothing. `setup`: as tenon_data_run.setup. */
  tenon_status(TENON_ABI *needs)(const tenon_method *self, const struct tenon_host *,
                                 const tenon_setup *setup, tenon_data_needs *out, tenon_error *);

  /* Refuses what cannot start so, and makes what it counts in, freed by release. Unlike the state
   * of a layer, it may hold owned tensors. */
  tenon_status(TENON_ABI *begin)(const tenon_method *self, const struct tenon_host *,
                                 const tenon_data_run *, void **state_owned, tenon_error *);

  /* Each call of each layer, in the order in which they run. */
  tenon_status(TENON_ABI *observe)(const tenon_method *self, const struct tenon_host *,
                                   const tenon_data_run *, const tenon_observed *, void *state,
                                   tenon_error *);

  /* After each batch: writes 1 where no other is wanted. It must come to an end by itself: the host
   * gives batches for ever. */
  tenon_status(TENON_ABI *after_batch)(const tenon_method *self, const struct tenon_host *,
                                       const tenon_data_run *, void *state, uint32_t *done,
                                       tenon_error *);

  /* Says by tenon_data_start_host how the adapter starts. */
  tenon_status(TENON_ABI *finish)(const tenon_method *self, const struct tenon_host *,
                                  const tenon_data_run *, void *state, tenon_started *,
                                  tenon_error *);

  /* Of every state that begin gave, whatever failed afterwards. May be NULL. */
  void(TENON_ABI *release)(const tenon_method *self, const struct tenon_host *, void *state);
} tenon_data_start;

/* tenon_host.extension(TENON_DATA_START). Layers by their number in the run. */
typedef struct tenon_data_start_host {
  uint32_t struct_size;
  uint32_t reserved;

  /* What a parameter starts from, by the name that it has in a file: "lora_A.weight". The host
   * keeps the tensor. */
  tenon_status(TENON_ABI *set_parameter)(tenon_started *, uint32_t layer, const char *name,
                                         tenon_tensor, tenon_error *);

  /* The base's weight wherever this adapter is active, of the weight's shape and dtype: what is
   * left of it beside the layer's factors (TENON_FACTORS), of which both must be set. It cannot be
   * made again on loading, so the adapter is saved as plain factors for the base as it was. */
  tenon_status(TENON_ABI *set_weight)(tenon_started *, uint32_t layer, uint32_t weight,
                                      tenon_tensor, tenon_error *);

  /* A key of the method that has a table of patterns beside it, for one layer. Layers that are not
   * named keep what they have; the tables are written in the order of these calls. */
  tenon_status(TENON_ABI *set_key)(tenon_started *, uint32_t layer, const char *key,
                                   const tenon_value *, tenon_error *);

  /* The adapter leaves this layer alone. */
  tenon_status(TENON_ABI *leave_out)(tenon_started *, uint32_t layer, tenon_error *);

  /* One line for the user about what was done. */
  tenon_status(TENON_ABI *note)(tenon_started *, const char *text, tenon_error *);
} tenon_data_start_host;

#ifdef __cplusplus
}
#endif
