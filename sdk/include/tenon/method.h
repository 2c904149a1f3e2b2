/* What one method of adapting is, beside the layer types that carry it out: the name that a config
 * says, PEFT's name for it, its keys, and how its adapters scale.
 *
 * A layer type names its method; the method may come from the same plugin or from another. The keys
 * of a method stand in [adapter] beside the host's own (target_modules, modules_to_save, ...) and
 * in adapter_config.json under the same names, so that PEFT reads what Tenon saved and the other
 * way round. */
#pragma once

#include "tenon/layer.h"
#include "tenon/option.h"
#include "tenon/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* tenon_method.flags */
enum {
  TENON_METHOD_EXCLUDES =
      1 /* PEFT's config of it has `exclude_modules`: written even where unset */
};

typedef struct tenon_method {
  uint32_t struct_size;
  uint32_t flags;
  const char *name;      /* "ia3": [adapter] method */
  const char *peft_type; /* "IA3"; NULL: PEFT has no such method, and cannot load its adapters */
  const char *doc;       /* one sentence */
  /* How many adapters of this method may be active on a model at once; 0: any number. */
  uint32_t max_active;
  /* Its keys in [adapter] and adapter_config.json. No key of the host's own may be among them. */
  uint32_t n_keys;
  const tenon_option *const *keys;

  /* Writes what tenon_adapter.scaling is for one layer. NULL: adapters of this method do not scale;
   * it is 1, and rescaling one is refused.
   * [injection thread; after validate, before add_adapter] since 0.2 */
  tenon_status (*scaling)(const struct tenon_host *, const tenon_base *, const tenon_setup *,
                          double *out, tenon_error *);
} tenon_method;

#ifdef __cplusplus
}
#endif
