/* An option that a layer type or a method declares, so that a config can set it.
 *
 * The host validates what the user wrote like its own keys (type, range, choices; file, line,
 * column and the nearest name), fills in the default, records it with the adapter, and answers
 * tenon_host.option with the result. `tenon plugins --load --json` shows it. All of it is constant
 * data.
 */
#pragma once

#include "tenon/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* tenon_option.type: one of TENON_TRUTH, TENON_INT, TENON_DOUBLE, TENON_STRING, TENON_TRUTH_LIST,
 * TENON_INT_LIST, TENON_DOUBLE_LIST, TENON_STRING_LIST, or: */
enum {
  /* A rule over modules as target_modules is one: a regular expression, or a list of names. Each
   * layer sees a TENON_TRUTH: whether the rule means it. An entry that means no targeted layer is
   * an error. The default is TENON_NONE: no module. since 0.2 */
  TENON_MODULES = 64
};

/* tenon_option.flags */
enum {
  TENON_OPTION_REQUIRED = 1, /* leaving it out is an error; `initial` is not used */
  TENON_OPTION_NULLABLE = 2  /* `initial` may be TENON_NONE, which the layer then sees */
};

typedef struct tenon_option {
  uint32_t struct_size;
  uint32_t flags;
  const char *key; /* "feedforward_modules": lower case, as it is written in the config */
  uint32_t type;
  uint32_t reserved;
  tenon_value initial; /* its value where the config says nothing */
  double minimum;      /* of numbers, and of each item of a list of numbers; -INFINITY: any */
  double maximum;      /* included; INFINITY: any */
  const char *choices; /* of strings: "mean;max;sum"; NULL: any */
  const char *help;    /* one sentence */
} tenon_option;

#ifdef __cplusplus
}
#endif
