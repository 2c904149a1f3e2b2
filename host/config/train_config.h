#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "config/adapter_config.h"

namespace tenon {

// How the learning rate goes over the steps. Names, defaults and meaning are those of transformers'
// functions for each type; of a type's settings the other types use none.
struct ScheduleConfig {
  std::string type = "constant";
  double warmup_steps = 0;                       // below 1: a share of all steps
  std::optional<double> num_cycles;              // 1 for cosine_with_restarts, else 0.5
  double power = 1;                              // polynomial
  double lr_end = 1e-7;                          // polynomial
  std::optional<std::int64_t> timescale;         // inverse_sqrt: the warmup's steps, or 10,000
  std::optional<double> min_lr_rate;             // cosine_with_min_lr: one of it and min_lr
  std::optional<double> min_lr;                  // and of reduce_lr_on_plateau, where it is 0
  std::int64_t num_decay_steps = 0;              // warmup_stable_decay
  std::optional<std::int64_t> num_stable_steps;  // what warmup and decay leave
  std::string warmup_type = "linear";            // linear cosine 1-sqrt
  std::string decay_type = "cosine";             // linear cosine 1-sqrt
  double min_lr_ratio = 0;
  std::string mode = "min";  // from here on reduce_lr_on_plateau: min max
  double factor = 0.1;
  std::int64_t patience = 10;
  double threshold = 1e-4;
  std::string threshold_mode = "rel";  // rel abs
  std::int64_t cooldown = 0;
  double eps = 1e-8;
};

// How often something happens.
struct StepInterval {
  double steps = 0;  // below 1: a share of all steps, rounded up
  bool per_epoch = false;
};

// What a loss asks of a target; kAny: what the data have.
enum class TargetKind { kNone, kClasses, kNumbers, kTokens, kAny };

// A loss of one of the outputs, and what changes it.
struct LossTerm {
  std::string loss = "cross_entropy";
  std::optional<std::string> output;  // that the loss sees, "output_1"; unset: the first
  double label_smoothing_factor = 0;  // cross_entropy causal_lm
  std::vector<double> class_weight;   // one for each class; empty: 1
  bool balanced_classes = false;   // class_weight = "balanced": worked out from the training rows
  std::vector<double> pos_weight;  // bce_with_logits: of the positive, one or one for each label
  std::optional<std::string> target;  // a tensor or column; unset: [data] target
  double weight = 1;                  // in the sum of several
  OptionTable loss_options;           // of a plugin's loss ("acme.focal"), as given
  std::optional<TargetKind> judges;   // of a plugin's loss, once its plugin was found
  std::string location;
};

// Names and defaults of the optimisers are torch.optim's; an unset optional takes that default. The
// first loss is its own, and mostly the only one.
struct TrainConfig : LossTerm {
  std::vector<LossTerm> other_losses;
  std::int64_t ignore_index = -100;
  std::string optimizer = "adamw";
  // An optimizer that trains the second factors of products and freezes the first.
  bool second_factors_only = false;
  double learning_rate = 1e-3;
  std::array<double, 2> betas = {0.9, 0.999};
  double eps = 1e-8;
  std::optional<double> weight_decay;  // 0.01 for adamw, else 0
  bool amsgrad = false;
  double momentum = 0;
  double dampening = 0;
  bool nesterov = false;
  bool maximize = false;
  // Parameters that learn faster (tenon/draft/groups.h): their learning rate over the others'.
  std::optional<double> fast_lr_ratio;
  double embedding_lr = 1e-6;
  double grouped_weight_decay = 0;
  ScheduleConfig schedule;
  std::optional<double> max_grad_norm;        // of the gradients of all parameters together
  std::optional<double> neftune_noise_alpha;  // noise on the input embedding's output
  std::optional<std::int64_t> epochs;         // at most one of epochs and steps; neither: one epoch
  std::optional<std::int64_t> steps;
  std::int64_t batch_size = 32;
  std::int64_t gradient_accumulation_steps = 1;  // batches whose gradients make one step
  bool shuffle = true;
  bool group_by_length = false;           // batches of like rows, cut to the longest
  std::optional<std::string> autocast;    // bfloat16 float16: forwards under autocast
  double loss_scale = 65536;              // of autocast float16, at first; 0: none
  std::int64_t loss_scale_window = 2000;  // steps without an overflow after which it is doubled
  bool deterministic = false;             // torch.use_deterministic_algorithms(True)
  std::uint64_t seed = 0;
  std::int64_t threads = 0;                     // 0: LibTorch's choice
  double ddp_timeout = 1800;                    // seconds that processes wait for each other
  ModuleRule checkpoint;                        // modules whose gradient runs them once more
  std::optional<StepInterval> eval_steps;       // evaluations while it trains
  std::vector<std::string> metrics;             // of evaluations, beside the loss
  OptionTable metric_options;                   // of those of plugins, a table each
  std::optional<std::int64_t> eval_batch_size;  // unset: batch_size
  bool load_best_model_at_end = false;
  std::string metric_for_best_model = "loss";
  std::optional<bool> greater_is_better;  // unset: not of losses and errors
  std::optional<std::int64_t> early_stopping_patience;
  double early_stopping_threshold = 0;
  bool full = false;                  // train every parameter, no adapter
  std::string batch_norm = "frozen";  // frozen train
};

}  // namespace tenon
