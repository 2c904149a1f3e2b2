/* The values that cross the boundary: status codes, strings, tensors, operator arguments.
 *
 * Everything here is plain C11 data of fixed width. Tensors are handles; strings are UTF-8. Unless
 * a function says otherwise, what a pointer points to is borrowed: valid until the call returns.
 *
 * Threads: a value belongs to the call it came with. A tensor handle may be used from any thread.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What a function returns. Anything but TENON_OK obliges the callee to have set an error text
 * through tenon_host.set_error, and to have left its out-parameters untouched. */
typedef int32_t tenon_status;
enum {
  TENON_OK = 0,
  TENON_INVALID_ARGUMENT = 1,
  TENON_UNSUPPORTED = 2, /* the layer cannot be adapted like this; the text says why */
  TENON_BAD_SHAPE = 3,
  TENON_BAD_DTYPE = 4,
  TENON_OUT_OF_MEMORY = 5,
  TENON_OPERATOR_FAILED = 6, /* LibTorch refused; the text is LibTorch's */
  TENON_WRONG_VERSION = 7,
  TENON_INTERNAL = 8
};

/* A tensor: the same pointer as LibTorch's AtenTensorHandle. Borrowed handles are the host's; owned
 * ones ("_owned") are released with tenon_host.release, or given away where a function takes them.
 */
typedef struct AtenTensorOpaque *tenon_tensor;

typedef struct tenon_error tenon_error;               /* host-owned sink for a failure's text */
typedef struct tenon_op tenon_op;                     /* a resolved operator, valid until exit */
typedef struct tenon_setup tenon_setup;               /* one adapter being added to one layer */
typedef struct tenon_call_context tenon_call_context; /* one forward of one call site */
typedef struct tenon_generator tenon_generator;       /* the host's source of random numbers */

/* A borrowed string of n bytes, not necessarily zero-terminated. */
typedef struct tenon_str {
  const char *p;
  size_t n;
} tenon_str;

/* dtypes are c10's numbers. */
enum {
  TENON_UINT8 = 0,
  TENON_INT8 = 1,
  TENON_INT16 = 2,
  TENON_INT32 = 3,
  TENON_INT64 = 4,
  TENON_FLOAT16 = 5,
  TENON_FLOAT32 = 6,
  TENON_FLOAT64 = 7,
  TENON_BOOL = 11,
  TENON_BFLOAT16 = 15
};

/* What a tenon_value holds, and the member of its union that is set. */
enum {
  TENON_NONE = 0,        /* Python's None: an absent optional */
  TENON_INT = 1,         /* i; also accepted where the operator takes a Scalar or a float */
  TENON_DOUBLE = 2,      /* d */
  TENON_TRUTH = 3,       /* i, 0 or 1 */
  TENON_TENSOR = 4,      /* t; NULL is an undefined tensor */
  TENON_INT_LIST = 5,    /* is, n items */
  TENON_DOUBLE_LIST = 6, /* ds, n items */
  TENON_TENSOR_LIST = 7, /* ts, n items; NULL items where the operator takes optional tensors */
  TENON_STRING = 8,      /* s, n bytes */
  TENON_DTYPE = 9,       /* i, c10's number */
  TENON_DEFAULT = 10,    /* the operator's own default for this argument */
  /* since 0.2: */
  TENON_TRUTH_LIST = 11,  /* bs, n items, each 0 or 1 */
  TENON_STRING_LIST = 12, /* ss, n items */
  TENON_VALUE_LIST = 13,  /* vs, n items: a list of Scalars, or of what may be absent */
  TENON_GENERATOR = 14    /* g; where the operator takes an optional Generator */
};

/* An operator's argument or result, an option, an attribute: 16 bytes, and so for ever. A device is
 * a TENON_STRING ("cpu", "cuda:0"), a layout or memory format a TENON_INT of c10's number.
 *
 * Given to the host, everything that a value points to is borrowed until the function returns.
 * Written by tenon_host.call, tensors in it are owned handles and lists belong to the host: see
 * there. */
typedef struct tenon_value {
  uint32_t tag;
  uint32_t n;
  union {
    int64_t i;
    double d;
    tenon_tensor t;
    const int64_t *is;
    const double *ds;
    const tenon_tensor *ts;
    const char *s;
    const uint8_t *bs;
    const tenon_str *ss;
    const struct tenon_value *vs;
    tenon_generator *g;
  } u;
} tenon_value;

/* What tenon_host.describe tells. The caller sets struct_size; the host fills what fits. `shape`
 * and `strides` point into the tensor: valid as long as it is, and until its next in-place resize.
 */
typedef struct tenon_tensor_info {
  uint32_t struct_size;
  uint32_t ndim;
  const int64_t *shape;
  const int64_t *strides; /* in elements */
  int32_t dtype;
  int32_t device_type; /* c10's number: 0 is the CPU */
  int32_t device_index;
  int32_t requires_grad; /* 0 or 1 */
  int64_t elements;
  const void *data; /* first element, in the device's memory; NULL if the tensor holds none */
  /* since 0.2: */
  int64_t storage_offset; /* of the first element in its storage, in elements */
  int32_t is_contiguous;  /* 0 or 1 */
  int32_t is_leaf;        /* 0 or 1: not the result of a recorded operator */
} tenon_tensor_info;

#ifdef __cplusplus
}
#endif
