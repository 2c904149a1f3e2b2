// A training that stops and goes on: AdaptedModule::save_state and load_state.
//
// One archive of LibTorch's: "tensors" and "names", the tensors of every adapter by
// "<adapter>/<key>"; "optimizer", as the optimizer writes itself; "random", the state of the CPU's
// random numbers.
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Context.h>
#include <torch/optim/optimizer.h>
#include <torch/serialize/archive.h>

#include <mutex>
#include <sstream>

#include "base/file.h"
#include "base/output_file.h"
#include "library/adapted_state.h"
#include "library/guarded.h"

namespace tenon {
namespace {

using torch::serialize::InputArchive;
using torch::serialize::OutputArchive;
using Tensors = std::vector<std::pair<std::string, at::Tensor>>;

Tensors tensors_of(const AdaptedModel& model) {
  Tensors tensors;
  for (const std::string& name : model.adapter_names()) {
    for (const AddedTensor& added : model.adapter(name).tensors) {
      tensors.emplace_back(name + "/" + added.key(), added.tensor);
    }
  }
  return tensors;
}

at::Tensor random_state() {
  at::Generator generator = at::detail::getDefaultCPUGenerator();
  const std::lock_guard<std::mutex> lock(generator.mutex());
  return generator.get_state();
}

std::string bytes_of(OutputArchive& archive) {
  std::ostringstream stream;
  archive.save_to(stream);
  return std::move(stream).str();
}

// The optimizer's own, to go back to.
std::string bytes_of(const torch::optim::Optimizer& optimizer) {
  OutputArchive archive;
  optimizer.save(archive);
  return bytes_of(archive);
}

void read_from(InputArchive& archive, const std::string& bytes) {
  std::istringstream stream(bytes);
  archive.load_from(stream);
}

[[noreturn]] void fail_state(const std::string& message, const std::filesystem::path& file) {
  throw Error({.stage = Stage::kAdapter,
               .message = message,
               .hint = "load_state wants the adapters, and the kind of optimizer, that save_state "
                       "had",
               .location = file.string()});
}

}  // namespace

void AdaptedModule::save_state(const torch::optim::Optimizer& optimizer,
                               const std::filesystem::path& file) const {
  guarded(Stage::kOutput, "save the training's state", [&] {
    const at::NoGradGuard no_grad;
    const std::scoped_lock lock(state_->changes);
    OutputArchive archive;
    OutputArchive own(archive.compilation_unit());
    optimizer.save(own);
    archive.write("optimizer", own);
    c10::List<std::string> names;
    for (const auto& [name, tensor] : tensors_of(state_->model)) {
      archive.write("tensor_" + std::to_string(names.size()), tensor.detach().cpu(), true);
      names.push_back(name);
    }
    archive.write("names", c10::IValue(names));
    archive.write("random", random_state(), true);
    OutputFile output(file);
    output.write(bytes_of(archive));
    output.finish();
    output.publish();
  });
}

void AdaptedModule::load_state(torch::optim::Optimizer& optimizer,
                               const std::filesystem::path& file) {
  guarded(Stage::kAdapter, "load the training's state", [&] {
    const at::NoGradGuard no_grad;
    const std::string bytes = read_text_file(file, Stage::kAdapter);
    const std::scoped_lock lock(state_->changes);
    const Tensors wanted = tensors_of(state_->model);
    std::vector<at::Tensor> found;
    at::Tensor random;
    InputArchive archive;
    InputArchive own;
    try {
      read_from(archive, bytes);
      c10::IValue names;
      archive.read("names", names);
      std::string missing;
      const c10::List<c10::IValue> list = names.toList();
      for (std::size_t i = 0; i < std::max(wanted.size(), list.size()); ++i) {
        const std::string in_file = i < list.size() ? list.get(i).toStringRef() : "nothing";
        const std::string here = i < wanted.size() ? wanted[i].first : "nothing";
        if (in_file != here) {
          fail_state("it holds " + in_file + " where the model has " + here, file);
        }
        at::Tensor& tensor = found.emplace_back();
        archive.read("tensor_" + std::to_string(i), tensor, true);
        if (tensor.sizes() != wanted[i].second.sizes()) {
          fail_state(here + " has the sizes " + c10::str(tensor.sizes()) + " in it, and " +
                         c10::str(wanted[i].second.sizes()) + " in the model",
                     file);
        }
      }
      archive.read("random", random, true);
      archive.read("optimizer", own);
    } catch (const c10::Error& error) {
      fail_state(std::string("it is no state of a training: ") + error.what_without_backtrace(),
                 file);
    }
    const std::string before = bytes_of(optimizer);
    try {
      optimizer.load(own);
    } catch (const std::exception& error) {
      InputArchive old;
      read_from(old, before);
      optimizer.load(old);
      const auto* of_torch = dynamic_cast<const c10::Error*>(&error);
      fail_state("the optimizer does not take its state: " +
                     std::string(of_torch ? of_torch->what_without_backtrace() : error.what()),
                 file);
    }
    for (std::size_t i = 0; i < wanted.size(); ++i) at::Tensor(wanted[i].second).copy_(found[i]);
    at::Generator generator = at::detail::getDefaultCPUGenerator();
    const std::lock_guard<std::mutex> generator_lock(generator.mutex());
    generator.set_state(random);
  });
}

}  // namespace tenon
