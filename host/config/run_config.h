#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "config/adapter_config.h"
#include "config/train_config.h"

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
  // float32 float64 bfloat16 float16; "none": a program's own, a declared model's float32
  std::string dtype = "none";
  std::string device = "cpu";
  std::uint64_t seed = 0;
  std::string quantize = "none";  // int8, nf4: how the frozen weights of linear layers are kept
  ModuleRule quantize_modules;    // of these modules; unset: of every linear layer but the output
  ModuleRule quantize_exclude;    // but not of these
  bool verify = false;  // no key: whether the checksums of `path` are checked, as the command says
  std::string location;
};

struct PluginsConfig {
  std::vector<std::filesystem::path> directories;
  std::vector<std::filesystem::path> files;
  std::map<std::string, std::string> prefer;  // "ia3:torch.nn.Linear" -> layer id
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
  // Files (safetensors, .npy, .npz, CSV) one after the other, or a folder of images. Empty: none.
  std::vector<std::filesystem::path> train;
  std::vector<std::filesystem::path> eval;
  std::optional<double> eval_fraction;  // of the training rows, held out where there is no `eval`
  std::uint64_t eval_seed = 0;
  bool stratify = false;
  std::optional<std::string> sample_weight;  // the tensor or column with a weight for each row
  std::vector<std::string> inputs;           // empty: the model's input names
  std::vector<std::string> shared;           // inputs of the model that are the same for all rows
  std::string target = "labels";
  double scale = 1.0;  // a factor on float inputs
  // Of a CSV file: its input columns are these, in this order, and no others (the training file's).
  std::optional<std::vector<std::string>> columns;
  ImageConfig images;
  std::set<std::string> explicit_keys;
  std::string location;
};

struct OutputConfig {
  std::optional<std::filesystem::path> directory;  // the adapter's folder
  std::optional<std::filesystem::path> model;      // safetensors of all weights, after `full`
  std::optional<StepInterval> save_steps;          // checkpoints while it trains
  std::optional<std::int64_t> save_total_limit;    // of checkpoints; the best and the newest stay
  std::optional<StepInterval> log_steps;
  bool log_histograms = false;                   // of the trained tensors, for TensorBoard
  std::optional<std::filesystem::path> log_dir;  // unset: the folder of the checkpoints
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
  // Every key that was given, "train.batch_size" or "adapter[0].r", as TOML text: what a run that
  // goes on compares.
  std::map<std::string, std::string> values;
};

}  // namespace tenon
