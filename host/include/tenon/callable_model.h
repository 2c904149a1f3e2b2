// A torch::nn::Module with its forward, in the form that Tenon runs. Included by <tenon/adapt.h>
// and <tenon/model_plugin.h>.
#pragma once

#include <torch/nn/module.h>
#include <torch/types.h>

#include <algorithm>
#include <array>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <tuple>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <vector>

namespace tenon {

// A model's forward on plain lists: tensors in, the tensors of its output in order, of which some
// may be undefined.
using TensorFunction = std::function<std::vector<at::Tensor>(const std::vector<at::Tensor>&)>;

struct CallableModel {
  std::shared_ptr<torch::nn::Module> module;  // need not own it
  TensorFunction forward;
  std::vector<at::Tensor> examples;
};

namespace detail {

template <typename T, typename = void>
struct IsHolder : std::false_type {};
template <typename T>
struct IsHolder<T, std::void_t<decltype(*std::declval<T&>().ptr())>>
    : std::is_convertible<decltype(*std::declval<T&>().ptr()), torch::nn::Module&> {};

// The user's module behind a module holder (TORCH_MODULE), a shared pointer, or itself.
template <typename T>
auto module_pointer(T& model) {
  if constexpr (IsHolder<T>::value) {
    return model.ptr();
  } else if constexpr (std::is_base_of_v<torch::nn::Module, T>) {
    return std::shared_ptr<T>(std::shared_ptr<void>(), &model);
  } else {
    static_assert(std::is_constructible_v<std::shared_ptr<torch::nn::Module>, T&>,
                  "the model must be a torch::nn::Module, a shared pointer to one, or its holder");
    return model;
  }
}

// Calls `visit(Tensor&)` for every tensor of a forward's output, in the order of its parts; a map's
// in the order of its keys.
template <typename Visit>
void visit_tensors(at::Tensor& output, const Visit& visit) {
  visit(output);
}
template <typename T, typename Visit>
void visit_tensors(std::vector<T>& output, const Visit& visit);
template <typename T, std::size_t N, typename Visit>
void visit_tensors(std::array<T, N>& output, const Visit& visit);
template <typename T, typename Visit>
void visit_tensors(std::optional<T>& output, const Visit& visit);
template <typename A, typename B, typename Visit>
void visit_tensors(std::pair<A, B>& output, const Visit& visit);
template <typename... T, typename Visit>
void visit_tensors(std::tuple<T...>& output, const Visit& visit);
template <typename Key, typename T, typename... Rest, typename Visit>
void visit_tensors(std::map<Key, T, Rest...>& output, const Visit& visit);
template <typename Key, typename T, typename... Rest, typename Visit>
void visit_tensors(std::unordered_map<Key, T, Rest...>& output, const Visit& visit);
template <typename Key, typename T, typename Visit>
void visit_tensors(torch::OrderedDict<Key, T>& output, const Visit& visit);

template <typename T, typename Visit>
void visit_tensors(std::vector<T>& output, const Visit& visit) {
  for (T& item : output) visit_tensors(item, visit);
}
template <typename T, std::size_t N, typename Visit>
void visit_tensors(std::array<T, N>& output, const Visit& visit) {
  for (T& item : output) visit_tensors(item, visit);
}
template <typename T, typename Visit>
void visit_tensors(std::optional<T>& output, const Visit& visit) {
  if (output) visit_tensors(*output, visit);
}
template <typename A, typename B, typename Visit>
void visit_tensors(std::pair<A, B>& output, const Visit& visit) {
  visit_tensors(output.first, visit);
  visit_tensors(output.second, visit);
}
template <typename... T, typename Visit>
void visit_tensors(std::tuple<T...>& output, const Visit& visit) {
  std::apply([&](T&... items) { (visit_tensors(items, visit), ...); }, output);
}
template <typename Key, typename T, typename... Rest, typename Visit>
void visit_tensors(std::map<Key, T, Rest...>& output, const Visit& visit) {
  for (auto& [key, item] : output) visit_tensors(item, visit);
}
template <typename Key, typename T, typename... Rest, typename Visit>
void visit_tensors(std::unordered_map<Key, T, Rest...>& output, const Visit& visit) {
  std::vector<Key> keys;
  keys.reserve(output.size());
  for (const auto& [key, item] : output) keys.push_back(key);
  std::sort(keys.begin(), keys.end());
  for (const Key& key : keys) visit_tensors(output.at(key), visit);
}
template <typename Key, typename T, typename Visit>
void visit_tensors(torch::OrderedDict<Key, T>& output, const Visit& visit) {
  for (auto& item : output) visit_tensors(item.value(), visit);
}

inline constexpr std::size_t kMostInputs = 12;

template <std::size_t>
using TensorReference = at::Tensor&;
template <typename Function, typename Places>
struct Takes;
template <typename Function, std::size_t... I>
struct Takes<Function, std::index_sequence<I...>>
    : std::is_invocable<Function&, TensorReference<I>...> {};
template <typename Function, std::size_t N>
inline constexpr bool kTakes = Takes<Function, std::make_index_sequence<N>>::value;

// The fewest tensors, at least one, that a function takes; kMostInputs + 1 if none.
template <typename Function, std::size_t N = 1>
constexpr std::size_t fewest_inputs() {
  if constexpr (N > kMostInputs || kTakes<Function, N>) {
    return N;
  } else {
    return fewest_inputs<Function, N + 1>();
  }
}

template <typename Function, std::size_t... I>
auto call_with(Function& function, std::vector<at::Tensor>& inputs, std::index_sequence<I...>) {
  return function(inputs[I]...);
}

template <typename Function>
using OutputOf =
    decltype(call_with(std::declval<Function&>(), std::declval<std::vector<at::Tensor>&>(),
                       std::make_index_sequence<fewest_inputs<Function>()>()));

// Calls a function of N tensors with as many as the list has.
template <typename Function, std::size_t N = 1>
OutputOf<Function> call(Function& function, std::vector<at::Tensor>& inputs) {
  if constexpr (N > kMostInputs) {
    throw std::invalid_argument("the model's forward does not take " +
                                std::to_string(inputs.size()) + " tensors");
  } else {
    if constexpr (kTakes<Function, N>) {
      if (inputs.size() == N) {
        return call_with(function, inputs, std::make_index_sequence<N>());
      }
    }
    return call<Function, N + 1>(function, inputs);
  }
}

// model->forward(...) as a function of tensors.
template <typename Model>
auto forward_of(Model* model) {
  return [model](auto&... inputs) -> decltype(model->forward(inputs...)) {
    return model->forward(inputs...);
  };
}

// The last output's structure is kept in `shape`, so that a list of tensors can take its form.
template <typename Function>
TensorFunction tensor_function(Function function,
                               std::shared_ptr<std::optional<OutputOf<Function>>> shape) {
  return [function = std::move(function),
          shape = std::move(shape)](const std::vector<at::Tensor>& inputs) mutable {
    std::vector<at::Tensor> copies = inputs;
    *shape = call(function, copies);
    std::vector<at::Tensor> tensors;
    visit_tensors(**shape, [&](at::Tensor& tensor) { tensors.push_back(tensor); });
    return tensors;
  };
}

}  // namespace detail

// A module and example inputs for its own forward.
template <typename Model>
CallableModel callable_model(Model&& model, std::vector<at::Tensor> examples) {
  auto module = detail::module_pointer(model);
  auto forward = detail::forward_of(module.get());
  static_assert(detail::fewest_inputs<decltype(forward)>() <= detail::kMostInputs,
                "this model's forward does not take tensors alone: give a function that calls it");
  using Output = detail::OutputOf<decltype(forward)>;
  return {module,
          detail::tensor_function(std::move(forward), std::make_shared<std::optional<Output>>()),
          std::move(examples)};
}

}  // namespace tenon
