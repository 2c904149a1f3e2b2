/* The facts of a plugin that a host reads from the file before it opens it. */
#pragma once

#include <stdint.h>

#include "tenon/platform.h"
#include "tenon/version.h"

#ifdef __cplusplus
extern "C" {
#endif

/* tenon_stamp.kind */
typedef uint32_t tenon_stamp_kind;
enum {
  TENON_STAMP_LAYERS = 1,  /* layer types */
  TENON_STAMP_METHODS = 2, /* methods */
  TENON_STAMP_MODELS = 4,  /* torch::nn modules, for tenon/model_plugin.h of the host's library */
  TENON_STAMP_LOSSES = 8,  /* losses (draft/losses.h) */
  TENON_STAMP_METRICS = 16 /* metrics (draft/metrics.h) */
};

/* Free of pointers, in a section of its own, so that a host can read it without running anything.
 * Whoever reads it takes struct_size bytes at most; what an older SDK's stamp lacks is zero.
 *
 * A plugin that keeps to this interface runs with every LibTorch: the last three texts are empty.
 * One that includes tenon/torch/libtorch.hpp uses LibTorch's C++ interface, which no two releases
 * share: torch_version and cxx_abi then name what it was built with, and the host compares them
 * before it opens the file. tenon/torch/stable.hpp sets torch_minimum only. */
typedef struct tenon_stamp {
  char magic[8]; /* "TENONPLG" */
  uint32_t struct_size;
  tenon_stamp_kind kind;
  uint32_t abi_major;
  uint32_t abi_minor;
  uint32_t min_host_minor;
  uint32_t pointer_bits; /* 64 */
  char id[64];           /* zero-padded, as all texts here */
  char version[32];      /* "1.0.0": three numbers, and what semver.org allows behind them */
  char sdk_version[16];
  char torch_version[32]; /* the exact LibTorch it needs; empty: none */
  char cxx_abi[32];       /* the C++ ABI it needs beside LibTorch; empty: none */
  char architecture[16];  /* "x86_64", for messages: the file's own header decides */
  char torch_minimum[32]; /* the oldest LibTorch whose stable C interface it needs; empty: none */
} tenon_stamp;

#define TENON_STAMP_MAGIC "TENONPLG"
#if defined(__APPLE__)
#define TENON_STAMP_SECTION "__DATA,tenon_stamp"
#else
#define TENON_STAMP_SECTION "tenon_stamp"
#endif

/* The attributes stand on the declaration: clang takes the section only from there. */
#if defined(_MSC_VER)
#pragma section("tenon_stamp", read)
extern __declspec(allocate("tenon_stamp")) TENON_EXPORT const tenon_stamp tenon_stamp_v1;
#else
extern TENON_EXPORT const tenon_stamp tenon_stamp_v1 __attribute__((section(TENON_STAMP_SECTION)));
#endif

#ifdef __cplusplus
}
#endif
