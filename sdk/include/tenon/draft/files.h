/* A method whose adapters are written otherwise than they are trained: parameters of other sizes
 * (pruned ranks), keys that training has worked out. An extension of a method; a draft, which may
 * still change.
 *
 * tenon_method.extension(TENON_FILES) returns a tenon_files, or NULL: what was trained is written
 * as it is. What is written must be what its keys say: on loading, add_adapter declares the
 * parameters by the keys of the file. */
#pragma once

#include "tenon/draft/training.h"
#include "tenon/method.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TENON_FILES "tenon.files.draft/1"

typedef struct tenon_file tenon_file; /* an adapter that is about to be written */

typedef struct tenon_files {
  uint32_t struct_size;
  uint32_t reserved;

  /* Before an adapter is written, at the end of a training and in checkpoints. Gradients are not
   * there, and nothing of the adapter may be changed. A failure fails the saving.
   * [training thread] */
  tenon_status(TENON_ABI *save)(const tenon_method *self, const struct tenon_host *,
                                const tenon_training_layer *const *layers, uint32_t n_layers,
                                tenon_file *, tenon_error *);
} tenon_files;

/* tenon_host.extension(TENON_FILES) */
typedef struct tenon_files_host {
  uint32_t struct_size;
  uint32_t reserved;

  /* A key of the method as the file is to have it, or a table of patterns beside one. */
  tenon_status(TENON_ABI *set_key)(tenon_file *, const char *key, const tenon_value *,
                                   tenon_error *);

  /* A parameter of a layer, by their numbers, as the file is to have it. The host keeps the tensor
   * until it is written. */
  tenon_status(TENON_ABI *set_parameter)(tenon_file *, uint32_t layer, uint32_t parameter,
                                         tenon_tensor, tenon_error *);
} tenon_files_host;

#ifdef __cplusplus
}
#endif
