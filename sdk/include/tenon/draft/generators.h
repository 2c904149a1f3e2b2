/* Sources of random numbers of the plugin's own: tenon_host.extension(TENON_GENERATORS) returns a
 * tenon_generators, or NULL. A draft, which may still change.
 *
 * A generator made from a seed gives what torch.Generator("cpu").manual_seed(seed) gives:
 * parameters that PEFT draws anew from a seed on loading are drawn here too (VeRA's projections).
 */
#pragma once

#include "tenon/platform.h"
#include "tenon/status.h"
#include "tenon/value.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TENON_GENERATORS "tenon.generators.draft/1"

typedef struct tenon_generators {
  uint32_t struct_size;
  uint32_t reserved;

  /* An owned generator, for operators that draw (TENON_VALUE_GENERATOR). [any thread] */
  tenon_status(TENON_ABI *make)(uint64_t seed, tenon_generator **owned, tenon_error *);

  /* Gives it back; NULL is allowed. [any thread] */
  void(TENON_ABI *release)(tenon_generator *owned);
} tenon_generators;

#ifdef __cplusplus
}
#endif
