#include <tenon/draft/groups.h>

#include <algorithm>
#include <thread>

#include "config/loss_keys.h"
#include "config/schedule_keys.h"
#include "config/sections.h"

namespace tenon {
namespace {

void read_betas(SectionReader& section, std::array<double, 2>& betas) {
  const auto value =
      section.take("betas", "list of two numbers", default_text(betas), half_open(0, 1));
  if (!value) return;
  if (!value->is_list() || value->items().size() != betas.size()) {
    return value->fail("must be a list of two numbers");
  }
  for (std::size_t i = 0; i < betas.size(); ++i) {
    betas[i] = value->items()[i].as_number(half_open(0, 1)).value_or(betas[i]);
  }
}

struct OptimizerKey {
  const char* key;
  bool is_adams;  // of adam and adamw; else of sgd
};
constexpr OptimizerKey kOptimizerKeys[] = {{"betas", true},      {"eps", true},
                                           {"amsgrad", true},    {"momentum", false},
                                           {"dampening", false}, {"nesterov", false}};

// As torch.optim, where a keyword of another optimizer is a TypeError.
void check_optimizer(const SectionReader& section, const TrainConfig& train) {
  const bool is_adam = train.optimizer != "sgd";
  for (const OptimizerKey& known : kOptimizerKeys) {
    if (section.has(known.key) && known.is_adams != is_adam) {
      section.fail_at(known.key,
                      std::string("is a setting of ") +
                          (known.is_adams ? "adamw, adam and " TENON_TRAIN_UP_ONLY : "sgd") +
                          ", but the optimizer is " + train.optimizer);
    }
  }
  if (train.amsgrad && train.second_factors_only) {
    section.fail_at("amsgrad",
                    "is a setting of adamw and adam, but the optimizer is " TENON_TRAIN_UP_ONLY);
  }
  if (train.nesterov && !is_adam && (train.momentum <= 0 || train.dampening != 0)) {
    section.fail_at("nesterov", "needs a momentum and no dampening");
  }
}

// Groups of parameters with rates and a weight decay of their own (tenon/draft/groups.h).
void read_groups(SectionReader& section, TrainConfig& train) {
  section.number(TENON_TRAIN_FAST_RATIO, train.fast_lr_ratio, above(0));
  section.number(TENON_TRAIN_EMBEDDING_RATE, train.embedding_lr, at_least(0));
  section.number(TENON_TRAIN_GROUPED_DECAY, train.grouped_weight_decay, at_least(0));
  for (const char* key : {TENON_TRAIN_EMBEDDING_RATE, TENON_TRAIN_GROUPED_DECAY}) {
    if (section.has(key) && !train.fast_lr_ratio) {
      section.fail_at(key, "needs `train." TENON_TRAIN_FAST_RATIO "`");
    }
  }
  if (!train.fast_lr_ratio) return;
  if (section.has("weight_decay")) {
    section.fail_at("weight_decay", "has no effect with `train." TENON_TRAIN_FAST_RATIO
                                    "`; use `train." TENON_TRAIN_GROUPED_DECAY "`");
  }
  if (train.second_factors_only) {
    section.fail_at(TENON_TRAIN_FAST_RATIO,
                    "cannot be combined with `train.optimizer` = \"" TENON_TRAIN_UP_ONLY "\"");
  }
}

void read_optimizer(SectionReader& section, TrainConfig& train) {
  section.choice("optimizer", train.optimizer, {"adamw", "adam", "sgd", TENON_TRAIN_UP_ONLY});
  train.second_factors_only = train.optimizer == TENON_TRAIN_UP_ONLY;
  section.number("learning_rate", train.learning_rate, above(0));
  read_betas(section, train.betas);
  section.number("eps", train.eps, at_least(0));
  section.number("weight_decay", train.weight_decay, at_least(0));
  section.boolean("amsgrad", train.amsgrad);
  section.number("momentum", train.momentum, at_least(0));
  section.number("dampening", train.dampening);
  section.boolean("nesterov", train.nesterov);
  section.boolean("maximize", train.maximize);
  if (train.second_factors_only && !section.has("eps")) train.eps = 1e-6;
  read_groups(section, train);
  check_optimizer(section, train);
}

// Sizes beyond this would only be typing slips; their products must not overflow.
constexpr double kImageSizeEnd = 16385;

void read_images(SectionReader& section, ImageConfig& images) {
  section.integer("image_size", images.image_size, half_open(1, kImageSizeEnd));
  section.integer("resize", images.resize, half_open(1, kImageSizeEnd));
  section.integer("channels", images.channels, at_least(1));
  section.choice("interpolation", images.interpolation, {"bilinear", "bicubic"});
  section.numbers("mean", images.mean);
  section.numbers("std", images.std, above(0));
  if (images.channels && *images.channels != 1 && *images.channels != 3) {
    section.fail_at("channels", "must be 1 (grey) or 3 (RGB)");
  }
  if (images.resize && images.image_size && *images.resize < *images.image_size) {
    section.fail_at("resize", "must be at least `data.image_size`, which is cut out of it");
  }
}

// A table of options for each metric of a plugin.
void read_metric_options(SectionReader& section, OptionTable& options) {
  const auto value = section.take("metric_options", "table", "");
  if (!value) return;
  if (value->table() == nullptr) return value->fail_type("a table of options for each metric");
  for (const auto& [key, node] : *value->table()) {
    const std::string metric(key.str());
    const ConfigValue entry(section.context(), node, metric, value->name() + "." + metric);
    if (entry.table() == nullptr) {
      entry.fail_type("a table of options");
    } else if (auto table = entry.as_key()) {
      options[metric] = *std::move(table);
    }
  }
}

// transformers' names.
void read_evaluation(SectionReader& section, TrainConfig& train) {
  section.strings("metrics", train.metrics);
  read_metric_options(section, train.metric_options);
  section.step_interval("eval_steps", train.eval_steps);
  section.integer("eval_batch_size", train.eval_batch_size, at_least(1));
  section.boolean("load_best_model_at_end", train.load_best_model_at_end);
  section.string("metric_for_best_model", train.metric_for_best_model);
  section.boolean("greater_is_better", train.greater_is_better);
  section.integer("early_stopping_patience", train.early_stopping_patience, at_least(1));
  section.number("early_stopping_threshold", train.early_stopping_threshold, at_least(0));
  for (const char* key : {"load_best_model_at_end", "metric_for_best_model", "greater_is_better",
                          "early_stopping_patience", "early_stopping_threshold"}) {
    if (section.has(key) && !train.eval_steps) {
      section.fail_at(key, "needs `train.eval_steps`: evaluations while it trains");
    }
  }
  if (train.schedule.type == "reduce_lr_on_plateau" && !train.eval_steps) {
    section.fail_at("lr_scheduler_type", "needs `train.eval_steps`: it goes by the evaluations");
  }
  if (section.has("early_stopping_threshold") && !train.early_stopping_patience) {
    section.fail_at("early_stopping_threshold", "needs `train.early_stopping_patience`");
  }
}

// More than that is a slip, and takes what other programs of this machine need.
double most_threads() { return std::max(64.0, 4.0 * std::thread::hardware_concurrency()); }

}  // namespace

void read_train_section(SectionReader& section, RunConfig& config) {
  TrainConfig& train = config.train.emplace();
  read_losses(section, train);
  read_optimizer(section, train);
  read_schedule_keys(section, train);
  section.number("max_grad_norm", train.max_grad_norm, above(0));
  section.number("neftune_noise_alpha", train.neftune_noise_alpha, above(0));
  section.integer("epochs", train.epochs, at_least(1));
  section.integer("steps", train.steps, at_least(1));
  section.integer("batch_size", train.batch_size, at_least(1));
  section.integer("gradient_accumulation_steps", train.gradient_accumulation_steps, at_least(1));
  section.boolean("shuffle", train.shuffle);
  section.boolean("group_by_length", train.group_by_length);
  section.choice("autocast", train.autocast, {"bfloat16", "float16"});
  section.number("loss_scale", train.loss_scale, at_least(0));
  section.integer("loss_scale_window", train.loss_scale_window, at_least(1));
  for (const char* key : {"loss_scale", "loss_scale_window"}) {
    if (section.has(key) && train.autocast != "float16") {
      section.fail_at(key, "is for `train.autocast` = \"float16\"");
    }
  }
  section.boolean("deterministic", train.deterministic);
  section.seed("seed", train.seed);
  section.integer("threads", train.threads, half_open(0, most_threads() + 1));
  section.number("ddp_timeout", train.ddp_timeout, above(0));
  section.module_rule("checkpoint", train.checkpoint);
  read_evaluation(section, train);
  section.boolean("full", train.full);
  if (train.full && (train.second_factors_only || train.fast_lr_ratio)) {
    section.fail_at("full", "trains no adapter, so `" TENON_TRAIN_FAST_RATIO
                            "` and " TENON_TRAIN_UP_ONLY " have nothing to do");
  }
  section.choice("batch_norm", train.batch_norm, {"frozen", "train"});
  if (section.has("epochs") && section.has("steps")) {
    section.fail_at("steps", "and `train.epochs` exclude each other: give one of them");
  }
}

void read_data_section(SectionReader& section, RunConfig& config) {
  DataConfig& data = config.data.emplace();
  data.location = section.location();
  data.explicit_keys = section.explicit_keys();
  section.files("train", data.train);
  section.files("eval", data.eval);
  section.number("eval_fraction", data.eval_fraction, between(0, 1));
  section.seed("eval_seed", data.eval_seed);
  section.boolean("stratify", data.stratify);
  section.string("sample_weight", data.sample_weight);
  if (section.has("eval") && data.eval_fraction) {
    section.fail_at("eval_fraction", "and `data.eval` exclude each other: give one of them");
  }
  for (const char* key : {"eval_seed", "stratify"}) {
    if (section.has(key) && !data.eval_fraction) {
      section.fail_at(key, "needs `data.eval_fraction`");
    }
  }
  section.strings("inputs", data.inputs);
  if (section.has("inputs") && data.inputs.empty()) {
    section.fail_at("inputs", "names nothing: leave it out for the model's own names");
  }
  section.strings("shared", data.shared);
  section.string("target", data.target);
  if (data.sample_weight && *data.sample_weight == data.target) {
    section.fail_at("sample_weight", "is the target: `" + data.target + "`");
  }
  section.number("scale", data.scale);
  if (section.has("scale") && data.scale == 0) {
    section.fail_at("scale", "must not be 0: every input would be 0");
  }
  read_images(section, data.images);
  section.require("train", "the file, or the folder of images, to train on");
}

void read_output_section(SectionReader& section, RunConfig& config) {
  OutputConfig& output = config.output;
  section.path("directory", output.directory);
  section.path("model", output.model);
  section.step_interval("save_steps", output.save_steps);
  section.integer("save_total_limit", output.save_total_limit, at_least(1));
  section.step_interval("log_steps", output.log_steps);
  section.boolean("log_histograms", output.log_histograms);
  if (output.log_histograms && !output.log_steps) {
    section.fail_at("log_histograms", "needs `output.log_steps`");
  }
  section.path("log_dir", output.log_dir);
  section.boolean("force", output.force);
}

}  // namespace tenon
