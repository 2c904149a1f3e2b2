/* Adapters that change a weight by a product of two small matrices, W + s B A: an extension of a
 * method and of a layer type; a draft, which may still change.
 *
 * tenon_method.extension(TENON_FACTORS) returns a tenon_factors, or NULL: the host then combines
 * and compares the method's adapters by their factors, without their model.
 *
 * tenon_layer_type.extension(TENON_FACTORS) returns a tenon_layer_factors, or NULL: what the
 * layer's own parameters are, so that layers which share a weight can share one pair.
 *
 * Constant data, valid until exit. */
#pragma once

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TENON_FACTORS "tenon.factors.draft/1"

/* tenon_factor_form.flags */
typedef uint32_t tenon_factor_flags;
enum {
  /* Of weights whose rows are looked up: W (rows, size) changes by s (B A)^T. */
  TENON_FACTORS_TRANSPOSED = 1
};

/* How the parameters of one pair are called in a file, behind the layer's own name. 40 bytes, and
 * so for ever. */
typedef struct tenon_factor_form {
  const char *down;      /* A (rank, in, ...): "lora_A.weight" */
  const char *up;        /* B (out, rank, ...): "lora_B.weight" */
  const char *bias;      /* of B: the layer's bias changes by s times it; NULL: there is none */
  const char *magnitude; /* the length that each row of W + s B A is given; NULL: there is none */
  tenon_factor_flags flags;
  uint32_t reserved;
} tenon_factor_form;

/* tenon_factor_start.flags */
typedef uint32_t tenon_factor_start_flags;
enum {
  TENON_START_CHANGES_BASE = 1, /* the base keeps W - s B A, which can be made again from W */
  TENON_START_FROM_DATA = 2,    /* data_start.h makes it; layers see the key's default */
  TENON_START_OF_LAYER = 4      /* from the layer's own weight or data: no two share it */
};

/* A way for factors to start. 24 bytes, and so for ever. */
typedef struct tenon_factor_start {
  const char *name;  /* "pissa": that value of the key `start`, and each with "_" behind it */
  const char *table; /* a further key that says how: "eva_config"; NULL: there is none */
  tenon_factor_start_flags flags;
  uint32_t reserved;
} tenon_factor_start;

/* The method's keys that say what its factors are, each as declared: s is alpha / rank. */
typedef struct tenon_factor_keys {
  uint32_t struct_size;
  uint32_t n_starts;
  const char *rank;      /* an integer; with a table of patterns beside it, or without */
  const char *alpha;     /* a number, likewise */
  const char *root;      /* true: s is alpha / sqrt(rank); NULL: never */
  const char *bias;      /* true: B has a bias; NULL: never */
  const char *magnitude; /* true: there are magnitudes; NULL: never */
  const char *dropout;   /* a share of A's input that a training step drops; NULL: none */
  const char *start;     /* true, false or a string; NULL: there is one start */
  const tenon_factor_start *starts; /* those that are more than numbers drawn at random */
} tenon_factor_keys;

/* tenon_factors.flags */
typedef uint32_t tenon_factors_flags;
enum {
  /* Any change of a matrix can be written as an adapter of this method, cut to a rank: adapters of
   * other methods are converted to it. */
  TENON_FACTORS_GENERAL = 1
};

typedef struct tenon_factors {
  uint32_t struct_size;
  tenon_factors_flags flags;
  uint32_t n_forms;
  uint32_t n_converted;
  const tenon_factor_form *forms;
  const tenon_factor_keys *keys;
  /* Of a general method: what makes its adapters, in PEFT, of those of other methods, as advice to
   * a user whose method is not here: "make LoRA of it in PEFT: ..."; NULL: nothing does. */
  const char *conversion;
  const char *const *converted; /* PEFT's types that it takes: "VERA" */
} tenon_factors;

/* Of a layer type whose adapter is one pair: the base's `weight` changes by its product, and
 * nothing else changes but by the bias and the magnitude that the pair may have. */
typedef struct tenon_layer_factors {
  uint32_t struct_size;
  uint32_t reserved;
  const tenon_factor_form *form; /* one of the method's, by the names in it */
} tenon_layer_factors;

#ifdef __cplusplus
}
#endif
