#include "capture/model_runner.h"

#include <ATen/ATen.h>

#include "base/error.h"

namespace tenon {
namespace {

std::vector<at::Tensor> copies(const std::vector<at::Tensor>& inputs) {
  std::vector<at::Tensor> result;
  result.reserve(inputs.size());
  for (const at::Tensor& input : inputs) result.push_back(input.detach().clone());
  return result;
}

[[noreturn]] void fail(const std::string& why) {
  throw Error({.stage = Stage::kModel,
               .message = "the model's own forward fails on the example inputs: " +
                          why.substr(0, why.find('\n')),
               .hint = "give examples that the model itself takes, as many tensors as its forward "
                       "has parameters, with the sizes and types of real ones"});
}

}  // namespace

Recording ModelRunner::record_example(const std::vector<at::Tensor>& inputs) {
  try {
    return record(inputs);
  } catch (const Error&) {
    throw;
  } catch (const c10::Error& failure) {
    fail(failure.what_without_backtrace());
  } catch (const std::exception& failure) {
    fail(failure.what());
  }
}

Recording ModelRunner::record(const std::vector<at::Tensor>& inputs) {
  state_.reset();
  return tenon::record(model_.forward, copies(inputs), tensors_);
}

bool ModelRunner::accepts(const std::vector<at::Tensor>& inputs) {
  state_.reset();
  try {
    model_.forward(copies(inputs));
    return true;
  } catch (const std::exception&) {
    return false;
  }
}

}  // namespace tenon
