#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "config/adapter_config.h"

// The whole config file as plain values. No behaviour; defaults are here and only here.
namespace tenon {

// One [[model.layers]] entry; `arguments` are the PyTorch constructor's keyword arguments.
struct DeclaredLayer {
  std::string name;  // dotted: "seq.0"
  std::string type;  // "Linear" or "torch.nn.Linear"
  OptionTable arguments;
  std::string location;  // "mlp.toml:12:1"
};

struct ModelConfig {
  std::optional<std::filesystem::path> path;  // a .pt2
  std::optional<std::string> plugin;          // a C++ model that a plugin offers, by its name
  OptionTable options;                        // of that model
  std::string name = "Model";                 // a declared model's root type
  std::vector<DeclaredLayer> layers;
  std::optional<std::filesystem::path> weights;  // safetensors, state_dict names
  std::string dtype = "float32";  // of a declared model: float32 float64 bfloat16 float16
  std::string device = "cpu";
  std::uint64_t seed = 0;
  bool verify = false;  // no key: whether the checksums of `path` are checked, as the command says
  std::string location;
};

struct PluginsConfig {
  std::vector<std::filesystem::path> directories;
  std::vector<std::filesystem::path> files;
  std::map<std::string, std::string> prefer;  // "lora:torch.nn.Linear" -> layer id
  std::map<std::string, std::string> sha256;  // plugin id -> hash
};

// How the images of a folder become one tensor. Unset sizes are the model's own.
struct ImageConfig {
  std::optional<std::int64_t> image_size;  // of the square that is cut out
  std::optional<std::int64_t> resize;      // of the shorter side before; unset: image_size
  std::optional<std::int64_t> channels;    // 1 (grey) or 3 (RGB)
  std::string interpolation = "bilinear";  // bilinear bicubic
  std::vector<double> mean;                // of channels from 0 to 1; empty: 0
  std::vector<double> std;                 // empty: 1
};

struct DataConfig {
  std::filesystem::path train;  // safetensors, CSV or a folder of images
  std::optional<std::filesystem::path> eval;
  std::vector<std::string> inputs;  // empty: the model's input names
  std::vector<std::string> shared;  // inputs of the model that are the same for all rows
  std::string target = "labels";
  double scale = 1.0;  // a factor on float inputs
  // Of a CSV file: its input columns are these, in this order, and no others (the training file's).
  std::optional<std::vector<std::string>> columns;
  ImageConfig images;
  std::set<std::string> given;
  std::string location;
};

// Names and defaults of the optimisers are torch.optim's; an unset optional takes that default.
struct TrainConfig {
  std::string loss = "cross_entropy";  // nll cross_entropy mse bce_with_logits causal_lm output
  std::string optimizer = "adamw";     // adamw adam sgd lorafa
  double learning_rate = 1e-3;
  std::array<double, 2> betas = {0.9, 0.999};
  double eps = 1e-8;
  std::optional<double> weight_decay;  // 0.01 for adamw, else 0
  bool amsgrad = false;
  double momentum = 0;
  double dampening = 0;
  bool nesterov = false;
  bool maximize = false;
  std::optional<double> loraplus_lr_ratio;  // LoRA+: lora_B's learning rate over the others'
  double loraplus_lr_embedding = 1e-6;
  double loraplus_weight_decay = 0;
  std::optional<std::int64_t> epochs;  // at most one of epochs and steps; neither: one epoch
  std::optional<std::int64_t> steps;
  std::int64_t batch_size = 32;
  std::int64_t gradient_accumulation_steps = 1;  // batches whose gradients make one step
  bool shuffle = true;
  bool group_by_length = false;         // batches of like rows, cut to the longest
  std::optional<std::string> autocast;  // bfloat16 float16: forwards under autocast
  std::uint64_t seed = 0;
  std::int64_t threads = 0;           // 0: LibTorch's choice
  ModuleRule checkpoint;              // modules whose gradient runs them once more
  bool full = false;                  // train every parameter, no adapter
  std::string batch_norm = "frozen";  // frozen train
  std::string location;
};

struct OutputConfig {
  std::optional<std::filesystem::path> directory;  // the adapter's folder
  std::optional<std::filesystem::path> model;      // safetensors of all weights, after `full`
  bool force = false;
};

struct RunConfig {
  std::filesystem::path file;
  ModelConfig model;
  PluginsConfig plugins;
  std::vector<AdapterConfig> adapters;
  std::optional<DataConfig> data;
  std::optional<TrainConfig> train;
  OutputConfig output;
};

}  // namespace tenon
