#include "app/new_objective_plugin.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>

#include <algorithm>
#include <cctype>
#include <tenon/cpp/names.hpp>

#include "app/project_files.h"
#include "app/sdk_folder.h"
#include "base/error.h"
#include "model/tensor_file.h"

namespace tenon {
namespace fs = std::filesystem;
namespace {

constexpr const char* kLossSource =
    R"(// A loss as a Tenon plugin: `[train] loss = "@ID@"` in a config trains by it.
#include <tenon/sdk.hpp>

namespace {

using tenon::Operator;
using tenon::Tensor;

// <- Your own loss. The prediction is (n, classes) and the target (n) int64, without rows that are
// not judged; with TENON_JUDGED_NUMBERS both are floats of one shape.
struct @STRUCT@ : tenon::Loss<@STRUCT@> {
  static constexpr tenon::loss_type kLoss{.name = "@ID@",
                                          .judged = TENON_JUDGED_CLASSES,
                                          .doc = "Cross entropy of softened scores."};
  // Keys of [train.loss_options], checked before anything runs.
  static constexpr tenon_option kOptions[] = {tenon::option::number(
      "temperature", 1, {.minimum = 1e-6}, "What the scores are divided by.")};

  // One number, the mean over the rows, of operators that have gradients.
  static Tensor loss(const tenon::LossBatch& batch) {
    static const Operator log_softmax("aten::log_softmax", "int");
    static const Operator gather("aten::gather");
    static const Operator sum("aten::sum");
    static const Operator mean("aten::mean");
    const Tensor scores = batch.prediction() * (1 / batch.option<double>("temperature"));
    const Tensor rows = tenon::reshape(batch.target(), {-1, 1});
    const Tensor each =
        tenon::reshape(gather(log_softmax(scores, 1), 1, rows), {-1}) * -1.0;
    const Tensor weights = batch.weights();  // of [data] sample_weight, or empty
    if (!weights) return mean(each);
    const Tensor counted = tenon::to_dtype(weights, each.dtype());
    return sum(each * counted) / sum(counted);
  }
};

}  // namespace

TENON_PLUGIN("@ID@", "0.1.0", @STRUCT@)
)";

constexpr const char* kMetricSource =
    R"(// A metric as a Tenon plugin: `[train] metrics = ["@ID@"]` in a config measures it.
#include <cstddef>
#include <limits>
#include <tenon/sdk.hpp>

namespace {

using tenon::Operator;
using tenon::Tensor;

// <- Your own metric. An object is what one evaluation counts in; a batch is scores (n, classes) and
// classes (n) int64, or with TENON_JUDGED_NUMBERS two (n, columns) of float64.
class @STRUCT@ : public tenon::Metric<@STRUCT@> {
 public:
  static constexpr tenon::metric_type kMetric{.name = "@ID@",
                                              .judged = TENON_JUDGED_CLASSES,
                                              .doc = "The share of wrong answers.",
                                              .greater_is_better = false};

  explicit @STRUCT@(const tenon::LossOptions&) {}

  void add(const Tensor& scores, const Tensor& truth) {
    static const Operator argmax("aten::argmax");
    const auto said = tenon::numbers_of<std::int64_t>(argmax(scores, 1));
    const auto right = tenon::numbers_of<std::int64_t>(truth);
    for (std::size_t i = 0; i < said.size(); ++i) wrong_ += said[i] == right[i] ? 0 : 1;
    rows_ += static_cast<double>(said.size());
  }

  double value() const {
    return rows_ > 0 ? wrong_ / rows_ : std::numeric_limits<double>::quiet_NaN();
  }

 private:
  double wrong_ = 0;
  double rows_ = 0;
};

}  // namespace

TENON_PLUGIN("@ID@", "0.1.0", @STRUCT@)
)";

constexpr const char* kObjectiveCmakeLists = R"(cmake_minimum_required(VERSION 3.25)
project(@NAME@ LANGUAGES CXX)
find_package(tenon-sdk REQUIRED)
tenon_add_plugin(@NAME@ @NAME@.cpp)
)";

