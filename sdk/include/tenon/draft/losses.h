/* Losses that [train] loss names ("acme.focal"): an extension of a plugin, which sets
 * TENON_STAMP_LOSSES in its stamp; a draft, which may still change.
 *
 * tenon_plugin.extension(TENON_LOSSES) returns a tenon_losses. Constant data, valid until exit. */
#pragma once

#include "tenon/host.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TENON_LOSSES "tenon.losses.draft/1"

/* What a loss or a metric judges, by which the host reads the target and arranges both:
 *   CLASSES  prediction (n, classes), target (n) int64; rows of the ignored class (-100) are left
 *            out, and each position of a sequence is a row
 *   NUMBERS  prediction and target of one shape, floating
 *   ANY      the model's output and the target as the data have it
 *   NONE     the model's output; there is no target */
typedef uint32_t tenon_judged;
enum {
  TENON_JUDGED_ANY = 0,
  TENON_JUDGED_CLASSES = 1,
  TENON_JUDGED_NUMBERS = 2,
  TENON_JUDGED_NONE = 3
};

/* One batch. Borrowed until the function returns. */
typedef struct tenon_loss_batch {
  uint32_t struct_size;
  uint32_t n_outputs;
  const tenon_setup *setup;    /* for tenon_host.option */
  const tenon_tensor *outputs; /* all that the model gave, in its order */
  tenon_tensor prediction;     /* the output that [train] output names, arranged */
  tenon_tensor target;         /* NULL: there is none */
  /* How much each row of the prediction counts, float64 (n); NULL: all count alike. Rows of more
   * dimensions count by the first. */
  tenon_tensor weights;
} tenon_loss_batch;

typedef struct tenon_loss {
  uint32_t struct_size;
  tenon_judged judged;
  void *user;       /* the plugin's own; the host does not look at it */
  const char *name; /* "acme.focal": as a plugin's id */
  const char *doc;  /* one sentence; may be NULL */
  /* Its keys in [train.loss_options]. */
  const tenon_option *const *options;
  uint32_t n_options;
  uint32_t reserved;

  /* Throws out options that do not fit each other, before anything runs. May be NULL.
   * [start-up thread] */
  tenon_status(TENON_ABI *validate)(const struct tenon_loss *self, const tenon_host *,
                                    const tenon_setup *, tenon_error *);

  /* Writes an owned tensor of one number: the mean over the rows as they count, differentiable in
   * the outputs. Batches of a step and of an evaluation are put together by how much is judged in
   * each. [training thread] */
  tenon_status(TENON_ABI *loss)(const struct tenon_loss *self, const tenon_host *,
                                const tenon_loss_batch *, tenon_tensor *loss_owned, tenon_error *);
} tenon_loss;

typedef struct tenon_losses {
  uint32_t struct_size;
  uint32_t n_losses;
  const tenon_loss *const *losses;
} tenon_losses;

#ifdef __cplusplus
}
#endif
