#include "train/training_state.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Context.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/from_blob.h>

#include <algorithm>
#include <cstring>
#include <mutex>
#include <string>

#include "base/error.h"

namespace tenon {
namespace {

constexpr const char* kCpuGenerator = "cpu";

at::Generator generator_named(const std::string& name) {
  return name == kCpuGenerator ? at::detail::getDefaultCPUGenerator()
                               : at::globalContext().defaultGenerator(at::Device(name));
}

// What the names of a rank's begin with: "generator.", "generator_1.", ...
std::string generators_of(int rank) {
  return rank == 0 ? "generator." : "generator_" + std::to_string(rank) + ".";
}

[[noreturn]] void fail_state(const std::string& what) {
  throw Error({.stage = Stage::kAdapter,
               .message = "the training's state " + what + ", so it is of another training",
               .hint = "go on from another checkpoint, or train from the start without --resume"});
}

}  // namespace

NamedTensors generator_states(const std::vector<at::Tensor>& tensors) {
  std::vector<std::string> names = {kCpuGenerator};
  if (!tensors.empty() && !tensors.front().is_cpu()) {
    names.push_back(tensors.front().device().str());
  }
  NamedTensors states;
  for (const std::string& name : names) {
    at::Generator generator = generator_named(name);
    const std::lock_guard<std::mutex> lock(generator.mutex());
    states.emplace_back(name, generator.get_state());
  }
  return states;
}

void restore_generators(const NamedTensors& states) {
  for (const auto& [name, state] : states) {
    at::Generator generator = generator_named(name);
    const std::lock_guard<std::mutex> lock(generator.mutex());
    generator.set_state(state);
  }
}

void add_generators(NamedTensors& state, const std::vector<at::Tensor>& tensors, Ranks& ranks) {
  const NamedTensors own = generator_states(tensors);
  add_under(state, generators_of(0), own);
  if (ranks.is_alone()) return;
  for (const auto& [name, tensor] : own) {
    const at::Tensor flat = tensor.contiguous();
    const std::string bytes(static_cast<const char*>(flat.const_data_ptr()), flat.nbytes());
    const std::vector<std::string> all = ranks.gather(bytes);
    for (std::size_t rank = 0; rank < all.size(); ++rank) {
      const at::Tensor copy = at::empty_like(flat);
      std::memcpy(copy.mutable_data_ptr(), all[rank].data(),
                  std::min(all[rank].size(), flat.nbytes()));
      if (rank > 0) {
        state.emplace_back(generators_of(static_cast<int>(rank)) + name, copy);
        continue;
      }
      for (auto& [known, first] : state) {
        if (known == generators_of(0) + name) first = copy;
      }
    }
  }
}

void restore_generators_of(const NamedTensors& state, const Ranks& ranks) {
  restore_generators(tensors_under(state, generators_of(ranks.rank())));
}

GeneratorsKept::GeneratorsKept(const std::vector<at::Tensor>& tensors)
    : states_(generator_states(tensors)) {}
GeneratorsKept::~GeneratorsKept() { restore_generators(states_); }

NamedTensors tensors_under(const NamedTensors& tensors, const std::string& prefix) {
  NamedTensors part;
  for (const auto& [name, tensor] : tensors) {
    if (name.starts_with(prefix)) part.emplace_back(name.substr(prefix.size()), tensor);
  }
  return part;
}

void add_under(NamedTensors& tensors, const std::string& prefix, const NamedTensors& part) {
  for (const auto& [name, tensor] : part) tensors.emplace_back(prefix + name, tensor);
}

NamedTensors as_list(const std::vector<at::Tensor>& tensors) {
  NamedTensors list;
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    list.emplace_back(std::to_string(i), tensors[i].detach());
  }
  return list;
}

void copy_list(const NamedTensors& list, const std::string& what,
               const std::vector<at::Tensor>& into) {
  if (list.size() != into.size()) {
    fail_state("has " + std::to_string(list.size()) + " " + what + ", the model " +
               std::to_string(into.size()));
  }
  const at::NoGradGuard no_grad;
  for (const auto& [name, tensor] : list) {
    const std::size_t place = std::stoul(name);
    if (place >= into.size() || tensor.sizes() != into[place].sizes() ||
        tensor.scalar_type() != into[place].scalar_type()) {
      fail_state("has " + what + " of other shapes or types");
    }
    into[place].detach().copy_(tensor);
  }
}

at::Tensor numbers_tensor(const std::vector<double>& numbers) {
  // Borrowed for the copy alone.
  return at::from_blob(const_cast<double*>(numbers.data()),
                       {static_cast<std::int64_t>(numbers.size())}, at::kDouble)
      .clone();
}

std::vector<double> numbers_of(const NamedTensors& tensors, const std::string& name) {
  for (const auto& [candidate, tensor] : tensors) {
    if (candidate != name) continue;
    if (tensor.scalar_type() != at::kDouble || tensor.dim() != 1) break;
    const at::Tensor flat = tensor.contiguous();
    return {flat.const_data_ptr<double>(), flat.const_data_ptr<double>() + flat.numel()};
  }
  fail_state("lacks `" + name + "`");
}

}  // namespace tenon
