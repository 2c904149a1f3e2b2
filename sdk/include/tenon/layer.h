/* What one adapter layer type is: a read-only table of facts and functions, one for each pair of
 * method ("lora") and base type ("torch.nn.Linear").
 *
 * The life of a layer of this type:
 *   1. the host finds a targeted module whose type the table names;
 *   2. validate       - may this base be adapted with these options? No tensor is touched.
 *   3. add_adapter    - declares the adapter's parameters; the host allocates and initialises them;
 *   4. forward        - many times, in training and in inference, once for each call site;
 *   5. merged_weight  - the base weight with the adapters folded in, for merging and export;
 *   6. nothing is destroyed: the host owns every tensor and every handle.
 *
 * Layers keep no tensor of their own. Every function may be called from several threads at once
 * with different arguments. No function may let an exception out, keep a borrowed pointer, or write
 * to a borrowed tensor. */
#pragma once

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
} tenon_parameter;

/* tenon_weight_info.flags */
enum { TENON_WEIGHT_IS_BUFFER = 1 };

/* A parameter or buffer of the base, descendants included: facts only. */
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
  /* "aten::linear" if the layer is exactly one call of that operator whose arguments are the
   * layer's inputs, its weights in the operator's order, and numbers; "" otherwise. */
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
  double scaling;             /* lora_alpha / r, or lora_alpha / sqrt(r) with use_rslora */
  double dropout;             /* lora_dropout; act on it only while training */
} tenon_adapter;

/* tenon_call.flags */
enum { TENON_TRAINING = 1, TENON_GRAD_ENABLED = 2 };

/* One call of forward or merged_weight. Everything in it is borrowed until the function returns. */
typedef struct tenon_call {
  uint32_t struct_size;
  uint32_t flags;
  const tenon_tensor *inputs; /* forward only */
  const tenon_tensor *weights;
  const tenon_adapter *const *adapters; /* active ones, at least one */
  uint32_t n_inputs;
  uint32_t n_weights;
  uint32_t n_adapters;
  uint32_t n_outputs;
  tenon_call_context *context; /* for tenon_host.run_base; NULL in merged_weight */
} tenon_call;

typedef struct tenon_layer_type {
  uint32_t struct_size;
  uint32_t flags;   /* none yet: 0 */
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
} tenon_layer_type;

#ifdef __cplusplus
}
#endif
