/* The two symbols that a plugin exports, and nothing else.
 *
 *   tenon_plugin_v0  the table of what it offers
 *   tenon_stamp_v0   the facts that the host reads from the file before it opens it
 *
 * Both are constant data: no static constructor runs, no function is called to register anything.
 * A library is loaded once, never unloaded before exit, and registered whole or not at all. */
#pragma once

#include "tenon/host.h"
#include "tenon/layer.h"
#include "tenon/method.h"
#include "tenon/types.h"
#include "tenon/version.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TENON_EXPORT __attribute__((visibility("default")))

typedef struct tenon_plugin {
  uint32_t struct_size;
  uint32_t abi_major;
  uint32_t abi_minor;      /* of the SDK that it was built with */
  uint32_t min_host_minor; /* the oldest host that it runs in */
  const char *id;          /* "acme.lstm": lower case, dotted, unique */
  const char *version;     /* "1.0.0" */
  const char *vendor;      /* may be NULL */
  const char *license;     /* SPDX, may be NULL */
  const char *compiler;
  const char *sdk_version;
  uint32_t n_layer_types;
  uint32_t reserved;
  const tenon_layer_type *const *layer_types;

  /* Called once after loading, before anything else; a failure refuses the plugin. May be NULL.
   * [start-up thread] since 0.1 */
  tenon_status (*init)(const tenon_host *, tenon_error *);

  const tenon_method *const *methods; /* since 0.2 */
  uint32_t n_methods;
  uint32_t reserved2;
} tenon_plugin;

/* tenon_stamp.kind */
enum {
  TENON_STAMP_LAYERS = 1,  /* layer types */
  TENON_STAMP_METHODS = 2, /* methods */
  TENON_STAMP_MODELS = 4   /* torch::nn modules, for tenon/model_plugin.h of the host's library */
};

/* Free of pointers, in a section of its own, so that a host can read it without running anything.
 * Whoever reads it takes struct_size bytes at most; what an older SDK's stamp lacks is zero.
 *
 * A plugin that keeps to this interface runs with every LibTorch: the last three fields are empty.
 * One that includes tenon/torch/libtorch.hpp uses LibTorch's C++ interface, which no two releases
 * share: torch_version and cxx_abi then name what it was built with, and the host compares them
 * before it opens the file. tenon/torch/stable.hpp sets torch_minimum only. */
typedef struct tenon_stamp {
  char magic[8]; /* "TENONPLG" */
  uint32_t struct_size;
  uint32_t kind; /* bits of TENON_STAMP_* */
  uint32_t abi_major;
  uint32_t abi_minor;
  uint32_t min_host_minor;
  uint32_t pointer_bits;  /* 64 */
  char id[64];            /* zero-padded */
  char version[32];       /* zero-padded */
  char sdk_version[16];   /* zero-padded */
  char torch_version[32]; /* the exact LibTorch it needs; empty: none */
  char cxx_abi[32];       /* the C++ ABI it needs beside LibTorch; empty: none */
  /* since 0.2: */
  char architecture[16];  /* "x86_64", for messages: the file's own header decides */
  char torch_minimum[32]; /* the oldest LibTorch whose stable C interface it needs; empty: none */
} tenon_stamp;

#define TENON_STAMP_SECTION "tenon_stamp"
#define TENON_STAMP_MAGIC "TENONPLG"

/* The attributes stand on the declarations: clang takes the section only from there. */
extern TENON_EXPORT const tenon_plugin tenon_plugin_v0;
extern TENON_EXPORT const tenon_stamp tenon_stamp_v0 __attribute__((section(TENON_STAMP_SECTION)));

#ifdef __cplusplus
}
#endif
