/* Tensors: handles that the host or the plugin owns, and the facts of one.
 *
 * Borrowed handles are the host's, valid until the function that they were given to returns. Owned
 * ones ("_owned") are given back with tenon_host.release, or given away where a function takes
 * them. A handle may be used from any thread. */
#pragma once

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The same pointer as LibTorch's AtenTensorHandle. */
typedef struct AtenTensorOpaque *tenon_tensor;

/* c10's numbers; others than these may be met. */
typedef int32_t tenon_dtype;
enum {
  TENON_DTYPE_UINT8 = 0,
  TENON_DTYPE_INT8 = 1,
  TENON_DTYPE_INT16 = 2,
  TENON_DTYPE_INT32 = 3,
  TENON_DTYPE_INT64 = 4,
  TENON_DTYPE_FLOAT16 = 5,
  TENON_DTYPE_FLOAT32 = 6,
  TENON_DTYPE_FLOAT64 = 7,
  TENON_DTYPE_BOOL = 11,
  TENON_DTYPE_BFLOAT16 = 15
};

/* What tenon_host.describe tells. The caller sets struct_size; the host fills what fits. `shape`
 * and `strides` point into the tensor: valid as long as it is, and until its next in-place resize.
 */
typedef struct tenon_tensor_info {
  uint32_t struct_size;
  uint32_t ndim;
  const int64_t *shape;
  const int64_t *strides; /* in elements */
  tenon_dtype dtype;
  int32_t device_type; /* c10's number: 0 is the CPU */
  int32_t device_index;
  int32_t requires_grad; /* 0 or 1 */
  int64_t elements;
  const void *data;       /* first element, in the device's memory; NULL if the tensor holds none */
  int64_t storage_offset; /* of the first element in its storage, in elements */
  int32_t is_contiguous;  /* 0 or 1 */
  int32_t is_leaf;        /* 0 or 1: not the result of a recorded operator */
} tenon_tensor_info;

#ifdef __cplusplus
}
#endif
