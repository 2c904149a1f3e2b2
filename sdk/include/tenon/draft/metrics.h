/* Metrics that [train] metrics names ("acme.balanced_error"): an extension of a plugin, which sets
 * TENON_STAMP_METRICS in its stamp; a draft, which may still change.
 *
 * tenon_plugin.extension(TENON_METRICS) returns a tenon_metrics. Constant data, valid until exit.
 * A metric is of the whole set: it is started, given all batches, and asked for its value. */
#pragma once

#include "tenon/draft/losses.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TENON_METRICS "tenon.metrics.draft/1"

/* tenon_metric.flags */
typedef uint32_t tenon_metric_flags;
enum { TENON_METRIC_GREATER_IS_BETTER = 1 };

typedef struct tenon_metric {
  uint32_t struct_size;
  tenon_metric_flags flags;
  tenon_judged judged; /* TENON_JUDGED_CLASSES or TENON_JUDGED_NUMBERS: what the loss must judge */
  uint32_t n_options;
  void *user;       /* the plugin's own; the host does not look at it */
  const char *name; /* "acme.balanced_error": as a plugin's id */
  const char *doc;  /* one sentence; may be NULL */
  /* Its keys in [train.metric_options."acme.balanced_error"]. */
  const tenon_option *const *options;

  /* What it counts in, for one evaluation, freed by release. [training thread, as all below] */
  tenon_status(TENON_ABI *start)(const struct tenon_metric *self, const tenon_host *,
                                 const tenon_setup *, void **state, tenon_error *);

  /* One batch: prediction (n, classes) and target (n) int64, or both (n, columns) of float64.
   * Gradients are off. Its memory should not grow with the rows. */
  tenon_status(TENON_ABI *add)(const struct tenon_metric *self, const tenon_host *, void *state,
                               tenon_tensor prediction, tenon_tensor target, tenon_error *);

  /* Writes the value; NaN where it is not defined. */
  tenon_status(TENON_ABI *value)(const struct tenon_metric *self, const tenon_host *, void *state,
                                 double *out, tenon_error *);

  /* Of every state that start gave. */
  void(TENON_ABI *release)(const struct tenon_metric *self, const tenon_host *, void *state);
} tenon_metric;

typedef struct tenon_metrics {
  uint32_t struct_size;
  uint32_t n_metrics;
  const tenon_metric *const *metrics;
} tenon_metrics;

#ifdef __cplusplus
}
#endif
