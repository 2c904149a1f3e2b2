/* The table of what a plugin offers. It exports two symbols and nothing else:
 *
 *   tenon_plugin_v1  this table
 *   tenon_stamp_v1   the facts that the host reads from the file before it opens it (stamp.h)
 *
 * Both are constant data: no static constructor runs, no function is called to register anything.
 * A library is loaded once, never unloaded before exit, and registered whole or not at all. */
#pragma once

#include "tenon/host.h"
#include "tenon/layer_type.h"
#include "tenon/method.h"
#include "tenon/stamp.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tenon_plugin {
  uint32_t struct_size;
  uint32_t abi_major;
  uint32_t abi_minor;      /* of the SDK that it was built with */
  uint32_t min_host_minor; /* of the oldest host that it runs in, which has all that it uses */
  void *user;              /* the plugin's own; the host does not look at it */
  /* "acme.lstm": lower case letters and digits, joined by . - or _, one dot at least; unique; 63
   * bytes at most. The same as the stamp's, and so is the version. */
  const char *id;
  const char *version;
  const char *vendor;  /* may be NULL */
  const char *license; /* SPDX; may be NULL */
  const char *compiler;
  const char *sdk_version;
  uint32_t n_layer_types;
  uint32_t n_methods;
  const tenon_layer_type *const *layer_types;
  const tenon_method *const *methods;

  /* Called once after loading, before anything else; a failure refuses the plugin. May be NULL.
   * [start-up thread] since 1.0 */
  tenon_status(TENON_ABI *init)(const struct tenon_plugin *self, const tenon_host *, tenon_error *);

  /* Later additions by name: constant data, valid until exit, or NULL for what it does not know.
   * May be NULL. [any thread] since 1.0 */
  const void *(TENON_ABI *extension)(const struct tenon_plugin *self, const char *id);
} tenon_plugin;

extern TENON_EXPORT const tenon_plugin tenon_plugin_v1;

#ifdef __cplusplus
}
#endif
