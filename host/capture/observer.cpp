#include <ATen/core/grad_mode.h>
#include <ATen/record_function.h>
#include <c10/core/InferenceMode.h>
#include <c10/core/impl/LocalDispatchKeySet.h>

#include <exception>

#include "capture/recorder.h"
#include "capture/recording.h"

namespace tenon {
namespace {

// LibTorch's callbacks carry no data of their own, so the run in progress on this thread is here.
struct Run {
  Recorder& recorder;
  int depth = 0;  // of operators that call operators: the outermost is recorded
  std::exception_ptr failure;
};
thread_local Run* current_run = nullptr;

// Callbacks must not throw: LibTorch would only log it.
template <typename Step>
void guarded(Run& run, const Step& step) {
  try {
    step();
  } catch (...) {
    if (run.failure == nullptr) run.failure = std::current_exception();
  }
}

// Whether autograd records what runs now.
bool gradients_on() {
  return at::GradMode::is_enabled() && !c10::InferenceMode::is_enabled() &&
         !c10::impl::tls_is_dispatch_key_excluded(c10::DispatchKey::AutogradFunctionality);
}

std::unique_ptr<at::ObserverContext> on_start(const at::RecordFunction& function) {
  Run& run = *current_run;
  const auto name = function.operator_name();
  if (!name || run.depth++ > 0) return nullptr;  // without a name: RECORD_FUNCTION in user code
  guarded(run, [&] {
    run.recorder.begin(*function.operator_schema(), function.inputs(), gradients_on());
  });
  return nullptr;
}

void on_end(const at::RecordFunction& function, at::ObserverContext*) {
  Run& run = *current_run;
  if (!function.operator_name() || --run.depth > 0) return;
  guarded(run, [&] { run.recorder.end(function.outputs()); });
}

// Observes the operators of this thread while it lives.
class Observation {
 public:
  explicit Observation(Run& run) : outer_(current_run) {
    current_run = &run;
    handle_ = at::addThreadLocalCallback(at::RecordFunctionCallback(on_start, on_end)
                                             .needsInputs(true)
                                             .needsOutputs(true)
                                             .scopes({at::RecordScope::FUNCTION}));
  }
  ~Observation() {
    at::removeCallback(handle_);
    current_run = outer_;
  }
  Observation(const Observation&) = delete;
  Observation& operator=(const Observation&) = delete;

 private:
  Run* outer_;
  at::CallbackHandle handle_{};
};

}  // namespace

Recording record(const TensorFunction& forward, const std::vector<at::Tensor>& inputs,
                 const std::vector<ModelTensor>& tensors) {
  Recording recording;
  Recorder recorder(recording, tensors, inputs);
  Run run{recorder, 0, nullptr};
  std::vector<at::Tensor> outputs;
  {
    const Observation observation(run);
    outputs = forward(inputs);
  }
  if (run.failure != nullptr) std::rethrow_exception(run.failure);
  recorder.set_outputs(outputs);
  recorder.throw_if_any_problem();
  return recording;
}

}  // namespace tenon
