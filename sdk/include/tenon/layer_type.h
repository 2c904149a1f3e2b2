/* What one adapter layer type is: a read-only table of facts and functions, one for each pair of
 * method ("lora") and base type ("torch.nn.Linear").
 *
 * The life of a layer of this type:
 *   1. the host finds a targeted module whose type the table names;
 *   2. validate       - may this base be adapted with these options? No tensor is touched.
 *   3. add_adapter    - declares the adapter's parameters; the host allocates and starts them;
 *   4. prepare        - may make the layer's own state for this adapter: options it has read,
 *                       numbers it has worked out; handed back with every later call;
 *   5. initialise     - may start parameters from the base's weights, and change the weights that
 *                       the base has under this adapter (a residual);
 *   6. forward        - many times, in training and in inference, once for each call site;
 *   7. merged_weight  - the base weight with the adapters folded in, for merging and export;
 *   8. release        - frees the state when the adapter is deleted or the model goes.
 *
 * The first argument of each function is the table that it stands in, by the address that the
 * plugin gave: `user` is the plugin's own, for a bridge that serves many types by one function.
 *
 * The host owns every tensor that lasts: a state holds no tensor handle. Every function may be
 * called from several threads at once with different arguments. No function may let an exception
 * out, keep a borrowed pointer, or write to a borrowed tensor. */
#pragma once

#include "tenon/base.h"
#include "tenon/call.h"
#include "tenon/option.h"
#include "tenon/parameter.h"
#include "tenon/platform.h"
#include "tenon/start.h"
#include "tenon/status.h"

#ifdef __cplusplus
extern "C" {
#endif

struct tenon_host;

typedef struct tenon_setup tenon_setup; /* one adapter being added to one layer */

/* tenon_layer_type.flags */
typedef uint32_t tenon_layer_flags;
enum {
  /* forward heeds tenon_adapter.rows, so that a batch whose rows have different adapters is one
   * call. Without it, the host calls forward once for each adapter of such a batch. */
  TENON_LAYER_ROWS = 1,
  /* The outputs may have other sizes than the base's (a prompt that lengthens a sequence). Without
   * it the host refuses them. Their number, dimensions and dtype are the base's in any case. */
  TENON_LAYER_RESIZES = 2,
  /* It also takes a module that does more than the operator of the type that it is adapted as, such
   * as scaling its output: tenon_host.attribute then answers "does_more" with true, run_base runs
   * all of it, and what the operator alone would give is to be added to its output. Such a layer is
   * never merged. Without it, such modules are not adapted. */
  TENON_LAYER_BESIDE = 4
};

typedef struct tenon_layer_type {
  uint32_t struct_size;
  tenon_layer_flags flags;
  int32_t priority; /* among plugins of one place; 0 as a rule */
  uint32_t n_options;
  void *user; /* the plugin's own; the host does not look at it */
  /* "acme.lora-lstm": lower case letters and digits, joined by . - or _, one dot at least; 63 bytes
   * at most. Named by [plugins.prefer] and tenon.json. */
  const char *id;
  const char *method; /* "lora": lower case letters, digits and _, a letter first */
  /* Types that it adapts, separated by ';'. Exact ("torch.nn.LSTM"), or with a leading "*." for a
   * class of that name in any module ("*.MyScale"); exact wins. */
  const char *base_types;
  const char *title; /* as the tree prints it: "lora.LSTM"; NULL: the id */
  const char *doc;   /* one sentence; may be NULL */
  /* The layer type's own options, [adapter.options] of a config: validated, completed with their
   * defaults, and answered by tenon_host.option. */
  const tenon_option *const *options;

  /* Refuses a base that this type cannot adapt: TENON_UNSUPPORTED with the reason. May be NULL.
   * [injection thread; before add_adapter] since 1.0 */
  tenon_status(TENON_ABI *validate)(const struct tenon_layer_type *self, const struct tenon_host *,
                                    const tenon_base *, const tenon_setup *, tenon_error *);

  /* Declares the parameters through host->add_parameter, in a fixed order: one at least.
   * [injection thread; once for each adapter on each layer] since 1.0 */
  tenon_status(TENON_ABI *add_adapter)(const struct tenon_layer_type *self,
                                       const struct tenon_host *, const tenon_base *, tenon_setup *,
                                       tenon_error *);

  /* Makes the layer's own state for one adapter: *state_owned is the layer's, handed back as
   * tenon_adapter.state and given to release once. On failure nothing is kept. May be NULL.
   * [injection thread; once for each adapter on each layer, after add_adapter] since 1.0 */
  tenon_status(TENON_ABI *prepare)(const struct tenon_layer_type *self, const struct tenon_host *,
                                   const tenon_base *, const tenon_setup *, void **state_owned,
                                   tenon_error *);

  /* Frees a state. May be NULL if nothing has to be freed.
   * [any thread; after the last call with this state] since 1.0 */
  void(TENON_ABI *release)(const struct tenon_layer_type *self, const struct tenon_host *,
                           const tenon_base *, void *state);

  /* Starts parameters from the base, or gives it other weights under this adapter. Gradients are
   * off. May be NULL. [injection thread; once, after prepare; also before an adapter is loaded,
   * whose tensors then overwrite the parameters] since 1.0 */
  tenon_status(TENON_ABI *initialise)(const struct tenon_layer_type *self,
                                      const struct tenon_host *, const tenon_base *,
                                      const tenon_setup *, const tenon_start *, tenon_error *);

  /* Writes n_outputs owned tensors to outputs_owned: of the base's dimensions, dtype and sizes (but
   * see TENON_LAYER_RESIZES). NULL: the host runs the base with what merged_weight gives,
   * differentiably. One of the two must be there.
   * [any thread, several at once] since 1.0 */
  tenon_status(TENON_ABI *forward)(const struct tenon_layer_type *self, const struct tenon_host *,
                                   const tenon_base *, const tenon_call *,
                                   tenon_tensor *outputs_owned, tenon_error *);

  /* Writes weight number `weight` with all adapters folded in, of the weight's shape and dtype, to
   * *out_owned, or NULL if they do not touch that weight. There is no base to run here. Must be
   * differentiable if forward is NULL. NULL: this type cannot be merged.
   * [any thread] since 1.0 */
  tenon_status(TENON_ABI *merged_weight)(const struct tenon_layer_type *self,
                                         const struct tenon_host *, const tenon_base *,
                                         const tenon_call *, uint32_t weight,
                                         tenon_tensor *out_owned, tenon_error *);

  /* Later additions by name (tenon/ext, tenon/draft): constant data, valid until exit, or NULL for
   * what it does not know. May be NULL. [any thread] since 1.0 */
  const void *(TENON_ABI *extension)(const struct tenon_layer_type *self, const char *id);
} tenon_layer_type;

#ifdef __cplusplus
}
#endif
