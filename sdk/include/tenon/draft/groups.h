/* What an optimizer that treats parameters differently (LoRA+, LoRA-FA) must know of each: an
 * extension of a layer type; a draft, which may still change.
 *
 * tenon_layer_type.extension(TENON_GROUPS) returns a tenon_groups, or NULL: then every parameter is
 * of the ordinary group, but one of one dimension, which is of the fast one, and biases, by name,
 * do not decay. */
#pragma once

#include "tenon/layer_type.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TENON_GROUPS "tenon.groups.draft/1"

/* What configs call in [train] what the host does with the groups of any method, by PEFT's names.
 */
#define TENON_TRAIN_FAST_RATIO "loraplus_lr_ratio"         /* of TENON_GROUP_FAST */
#define TENON_TRAIN_EMBEDDING_RATE "loraplus_lr_embedding" /* of TENON_GROUP_EMBEDDING */
#define TENON_TRAIN_GROUPED_DECAY "loraplus_weight_decay"  /* of all but TENON_GROUP_NO_DECAY */
#define TENON_TRAIN_UP_ONLY "lorafa" /* the optimizer that trains second factors alone */

/* tenon_group.flags */
typedef uint32_t tenon_group_flags;
enum {
  TENON_GROUP_FAST = 1,      /* takes [train] loraplus_lr_ratio times the learning rate */
  TENON_GROUP_EMBEDDING = 2, /* takes [train] loraplus_lr_embedding */
  TENON_GROUP_NO_DECAY = 4   /* no weight decay, where the group has one of its own */
};

typedef struct tenon_group {
  uint32_t struct_size;
  tenon_group_flags flags;
  double learning_rate; /* times that of the group; the host writes 1 */
  double weight_decay;  /* times that of the group; the host writes 1 */
  /* Of a second factor B (out, r) of an update W + s B A: the number of A among the parameters,
   * which LoRA-FA freezes; the host writes -1: it is none. */
  int32_t down;
  int32_t reserved;
} tenon_group;

typedef struct tenon_groups {
  uint32_t struct_size;
  uint32_t reserved;

  /* Of one parameter, by its number. The host has filled *out with an ordinary one.
   * [injection thread; after add_adapter] */
  tenon_status(TENON_ABI *group)(const tenon_layer_type *self, const struct tenon_host *,
                                 const tenon_base *, const tenon_setup *, uint32_t parameter,
                                 tenon_group *out, tenon_error *);
} tenon_groups;

#ifdef __cplusplus
}
#endif
