/* What the host offers a plugin: one table of functions, valid until exit.
 *
 * Every function may be called from any thread, during any call from the host, and copies what it
 * keeps. A failing function returns a status other than TENON_OK, sets the text in `error`, and
 * leaves its out-parameters untouched; a plugin passes such a status on, or handles it. */
#pragma once

#include "tenon/base.h"
#include "tenon/call.h"
#include "tenon/layer_type.h"
#include "tenon/parameter.h"
#include "tenon/platform.h"
#include "tenon/status.h"
#include "tenon/value.h"

#ifdef __cplusplus
extern "C" {
#endif

/* tenon_host.log levels */
typedef int32_t tenon_log_level;
enum { TENON_LOG_DEBUG = 0, TENON_LOG_INFO = 1, TENON_LOG_WARNING = 2 };

typedef struct tenon_host {
  uint32_t struct_size;
  uint32_t abi_major;
  uint32_t abi_minor;
  uint32_t reserved;
  const char *version;       /* of Tenon */
  const char *torch_version; /* of the LibTorch that runs */

  /* An addition by its string id (tenon/ext, tenon/draft), or NULL where this host has none.
   * since 1.0 */
  const void *(TENON_ABI *extension)(const char *id);

  /* Says why a function fails: call it before returning `status`. since 1.0 */
  void(TENON_ABI *set_error)(tenon_error *, tenon_status status, const char *text);

  /* One line in the program's log. `origin` is the layer type's or plugin's id. since 1.0 */
  void(TENON_ABI *log)(tenon_log_level level, const char *origin, const char *text);

  /* The value of a key of the adapter's configuration as it holds for this layer: one that its
   * method declares, or one that the layer type declares ([adapter.options]). Declared keys always
   * have a value: what the config says, else their default. Where the config names weights one by
   * one (TENON_WEIGHT_IS_TARGET), "up.r" is what the key r is for the weight `up`.
   * TENON_INVALID_ARGUMENT if there is no such key. Strings, lists and tables are valid until the
   * function that was given the setup returns. since 1.0 */
  tenon_status(TENON_ABI *option)(const tenon_setup *, const char *key, tenon_value *out,
                                  tenon_error *);

  /* Declares a parameter; *index is its place in tenon_adapter.params. since 1.0 */
  tenon_status(TENON_ABI *add_parameter)(tenon_setup *, const tenon_parameter *, uint32_t *index,
                                         tenon_error *);

  /* An attribute of the base, read off the operators that use its weights: an argument of such an
   * operator by its name in the operator's schema ("stride", "padding", "num_layers"); the first
   * operator that has it counts. Of the schema's type: int and int[] are TENON_VALUE_INT and
   * TENON_VALUE_INT_LIST, bool TENON_VALUE_BOOL, float and float[] TENON_VALUE_DOUBLE and
   * TENON_VALUE_DOUBLE_LIST, bool[] TENON_VALUE_BOOL_LIST, str TENON_VALUE_STRING, None
   * TENON_VALUE_NONE. An argument that the model leaves out has the schema's default. Also
   * "does_more", of TENON_LAYER_BESIDE. TENON_INVALID_ARGUMENT if there is none. Strings and lists
   * are valid until the function that was given the base returns. since 1.0 */
  tenon_status(TENON_ABI *attribute)(const tenon_base *, const char *name, tenon_value *out,
                                     tenon_error *);

  /* A further owned handle on the same tensor. since 1.0 */
  tenon_status(TENON_ABI *retain)(tenon_tensor borrowed, tenon_tensor *owned, tenon_error *);

  /* Gives an owned handle back; NULL is allowed. since 1.0 */
  void(TENON_ABI *release)(tenon_tensor owned);

  /* Facts of a tensor; out->struct_size is set by the caller. since 1.0 */
  tenon_status(TENON_ABI *describe)(tenon_tensor, tenon_tensor_info *out, tenon_error *);

  /* Finds an operator of LibTorch ("aten::addmm", overload "" or "out") or one of the host's own
   * ("tenon::dropout"). Costs a look-up: do it once and keep the result. since 1.0 */
  tenon_status(TENON_ABI *resolve)(const char *name, const char *overload, tenon_op **out,
                                   tenon_error *);

  /* The place of an operator's argument by its name in the schema ("alpha"), for `call`: fill the
   * places between with TENON_VALUE_DEFAULT. TENON_INVALID_ARGUMENT if there is none. since 1.0 */
  tenon_status(TENON_ABI *argument_index)(const tenon_op *, const char *name, uint32_t *index,
                                          tenon_error *);

  /* Calls an operator with its first n arguments; the rest take their defaults, as do those given
   * as TENON_VALUE_DEFAULT. Autograd records as usual. results: m slots, the operator's results in
   * order. A tensor there is an owned handle (NULL where the operator returns none). The array of a
   * list or string belongs to the host, and so do a tensor list's handles: release_results frees
   * them; what shall live longer is retained one by one. On failure nothing is written. since 1.0
   */
  tenon_status(TENON_ABI *call)(tenon_op *, const tenon_value *args, uint32_t n,
                                tenon_value *results, uint32_t m, tenon_error *);

  /* Frees all that one `call` wrote to `results`: tensors, lists, strings; the slots become
   * TENON_VALUE_NONE. Not needed where every result is a single tensor or number and the tensors
   * were released or given away one by one. since 1.0 */
  void(TENON_ABI *release_results)(tenon_value *results, uint32_t m);

  /* Runs the frozen base of the call: on the call's inputs (inputs NULL) or others, with some of
   * its weights replaced (by their numbers in tenon_base.weights). Writes n_outputs owned tensors.
   * `may_overwrite` (may be NULL) is set to 1 for each output that nothing else holds and no
   * gradient needs, so that it may be written in place. Without a context, in merged_weight,
   * TENON_INVALID_ARGUMENT. since 1.0 */
  tenon_status(TENON_ABI *run_base)(tenon_call_context *, const tenon_tensor *inputs,
                                    uint32_t n_inputs, const uint32_t *replaced,
                                    const tenon_tensor *replacements, uint32_t n_replaced,
                                    tenon_tensor *outputs_owned, int32_t *may_overwrite,
                                    uint32_t n_outputs, tenon_error *);

  /* Switches gradient recording for the calling thread; *previous gets the old state. Restore it
   * before returning. since 1.0 */
  tenon_status(TENON_ABI *set_grad_enabled)(int32_t enabled, int32_t *previous, tenon_error *);
} tenon_host;

#ifdef __cplusplus
}
#endif
