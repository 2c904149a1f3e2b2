/* What one method of adapting is, beside the layer types that carry it out: the name that a config
 * says, PEFT's name for it, its keys, and how its adapters scale.
 *
 * A layer type names its method; the method may come from the same plugin or from another. The keys
 * of a method stand in [adapter] beside the host's own (target_modules, modules_to_save, ...) and
 * in adapter_config.json under the same names, so that PEFT reads what Tenon saved and the other
 * way round. */
#pragma once

#include "tenon/layer_type.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The method of a config that names none. since 1.0 */
#define TENON_DEFAULT_METHOD "lora"

/* tenon_method.flags */
typedef uint32_t tenon_method_flags;
enum {
  /* What PEFT's config of it has of the keys that choose layers, which the host reads for every
   * method: written even where unset. */
  TENON_METHOD_EXCLUDES = 1, /* exclude_modules */
  TENON_METHOD_LAYERS = 2,   /* layers_to_transform, layers_pattern */
  /* What else PEFT's config of it has of the host's own keys, and the method goes with. Of other
   * methods a config may not set them. since 1.0 */
  TENON_METHOD_BIASES = 4,     /* bias */
  TENON_METHOD_PARAMETERS = 8, /* target_parameters; of methods without it, in configs only */
  TENON_METHOD_TOKENS = 16,    /* trainable_token_indices */
  TENON_METHOD_TIES = 32       /* ensure_weight_tying */
};

typedef struct tenon_method {
  uint32_t struct_size;
  tenon_method_flags flags;
  /* How many adapters of this method may be active on a model at once; 0: any number. */
  uint32_t max_active;
  uint32_t n_keys;
  void *user; /* the plugin's own; the host does not look at it */
  /* "ia3": [adapter] method; lower case letters, digits and _, a letter first; 63 bytes at most. */
  const char *name;
  /* "IA3": upper case letters, digits and _; NULL: PEFT has no such method, and refuses its
   * adapters. */
  const char *peft_type;
  const char *doc; /* one sentence; may be NULL */
  /* Its keys in [adapter] and adapter_config.json. No key of the host's own may be among them. */
  const tenon_option *const *keys;

  /* Writes what tenon_adapter.scaling is for one layer, a finite number. NULL: adapters of this
   * method do not scale; it is 1, and rescaling one is refused.
   * [injection thread; after validate, before add_adapter] since 1.0 */
  tenon_status(TENON_ABI *scaling)(const struct tenon_method *self, const struct tenon_host *,
                                   const tenon_base *, const tenon_setup *, double *out,
                                   tenon_error *);

  /* Later additions by name; as tenon_layer_type.extension. since 1.0 */
  const void *(TENON_ABI *extension)(const struct tenon_method *self, const char *id);
} tenon_method;

#ifdef __cplusplus
}
#endif
