/* What a function that can fail returns, and where it says why.
 *
 * Anything but TENON_OK obliges the callee to have set a text through tenon_host.set_error, and to
 * have left its out-parameters untouched. */
#pragma once

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

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

/* The host's sink for a failure's text; borrowed for the call. May be NULL: nobody asks why. */
typedef struct tenon_error tenon_error;

#ifdef __cplusplus
}
#endif