constexpr const char* kObjectiveTry = R"(# Trains a small adapter with @ID@:
#
#     tenon run try.toml --plugin-dir .

[model]
name = "Trial"

[[model.layers]]
name = "layer"
type = "Linear"
in_features = 8
out_features = 3

[adapter]
target_modules = ["layer"]
r = 2

[data]
train = "train.safetensors"
eval = "eval.safetensors"

[train]
@KEYS@
learning_rate = 0.02
epochs = 5
batch_size = 16

[output]
directory = "adapter"
force = true  # each run replaces it
)";

constexpr const char* kObjectiveReadme = R"(# @ID@

A Tenon plugin with a @KIND@, in `@NAME@.cpp`.

## Build
With one compiler call; LibTorch is not needed:

    c++ -std=c++20 -O2 -shared -fPIC -fvisibility=hidden -I @INCLUDE@ @NAME@.cpp -o @NAME@.so

or with CMake, `@PREFIX@` being where Tenon is installed:

    cmake -S . -B build -D CMAKE_PREFIX_PATH=@PREFIX@
    cmake --build build

## Check
    tenon plugin check @NAME@.so

tries it by every rule that the host relies on@CHECKED@.

## Try
    tenon run try.toml --plugin-dir .     # trains a small adapter, and evaluates it before and after

## Use
    tenon plugin install @NAME@.so

From then on every config may say `@USE@` in its `[train]`.
)";

// "acme.soft-focal" -> "SoftFocal".
std::string struct_name(const std::string& id) {
  std::string name;
  bool starts = true;
  for (const char c : id.substr(id.find('.') + 1)) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte) == 0) {
      starts = true;
      continue;
    }
    name += starts ? static_cast<char>(std::toupper(byte)) : c;
    starts = false;
  }
  return std::isdigit(static_cast<unsigned char>(name.front())) != 0 ? "Own" + name : name;
}

void write_rows(const fs::path& file, std::uint64_t seed) {
  const at::Generator drawn = at::make_generator<at::CPUGeneratorImpl>(seed);
  const at::Tensor x = at::randn({96, 8}, drawn);
  const at::Tensor labels = x.slice(1, 0, 3).argmax(1);
  write_tensor_file(file, {{"input", x}, {"labels", labels}});
}

}  // namespace

std::vector<std::string> write_new_objective_plugin(const fs::path& folder, Objective objective,
                                                    const std::string& name) {
  if (!names::is_id(name.c_str())) {
    throw Error({.stage = Stage::kCommandLine,
                 .message = "`" + name + "` is no name for a loss or a metric",
                 .hint = "write who makes it and what it is, in lower case: acme.focal"});
  }
  const bool is_loss = objective == Objective::kLoss;
  std::string file = name.substr(name.find('.') + 1);
  std::ranges::replace_if(
      file, [](unsigned char c) { return std::isalnum(c) == 0; }, '_');
  const fs::path include = sdk_folder();
  const std::string use = is_loss ? "loss = \"" + name + "\"" : "metrics = [\"" + name + "\"]";
  const ProjectFiles files{{file + ".cpp", is_loss ? kLossSource : kMetricSource},
                           {"CMakeLists.txt", kObjectiveCmakeLists},
                           {"try.toml", kObjectiveTry},
                           {"README.md", kObjectiveReadme}};
  write_project(folder, files,
                {{"ID", name},
                 {"NAME", file},
                 {"STRUCT", struct_name(name)},
                 {"KIND", is_loss ? "loss" : "metric"},
                 {"CHECKED", is_loss ? ": its gradient, the mean, weights of rows" : ""},
                 {"USE", use},
                 {"KEYS", is_loss ? use : "loss = \"cross_entropy\"\n" + use},
                 {"INCLUDE", include.string()},
                 {"PREFIX", include.parent_path().string()}});
  std::vector<std::string> written;
  for (const auto& [path, text] : files) written.push_back(path);
  for (const auto& [path, seed] : {std::pair("train.safetensors", 1), {"eval.safetensors", 2}}) {
    write_rows(folder / path, static_cast<std::uint64_t>(seed));
    written.emplace_back(path);
  }
  return written;
}

}  // namespace tenon
