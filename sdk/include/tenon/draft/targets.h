/* The layers that a method adapts where a config does not name any, by the type of model: an
 * extension of a method; a draft, which may still change.
 *
 * tenon_method.extension(TENON_TARGETS) returns a tenon_targets, or NULL: target_modules must be
 * given. Constant data, valid until exit. */
#pragma once

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TENON_TARGETS "tenon.targets.draft/1"

/* One type of model, as transformers' configs name it. 32 bytes, and so for ever. */
typedef struct tenon_target {
  const char *model_type;   /* "bert" */
  const char *const *names; /* ends of module names, as a list of target_modules: "query" */
  const char *expression;   /* in place of names: a regular expression; NULL: names */
  uint32_t n_names;
  uint32_t reserved;
} tenon_target;

typedef struct tenon_targets {
  uint32_t struct_size;
  uint32_t n_targets;
  const tenon_target *targets;
} tenon_targets;

#ifdef __cplusplus
}
#endif
