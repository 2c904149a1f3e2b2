/* A value of one of several types: an operator's argument or result, an option, an attribute.
 *
 * Everything here is plain C11 data of fixed width. Strings are UTF-8 and end with a zero, here and
 * everywhere in this interface. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "tenon/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tenon_op tenon_op;               /* a resolved operator, valid until exit */
typedef struct tenon_generator tenon_generator; /* the host's source of random numbers */

/* What a tenon_value holds, and the member of its union that is set. */
typedef uint32_t tenon_value_tag;
enum {
  TENON_VALUE_NONE = 0,         /* Python's None: an absent optional */
  TENON_VALUE_INT = 1,          /* i; also accepted where the operator takes a Scalar or a float */
  TENON_VALUE_DOUBLE = 2,       /* d */
  TENON_VALUE_BOOL = 3,         /* i, 0 or 1 */
  TENON_VALUE_TENSOR = 4,       /* t; NULL is an undefined tensor */
  TENON_VALUE_INT_LIST = 5,     /* is, n items */
  TENON_VALUE_DOUBLE_LIST = 6,  /* ds, n items */
  TENON_VALUE_TENSOR_LIST = 7,  /* ts, n items; NULL items where the operator takes optional ones */
  TENON_VALUE_STRING = 8,       /* s, n bytes and a zero */
  TENON_VALUE_DTYPE = 9,        /* i, a tenon_dtype */
  TENON_VALUE_DEFAULT = 10,     /* the operator's own default for this argument */
  TENON_VALUE_BOOL_LIST = 11,   /* bs, n items, each 0 or 1 */
  TENON_VALUE_STRING_LIST = 12, /* ss, n items */
  TENON_VALUE_LIST = 13,        /* vs, n items: a list of Scalars, or of what may be absent */
  TENON_VALUE_GENERATOR = 14,   /* g; where the operator takes an optional Generator */
  TENON_VALUE_TABLE = 15        /* es, n entries in the order of the file: of options only */
};

/* 16 bytes, and so for ever. A device is a TENON_VALUE_STRING ("cpu", "cuda:0"), a layout or memory
 * format a TENON_VALUE_INT of c10's number.
 *
 * Given to the host, everything that a value points to is borrowed until the function returns.
 * Written by tenon_host.call, tensors in it are owned handles and lists belong to the host: see
 * there. */
typedef struct tenon_value {
  tenon_value_tag tag;
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
    const char *const *ss;
    const struct tenon_value *vs;
    const struct tenon_entry *es;
    tenon_generator *g;
  } u;
} tenon_value;

/* One entry of a table: an option with a name for each value ("encoder.*" = 4), or a nested table
 * of keys. 24 bytes, and so for ever. */
typedef struct tenon_entry {
  const char *key;
  tenon_value value;
} tenon_entry;

#ifdef __cplusplus
}
#endif
