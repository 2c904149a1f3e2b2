/* A tensor that an adapter has on one layer, as the layer type declares it. */
#pragma once

#include "tenon/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

/* tenon_parameter.flags: one of the first two, and the others as wanted. */
typedef uint32_t tenon_parameter_flags;
enum {
  TENON_PARAMETER_TRAINABLE = 1, /* trained and saved */
  TENON_PARAMETER_BUFFER = 2,    /* saved, never trained, and counted as no parameter */
  /* Of dtype -1: float32 at least, also where autocast_adapter_dtype is off. */
  TENON_PARAMETER_KEEP_FP32 = 4,
  /* Of a buffer: it is not in the adapter's file. It is made again on loading, by `init` and
   * initialise, which must not draw it from the host's generator (but see draft/generators.h). */
  TENON_PARAMETER_NOT_SAVED = 8
};

/* The host copies all of it. */
typedef struct tenon_parameter {
  uint32_t struct_size;
  tenon_parameter_flags flags;
  /* As on disk behind the module's path: "lora_A.weight". Parts joined by single dots, of printable
   * ASCII without blanks, quotes and slashes; 255 bytes at most. */
  const char *name;
  const int64_t *shape; /* sizes from 0 up */
  uint32_t ndim;
  tenon_dtype dtype; /* -1: the adapter's own (float32 unless the base is wider) */
  /* How it starts, drawn from the host's seeded generator:
   *   "zeros"            "ones"
   *   "constant"         init_a everywhere
   *   "normal"           mean init_a, standard deviation init_b
   *   "uniform"          from init_a to init_b
   *   "kaiming_uniform"  torch.nn.init.kaiming_uniform_ with a = init_a, fan_in mode */
  const char *init;
  double init_a;
  double init_b;
  /* NULL: this layer's own. Else the parameter belongs to the adapter as a whole: all layers that
   * declare one of this key (a name as above) share one tensor, on disk "base_model." and the key
   * ("vera_A"). It gets the largest size that any layer asks for in each dimension, known only once
   * all layers have declared theirs: a layer takes its part of it (aten::narrow) in each call.
   * `init`, dtype and flags must be the same everywhere; what initialise gives for it counts in the
   * first layer only. */
  const char *shared_key;
} tenon_parameter;

#ifdef __cplusplus
}
#endif
