/* What one adapter layer type is: a read-only table of facts and functions, one for each pair of
 * method ("lora") and base type ("torch.nn.Linear").
 *
 * The life of a layer of this type:
 *   1. the host finds a targeted module whose type the table names;
 *   2. validate       - may this base be adapted with these options? No tensor is touched.
 *   3. add_adapter    - declares the adapter's parameters; the host allocates and starts them;
 *   4. prepare        - may make the layer's own state for this adapter: options it has read,
 * numbers it has worked out; handed back with every later call;
 *   5. initialise     - may start parameters from the base's weights, and change the weights that
 *                       the base has under this adapter (a residual);
 *   6. forward        - many times, in training and in inference, once for each call site;
 *   7. merged_weight  - the base weight with the adapters folded in, for merging and export;
 *   8. release        - frees the state when the adapter is deleted or the model goes.
 *
 * The host owns every tensor that lasts: a state holds no tensor handle. Every function may be
 * called from several threads at once with different arguments. No function may let an exception
 * out, keep a borrowed pointer, or write to a borrowed tensor. */
#pragma once

#include "tenon/option.h"
#include "tenon/types.h"

#ifdef __cplusplus
extern "C" {
#endif

struct tenon_host;

/* tenon_parameter.flags */
enum {
  TENON_TRAINABLE = 1,
  TENON_BUFFER = 2,   /* saved with the adapter, never trained */
  TENON_KEEP_FP32 = 4 /* not cast down with the model */
};

/* A tensor that the adapter needs. Shape and name are copied by the host. */
typedef struct tenon_parameter {
  uint32_t struct_size;
  uint32_t flags;
  const char *name; /* as on disk behind the module path: "lora_A.weight" */
  const int64_t *shape;
  uint32_t ndim;
  int32_t dtype; /* -1: the adapter's own (float32 unless the base is wider) */
  /* How it starts, drawn from the host's seeded generator:
   *   "zeros"            "ones"
   *   "constant"         init_a everywhere
   *   "normal"           mean init_a, standard deviation init_b
   *   "uniform"          from init_a to init_b
   *   "kaiming_uniform"  torch.nn.init.kaiming_uniform_ with a = init_a, fan_in mode */
  const char *init;
  double init_a;
  double init_b;
  /* NULL: this layer's own. Else the parameter belongs to the adapter as a whole: all layers that
   * declare one of this key share one tensor, on disk "base_model." and the key ("vera_A"). It gets
   * the largest size that any layer asks for in each dimension, known only once all layers have
   * declared theirs: a layer takes its part of it (aten::narrow) in each call. `init`, dtype and
   * flags must be the same everywhere; what initialise gives for it counts in the first layer
   * only. since 0.2 */
  const char *shared_key;
} tenon_parameter;

/* tenon_weight_info.flags */
enum {
  TENON_WEIGHT_IS_BUFFER = 1,
  TENON_WEIGHT_IS_TARGET = 2 /* of a torch.nn.Parameter layer: the config names it; since 0.3 */
};

/* A parameter or buffer of the base, descendants included: facts only. A parameter that no call of
 * the layer reads is left out (a bias that the caller adds). */
typedef struct tenon_weight_info {
  uint32_t struct_size;
  uint32_t flags;
  const char *name; /* relative to the module: "weight", "out_proj.weight" */
  const int64_t *shape;
  uint32_t ndim;
  int32_t dtype;
} tenon_weight_info;

/* The wrapped layer. Valid until exit; the same pointer in every call for this layer. */
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

/* One active adapter of this layer. */
typedef struct tenon_adapter {
  uint32_t struct_size;
  uint32_t n_params;
  const char *name;
  const tenon_tensor *params; /* in the order of add_parameter */
  double scaling;             /* what the method's `scaling` gave: lora_alpha / r */
  double dropout;             /* lora_dropout; act on it only while training */
  /* since 0.2: */
  void *state; /* what prepare made, or NULL */
  /* since 0.3: */
  tenon_tensor rows; /* int64 numbers, ascending: it works on these rows of dimension 0 of the first
                        input and of each output, and leaves the others alone. NULL: on all. Never
                        given to a type without TENON_LAYER_ROWS, nor to merged_weight. */
} tenon_adapter;

/* tenon_call.flags */
enum { TENON_TRAINING = 1, TENON_GRAD_ENABLED = 2 };

/* One call of forward or merged_weight. Everything in it is borrowed until the function returns. */
typedef struct tenon_call {
  uint32_t struct_size;
  uint32_t flags;
  const tenon_tensor *inputs; /* forward only */
  const tenon_tensor *weights;
  const tenon_adapter *const *adapters; /* active ones, at least one, of this layer type */
  uint32_t n_inputs;
  uint32_t n_weights;
  uint32_t n_adapters;
  uint32_t n_outputs;
  tenon_call_context *context; /* for tenon_host.run_base; NULL in merged_weight */
} tenon_call;

/* What initialise sees and gives. Everything in it is borrowed until the function returns, but for
 * the two arrays of owned handles, which the host has filled with NULLs. since 0.2 */
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

/* tenon_layer_type.flags */
enum {
  TENON_LAYER_FLAGS_NONE = 0,
  /* forward heeds tenon_adapter.rows, so that a batch whose rows have different adapters is one
   * call. Without it, the host calls forward once for each adapter of such a batch. since 0.3 */
  TENON_LAYER_ROWS = 1
};

typedef struct tenon_layer_type {
  uint32_t struct_size;
  uint32_t flags;   /* bits of TENON_LAYER_* */
  int32_t priority; /* among plugins of one place; 0 as a rule */
  int32_t reserved;
  const char *id;     /* "acme.lora-lstm"; named by [plugins.prefer] and tenon.json */
  const char *method; /* "lora" */
  /* Types that it adapts, separated by ';'. Exact ("torch.nn.LSTM"), or with a leading "*." for a
   * class of that name in any module ("*.MyScale"); exact wins. */
  const char *base_types;
  const char *title; /* as the tree prints it: "lora.LSTM" */
  const char *doc;   /* one sentence */

  /* Refuses a base that this type cannot adapt: TENON_UNSUPPORTED with the reason. May be NULL.
   * [injection thread; before add_adapter] since 0.1 */
  tenon_status (*validate)(const struct tenon_host *, const tenon_base *, const tenon_setup *,
                           tenon_error *);

  /* Declares the parameters through host->add_parameter, in a fixed order.
   * [injection thread; once for each adapter on each layer] since 0.1 */
  tenon_status (*add_adapter)(const struct tenon_host *, const tenon_base *, tenon_setup *,
                              tenon_error *);

  /* Writes n_outputs owned tensors to outputs_owned. NULL: the host runs the base with what
   * merged_weight gives, differentiably. One of the two must be there.
   * [any thread, several at once] since 0.1 */
  tenon_status (*forward)(const struct tenon_host *, const tenon_base *, const tenon_call *,
                          tenon_tensor *outputs_owned, tenon_error *);

  /* Writes weight number `weight` with all adapters folded in to *out_owned, or NULL if they do not
   * touch that weight. Must be differentiable if forward is NULL. NULL: this type cannot be merged.
   * [any thread] since 0.1 */
  tenon_status (*merged_weight)(const struct tenon_host *, const tenon_base *, const tenon_call *,
                                uint32_t weight, tenon_tensor *out_owned, tenon_error *);

  /* Later additions by name; NULL or a function that returns NULL for what it does not know.
   * since 0.1 */
  const void *(*extension)(const char *id);

  /* The layer type's own options, [adapter.options] of a config: validated, completed with their
   * defaults, and answered by tenon_host.option. May be NULL. since 0.2 */
  const tenon_option *const *options;
  uint32_t n_options;
  uint32_t reserved2;

  /* Makes the layer's own state for one adapter: *state_owned is the layer's, handed back as
   * tenon_adapter.state and given to release once. On failure nothing is kept. May be NULL.
   * [injection thread; once for each adapter on each layer, after add_adapter] since 0.2 */
  tenon_status (*prepare)(const struct tenon_host *, const tenon_base *, const tenon_setup *,
                          void **state_owned, tenon_error *);

  /* Frees a state. May be NULL if nothing has to be freed.
   * [any thread; after the last call with this state] since 0.2 */
  void (*release)(const struct tenon_host *, const tenon_base *, void *state);

  /* Starts parameters from the base, or gives it other weights under this adapter. Gradients are
   * off. May be NULL. [injection thread; once, after prepare; also before an adapter is loaded,
   * whose tensors then overwrite the parameters] since 0.2 */
  tenon_status (*initialise)(const struct tenon_host *, const tenon_base *, const tenon_setup *,
                             const tenon_start *, tenon_error *);
} tenon_layer_type;

#ifdef __cplusplus
}
#endif
