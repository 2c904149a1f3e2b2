/* Functions with a gradient of the plugin's own: the plugin computes forward and backward, the host
 * records them.
 *
 *   const tenon_autograd *autograd = host->extension(TENON_AUTOGRAD);   NULL: this host has none
 *
 * A call of `apply` runs `forward` at once and, where a gradient is needed, keeps what forward
 * saved until `backward` is asked for, which may be later, on another thread, several times or
 * never. A backward that calls differentiable operators has a gradient itself. */
#pragma once

#include <stddef.h>

#include "tenon/platform.h"
#include "tenon/status.h"
#include "tenon/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

struct tenon_host;

#define TENON_AUTOGRAD "tenon.autograd/1"

/* One function; constant data of the plugin, valid until exit. */
typedef struct tenon_function {
  uint32_t struct_size;
  uint32_t n_outputs;
  uint32_t n_saved; /* tensors that forward keeps for backward */
  uint32_t reserved;
  void *user;       /* the plugin's own; the host does not look at it */
  const char *name; /* "acme.square": in errors */

  /* Writes n_outputs owned tensors, and n_saved owned tensors: inputs or outputs (retained) or
   * others; NULL for none. `context` is a copy of what apply was given. Nothing is recorded while
   * it runs. [thread of apply] since 1.0 */
  tenon_status(TENON_ABI *forward)(const struct tenon_function *self, const struct tenon_host *,
                                   const void *context, const tenon_tensor *inputs,
                                   uint32_t n_inputs, tenon_tensor *outputs_owned,
                                   tenon_tensor *saved_owned, tenon_error *);

  /* Writes one owned gradient for each input whose `needed` is 1; one that stays NULL is zero, and
   * so are those of the others. A gradient of an output that nothing depends on is NULL.
   * [any thread] since 1.0 */
  tenon_status(TENON_ABI *backward)(const struct tenon_function *self, const struct tenon_host *,
                                    const void *context, const tenon_tensor *saved,
                                    const tenon_tensor *gradients, const uint8_t *needed,
                                    tenon_tensor *input_gradients_owned, uint32_t n_inputs,
                                    tenon_error *);
} tenon_function;

typedef struct tenon_autograd {
  uint32_t struct_size;
  uint32_t reserved;

  /* Runs a function and records it. `context`: n_bytes of plain data (a scale, a flag), copied,
   * and aligned to 8 bytes where it is handed back. Writes n_outputs owned tensors. A failure of
   * forward is passed on; one of backward fails the whole backward pass with its text. [any thread]
   * since 1.0 */
  tenon_status(TENON_ABI *apply)(const tenon_function *, const void *context, size_t n_bytes,
                                 const tenon_tensor *inputs, uint32_t n_inputs,
                                 tenon_tensor *outputs_owned, tenon_error *);
} tenon_autograd;

#ifdef __cplusplus
}
#endif
