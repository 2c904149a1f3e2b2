/* A key that a method declares for [adapter] and adapter_config.json, or a layer type for
 * [adapter.options], so that a config can set it.
 *
 * The host validates what the user wrote like its own keys (type, range, choices; file, line,
 * column and the nearest name), fills in the default, records it with the adapter, and answers
 * tenon_host.option with the result. `tenon plugins --load --json` shows it. All of it is constant
 * data, valid until exit. */
#pragma once

#include "tenon/value.h"

#ifdef __cplusplus
extern "C" {
#endif

/* tenon_option.types: what it may be, one or several ("true, or the name of a start" is BOOL and
 * STRING). An integer is taken where only a number is asked for. */
typedef uint32_t tenon_option_types;
enum {
  TENON_OPTION_BOOL = 1,
  TENON_OPTION_INT = 2,
  TENON_OPTION_DOUBLE = 4,
  TENON_OPTION_STRING = 8,
  TENON_OPTION_BOOL_LIST = 16,
  TENON_OPTION_INT_LIST = 32,
  TENON_OPTION_DOUBLE_LIST = 64,
  TENON_OPTION_STRING_LIST = 128,
  /* A table of its own keys, `fields`: each completed and checked like a key. Stands alone. */
  TENON_OPTION_TABLE = 256,
  /* A table of module names or expressions, each with a value of `fields[0]`'s types, in the order
   * of the file. Stands alone. */
  TENON_OPTION_PATTERNS = 512,
  /* A rule over modules as target_modules is one: a regular expression, or a list of names. Each
   * layer sees a TENON_VALUE_BOOL: whether the rule means it. An entry that means no targeted layer
   * is an error. The default is TENON_VALUE_NONE: no module. Stands alone. */
  TENON_OPTION_MODULES = 1024
};

/* tenon_option.flags */
typedef uint32_t tenon_option_flags;
enum {
  TENON_OPTION_REQUIRED = 1, /* leaving it out is an error; `initial` is not used */
  TENON_OPTION_NULLABLE = 2, /* may be absent (JSON's null): the layer then sees TENON_VALUE_NONE */
  /* Where it is not `initial`, a layer type of the method that does not read it is refused: it does
   * not have what the key asks for. since 1.0 */
  TENON_OPTION_HEEDED = 4,
  /* Stands in PEFT's config, and the method does not have it: what is on is refused, and `help`
   * says what it would be. since 1.0 */
  TENON_OPTION_UNSUPPORTED = 8,
  /* Stands in PEFT's config and has no effect: any value is read from a saved adapter, `initial` is
   * written; no config may set it. since 1.0 */
  TENON_OPTION_UNUSED = 16,
  /* Says how an adapter starts and no more: of a saved one it is not read. since 1.0 */
  TENON_OPTION_OF_START = 32,
  /* May be set anew where a saved adapter is trained on. since 1.0 */
  TENON_OPTION_CHANGEABLE = 64
};

typedef struct tenon_option {
  uint32_t struct_size;
  tenon_option_flags flags;
  const char *key; /* "feedforward_modules": letters, digits and _, a letter first, as written */
  tenon_option_types types;
  uint32_t n_choices;
  tenon_value initial; /* its value where the config says nothing; of a table: TENON_VALUE_NONE */
  /* Of numbers, and of each item of a list of numbers, both ends included: a TENON_VALUE_INT or
   * TENON_VALUE_DOUBLE; TENON_VALUE_NONE: any. */
  tenon_value minimum;
  tenon_value maximum;
  const char *const *choices; /* of strings, and of each item of a list of them; none: any */
  const char *help;           /* one sentence; may be NULL */
  /* A table of the config beside this key ("rank_pattern" beside "r"): names or expressions of
   * modules, each with a value of this option in their layers; the first that matches wins. NULL:
   * it is the same in all layers. */
  const char *pattern_key;
  const char *const *former_keys; /* names that it had: read, and written under `key` */
  uint32_t n_former_keys;
  uint32_t n_fields;
  const struct tenon_option *const *fields;
} tenon_option;

#ifdef __cplusplus
}
#endif
