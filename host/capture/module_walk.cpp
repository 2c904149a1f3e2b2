#include "capture/module_walk.h"

#include <algorithm>
#include <string_view>

namespace tenon {
namespace {

class Walk {
 public:
  explicit Walk(WalkedModule& result) : result_(result) {}

  // A module met again under another name is the one that it was.
  void visit(torch::nn::Module& module, const std::string& path) {
    const auto known = paths_.find(&module);
    if (known != paths_.end()) return add_aliases(module, path);
    paths_[&module] = path;
    result_.tree.modules.push_back({path, public_cpp_type_name(module.name()), false});
    result_.modules.push_back(&module);
    for (const auto& parameter : module.named_parameters(/*recurse=*/false)) {
      add(parameter.value(), joined(path, parameter.key()), ValueKind::kParameter);
    }
    for (const auto& buffer : module.named_buffers(/*recurse=*/false)) {
      add(buffer.value(), joined(path, buffer.key()), ValueKind::kBuffer);
    }
    for (const auto& child : module.named_children()) {
      visit(*child.value(), joined(path, child.key()));
    }
  }

  void finish() {
    std::stable_partition(
        result_.tensors.begin(), result_.tensors.end(),
        [](const ModelTensor& tensor) { return tensor.kind == ValueKind::kParameter; });
  }

 private:
  static std::string joined(const std::string& path, const std::string& name) {
    return path.empty() ? name : path + "." + name;
  }

  void add(const at::Tensor& tensor, std::string name, ValueKind kind) {
    if (!tensor.defined()) return;
    const auto [entry, is_new] =
        tensors_.emplace(tensor.unsafeGetTensorImpl(), result_.tensors.size());
    if (!is_new) return result_.tensors[entry->second].aliases.push_back(std::move(name));
    result_.tensors.push_back({std::move(name), {}, kind, true, tensor, -1});
  }

  void add_aliases(torch::nn::Module& module, const std::string& path) {
    for (const auto& parameter : module.named_parameters()) {
      add(parameter.value(), joined(path, parameter.key()), ValueKind::kParameter);
    }
    for (const auto& buffer : module.named_buffers()) {
      add(buffer.value(), joined(path, buffer.key()), ValueKind::kBuffer);
    }
  }

  WalkedModule& result_;
  std::map<torch::nn::Module*, std::string> paths_;
  std::map<const void*, std::size_t> tensors_;
};

void replace_all(std::string& text, std::string_view from, std::string_view to) {
  for (std::size_t at = text.find(from); at != std::string::npos;
       at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
}

}  // namespace

std::string public_cpp_type_name(std::string name) {
  // A class inside a function is called "function(arguments)::Class".
  const std::size_t local = name.rfind(")::");
  if (local != std::string::npos) name = name.substr(local + 3);
  replace_all(name, "::", ".");
  constexpr std::string_view kHolder = "Impl";  // of TORCH_MODULE(Class)
  if (name.ends_with(kHolder) && name.size() > kHolder.size() &&
      name[name.size() - kHolder.size() - 1] != '.') {
    name.resize(name.size() - kHolder.size());
  }
  return name;
}

WalkedModule walk_module(torch::nn::Module& module) {
  WalkedModule result;
  Walk walk(result);
  walk.visit(module, "");
  walk.finish();
  return result;
}

}  // namespace tenon
