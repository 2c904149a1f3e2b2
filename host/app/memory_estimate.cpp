#include "app/memory_estimate.h"

#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>
#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <fstream>
#include <numeric>
#include <vector>

#include "app/run_data.h"
#include "base/error.h"
#include "config/toml_reader.h"
#include "data/batches.h"
#include "objectives/loss.h"
#include "quantize/packed_tensor.h"
#include "train/training_state.h"
#include "train/training_task.h"

namespace tenon {
namespace {

struct Usage {
  std::atomic<std::size_t> now{0};
  std::atomic<std::size_t> peak{0};

  void add(std::size_t size) { peak = std::max(peak.load(), now += size); }
  void take(std::size_t size) { now -= std::min(size, now.load()); }
};

// A deleter is given nothing but the address, and what LibTorch allocates for itself must be one
// that the usual deleter knows: so the memory is the usual, and this is where it is counted.
std::atomic<Usage*> counted_usage{nullptr};

void release_counted(void* data) {
  if (Usage* const usage = counted_usage) usage->take(::malloc_usable_size(data));
  c10::GetDefaultCPUAllocator()->raw_deleter()(data);
}

// Counts what LibTorch's tensors take while one lives; at most one at a time.
class CountedAllocations : public c10::Allocator {
 public:
  explicit CountedAllocations(Usage& usage)
      : usage_(usage), before_(c10::GetCPUAllocator()), inner_(c10::GetDefaultCPUAllocator()) {
    counted_usage = &usage;
    c10::SetCPUAllocator(this);
  }
  ~CountedAllocations() override {
    c10::SetCPUAllocator(before_);
    counted_usage = nullptr;
  }
  CountedAllocations(const CountedAllocations&) = delete;
  CountedAllocations& operator=(const CountedAllocations&) = delete;

  c10::DataPtr allocate(std::size_t size) override {
    c10::DataPtr data = inner_->allocate(size);
    if (data.get() == nullptr) return data;
    if (data.compare_exchange_deleter(inner_->raw_deleter(), &release_counted)) {
      usage_.add(::malloc_usable_size(data.get()));
    }
    return data;
  }
  c10::DeleterFnPtr raw_deleter() const override { return inner_->raw_deleter(); }
  void copy_data(void* to, const void* from, std::size_t size) const override {
    default_copy_data(to, from, size);
  }

 private:
  Usage& usage_;
  c10::Allocator* before_;
  c10::Allocator* inner_;
};

double resident_bytes() {
  std::ifstream facts("/proc/self/statm");
  double pages = 0;
  facts >> pages >> pages;
  return pages * static_cast<double>(::sysconf(_SC_PAGESIZE));
}

double bytes_of(const std::vector<at::Tensor>& tensors) {
  return std::accumulate(tensors.begin(), tensors.end(), 0.0,
                         [](double sum, const at::Tensor& tensor) {
                           return sum + static_cast<double>(stored_bytes(tensor));
                         });
}

// One forward and its gradient: what its tensors took at most. Nothing of the model stays changed.
double tensors_of_a_step(const TrainingTask& task, const Dataset& data, const TrainConfig& config,
                         std::int64_t size) {
  std::vector<std::int64_t> rows(static_cast<std::size_t>(size));
  std::iota(rows.begin(), rows.end(), 0);
  const Batch batch = take_batch(data, rows);
  std::vector<at::Tensor> buffers;
  for (const at::Tensor& buffer : task.buffers) buffers.push_back(buffer.clone());
  Usage usage;
  {
    const CountedAllocations counted(usage);
    const at::AutoGradMode with_grad(true);
    const std::vector<at::Tensor> outputs = task.forward(batch.inputs, true);
    compute_loss(LossSettings(config, task.objectives.loss(0)), outputs, batch.target,
                 batch.weights)
        .backward();
  }
  const at::NoGradGuard no_grad;
  for (const at::Tensor& parameter : task.parameters) parameter.mutable_grad() = at::Tensor();
  for (std::size_t i = 0; i < buffers.size(); ++i) task.buffers[i].copy_(buffers[i]);
  return static_cast<double>(usage.peak.load());
}

// What a batch takes grows with its rows: two small ones tell how.
double tensors_of_a_batch(const TrainingTask& task, const Dataset& data,
                          const TrainConfig& config) {
  constexpr std::int64_t kFew = 2;
  const std::int64_t wanted =
      data.is_one_batch ? data.rows : std::min(config.batch_size, data.rows);
  const bool is_fixed =
      data.is_one_batch || leaves_out_last(data, task.inputs, task.guards, wanted);
  if (is_fixed || wanted <= 2 * kFew) return tensors_of_a_step(task, data, config, wanted);
  tensors_of_a_step(task, data, config, kFew);  // what is set up once
  const double few = tensors_of_a_step(task, data, config, kFew);
  const double more = tensors_of_a_step(task, data, config, 2 * kFew);
  return few + (more - few) / kFew * static_cast<double>(wanted - kFew);
}

double moments_of(const TrainConfig& config) {
  if (config.optimizer == "sgd") return config.momentum == 0 ? 0 : 1;
  return config.amsgrad ? 3 : 2;
}

MemoryEstimate reckon(const TrainingTask& task, const Dataset& data, const TrainConfig& config,
                      const AdaptedModel& model) {
  MemoryEstimate estimate;
  std::vector<at::Tensor> base;
  for (const ModelTensor& tensor : model.base_tensors()) base.push_back(tensor.tensor);
  const double trained = bytes_of(task.parameters);
  const double batch = tensors_of_a_batch(task, data, config);
  estimate.base = bytes_of(base);
  estimate.adapters = trained;
  estimate.gradients = trained;
  estimate.moments = trained * (moments_of(config) + 1) + bytes_of(task.buffers);
  estimate.activations = std::max(0.0, batch - trained);
  // What is resident now has the base and the adapters in it, and what the trial touched.
  const double read = bytes_of(data.inputs) + (data.target ? bytes_of({*data.target}) : 0);
  estimate.others = std::max(0.0, resident_bytes() - estimate.base - estimate.adapters) + read;
  return estimate;
}

}  // namespace

std::optional<MemoryEstimate> estimate_memory(const CommandLine& line, AdaptedModel& model,
                                              const PluginRegistry& plugins, std::string& why) {
  try {
    RunConfig config = read_run_config(line.target, line.overrides, {.evaluation = true});
    if (config.train->threads > 0) at::set_num_threads(static_cast<int>(config.train->threads));
    prepare_forwards(model, *config.train);
    Objectives objectives = find_objectives(*config.train, plugins);
    const GeneratorsKept kept({});
    const TrainingData rows = training_data(config, model.model());
    const TrainingTask task = training_task(model, *config.train, std::move(objectives));
    return reckon(task, rows.train, *config.train, model);
  } catch (const Error& error) {
    why = error.what();
  } catch (const std::exception& error) {
    why = error.what();
  }
  return std::nullopt;
}

std::string memory_text(const MemoryEstimate& estimate) {
  const auto megabytes = [](double bytes) {
    return std::to_string(static_cast<std::int64_t>(std::ceil(bytes / (1 << 20))));
  };
  return "about " + megabytes(estimate.total()) + " MB of memory at the peak of a training: base " +
         megabytes(estimate.base) + ", adapters " + megabytes(estimate.adapters) + ", gradients " +
         megabytes(estimate.gradients) + ", moments and the last good state " +
         megabytes(estimate.moments) + ", activations of a batch " +
         megabytes(estimate.activations) + ", the program and its data " +
         megabytes(estimate.others);
}

}  // namespace tenon
