/* What the host offers a plugin: one table of functions, valid until exit.
 *
 * Every function may be called from any thread, during any call from the host, and copies what it
 * keeps. A failing function returns a status other than TENON_OK, sets the text in `error`, and
 * leaves its out-parameters untouched; a plugin passes such a status on, or handles it. */
#pragma once

#include "tenon/layer.h"
#include "tenon/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* tenon_host.log levels */
enum { TENON_LOG_DEBUG = 0, TENON_LOG_INFO = 1, TENON_LOG_WARNING = 2 };

typedef struct tenon_host {
  uint32_t struct_size;
  uint32_t abi_major;
  uint32_t abi_minor;
  uint32_t reserved;
  const char *version;       /* of Tenon */
  const char *torch_version; /* of the LibTorch that runs */

  /* An addition by its string id, or NULL where this host has none: TENON_AUTOGRAD
   * (tenon/autograd.h). since 0.1 */
  const void *(*extension)(const char *id);

  /* Says why a function fails: call it before returning `status`. since 0.1 */
  void (*set_error)(tenon_error *, tenon_status status, tenon_str text);

  /* One line in the program's log. `origin` is the layer type's or plugin's id. since 0.1 */
  void (*log)(int32_t level, const char *origin, tenon_str text);

  /* The value of a key of the adapter's configuration: a key of its method (for "lora": "r",
   * "lora_alpha", "lora_dropout", "use_rslora", "init_lora_weights" as a string: "default",
   * "random", "gaussian"), after patterns have been applied for this layer, or one that the layer
   * type declares ([adapter.options]). Declared keys always have a value: what the config says,
   * else their default. TENON_INVALID_ARGUMENT if there is no such key. Strings and lists are
   * valid until the function that was given the setup returns. since 0.1 */
  tenon_status (*option)(const tenon_setup *, const char *key, tenon_value *out, tenon_error *);

  /* Declares a parameter; *index is its place in tenon_adapter.params. since 0.1 */
  tenon_status (*add_parameter)(tenon_setup *, const tenon_parameter *, uint32_t *index,
                                tenon_error *);

  /* An attribute of the base, read off the operators that use its weights: an argument of such an
   * operator by its name in the operator's schema ("stride", "padding", "num_layers"); the first
   * operator that has it counts. Of the schema's type: int and int[] are TENON_INT and
   * TENON_INT_LIST, bool TENON_TRUTH, float and float[] TENON_DOUBLE and TENON_DOUBLE_LIST, bool[]
   * TENON_TRUTH_LIST, str TENON_STRING, None TENON_NONE. An argument that the model leaves out has
   * the schema's default. TENON_INVALID_ARGUMENT if there is none. Strings and lists are valid as
   * long as the base. since 0.1
   * The host's own: "does_more", true where the module does more than the operator of the type that
   * it is adapted as, such as scaling its output: what the operator alone gives is added to its
   * output, and it is never merged. Only plugins that come with Tenon are given such bases. */
  tenon_status (*attribute)(const tenon_base *, const char *name, tenon_value *out, tenon_error *);

  /* A further owned handle on the same tensor. since 0.1 */
  tenon_status (*retain)(tenon_tensor borrowed, tenon_tensor *owned, tenon_error *);

  /* Gives an owned handle back; NULL is allowed. since 0.1 */
  void (*release)(tenon_tensor owned);

  /* Facts of a tensor; out->struct_size is set by the caller. since 0.1 */
  tenon_status (*describe)(tenon_tensor, tenon_tensor_info *out, tenon_error *);

  /* Finds an operator of LibTorch ("aten::addmm", overload "" or "out") or one of the host's own
   * ("tenon::lora_linear"). Costs a look-up: do it once and keep the result. since 0.1 */
  tenon_status (*resolve)(const char *name, const char *overload, tenon_op **out, tenon_error *);

  /* Calls an operator with its first n arguments; the rest take their defaults, as do those given
   * as TENON_DEFAULT. Autograd records as usual. results: m slots, the operator's results in order.
   * A tensor there is an owned handle (NULL where the operator returns none). The array of a list
   * or string belongs to the host, and so do a tensor list's handles: release_results frees them;
   * what shall live longer is retained one by one. On failure nothing is written. since 0.1 */
  tenon_status (*call)(tenon_op *, const tenon_value *args, uint32_t n, tenon_value *results,
                       uint32_t m, tenon_error *);

  /* Frees all that one `call` wrote to `results`: tensors, lists, strings; the slots become
   * TENON_NONE. Not needed where every result is a single tensor or number and the tensors were
   * released or given away one by one. since 0.1 */
  void (*release_results)(tenon_value *results, uint32_t m);

  /* Runs the frozen base of the call: on the call's inputs (inputs NULL) or others, with some of
   * its weights replaced (by their numbers in tenon_base.weights). Writes n_outputs owned tensors.
   * `may_overwrite` (may be NULL) is set to 1 for each output that nothing else holds and no
   * gradient needs, so that it may be written in place. since 0.1 */
  tenon_status (*run_base)(tenon_call_context *, const tenon_tensor *inputs, uint32_t n_inputs,
                           const uint32_t *replaced, const tenon_tensor *replacements,
                           uint32_t n_replaced, tenon_tensor *outputs_owned, int32_t *may_overwrite,
                           uint32_t n_outputs, tenon_error *);

  /* Switches gradient recording for the calling thread; *previous gets the old state. Restore it
   * before returning. since 0.1 */
  tenon_status (*set_grad_enabled)(int32_t enabled, int32_t *previous, tenon_error *);

  /* The place of an operator's argument by its name in the schema ("alpha"), for `call`: fill the
   * places between with TENON_DEFAULT. TENON_INVALID_ARGUMENT if there is none. since 0.2 */
  tenon_status (*argument_index)(const tenon_op *, const char *name, uint32_t *index,
                                 tenon_error *);
} tenon_host;

#ifdef __cplusplus
}
#endif
