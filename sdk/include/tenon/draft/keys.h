/* A method whose keys have rules among them, or values that stand for others: an extension of a
 * method; a draft, which may still change.
 *
 * tenon_method.extension(TENON_KEYS) returns a tenon_keys_rules, or NULL: each key stands for
 * itself. */
#pragma once

#include "tenon/method.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TENON_KEYS "tenon.keys.draft/1"

typedef struct tenon_keys tenon_keys; /* the keys of one adapter, while they are settled */

typedef struct tenon_keys_rules {
  uint32_t struct_size;
  uint32_t reserved;

  /* After each key has been held to its declaration: what does not go together is refused, and a
   * value may be replaced, by tenon_keys_host. `values` are for tenon_host.option; `saved`: not 0
   * where the keys are those of a saved adapter, of which no more is asked than that it runs as it
   * was trained. [injection thread; several times for an adapter] */
  tenon_status(TENON_ABI *settle)(const tenon_method *self, const struct tenon_host *,
                                  const tenon_setup *values, tenon_keys *, uint32_t saved,
                                  tenon_error *);
} tenon_keys_rules;

/* tenon_host.extension(TENON_KEYS) */
typedef struct tenon_keys_host {
  uint32_t struct_size;
  uint32_t reserved;

  /* The key cannot be what it is: "cannot be true together with `use_dora`". The host tells all
   * that is refused at once, each with its place in the config. */
  tenon_status(TENON_ABI *refuse)(tenon_keys *, const char *key, const char *text, tenon_error *);

  /* Gives the key another value, one that its declaration allows; of a table that is empty, all
   * fields get their defaults. */
  tenon_status(TENON_ABI *set)(tenon_keys *, const char *key, const tenon_value *, tenon_error *);

  /* As refuse, of a word that is none of `known`: behind the text the host asks whether one of
   * those that it resembles was meant. */
  tenon_status(TENON_ABI *refuse_word)(tenon_keys *, const char *key, const char *text,
                                       const char *word, const char *const *known, uint32_t n_known,
                                       tenon_error *);
} tenon_keys_host;

#ifdef __cplusplus
}
#endif
