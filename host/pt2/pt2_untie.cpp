#include "pt2/pt2_untie.h"

#include <algorithm>
#include <cstddef>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "base/error.h"
#include "base/suggest.h"

namespace tenon::pt2 {
namespace {

using Json = nlohmann::ordered_json;
using Names = std::set<std::string>;

// {"parameter": {"arg": {"name": "p_head_weight"}, "parameter_name": "head.weight"}} and its like.
struct TensorSpec {
  explicit TensorSpec(Json& spec) {
    for (const char* kind : {"parameter", "buffer", "tensor_constant"}) {
      if (!spec.contains(kind)) continue;
      Json& table = spec.at(kind);
      target = &table.at(std::string(kind) + "_name");
      placeholder = &table.at("arg").at("name");
    }
  }
  bool is_of(const std::string& name) const { return target != nullptr && *target == name; }

  Json* target = nullptr;
  Json* placeholder = nullptr;
};

// Renames the tensors among an operator's arguments; nested graphs have names of their own.
void rename(Json& argument, const Names& from, const std::string& to) {
  if (argument.is_object() && argument.contains("as_graph")) return;
  if (argument.is_object() && argument.size() == 1 && argument.contains("name")) {
    Json& name = argument.at("name");
    if (name.is_string() && from.contains(name.get<std::string>())) name = to;
    return;
  }
  if (!argument.is_structured()) return;
  for (Json& part : argument) rename(part, from, to);
}

bool gives(const Json& output, const Names& wanted) {
  if (output.is_object() && output.size() == 1 && output.contains("name")) {
    const Json& name = output.at("name");
    return name.is_string() && wanted.contains(name.get<std::string>());
  }
  return output.is_structured() &&
         std::ranges::any_of(output, [&](const Json& part) { return gives(part, wanted); });
}

class Untier {
 public:
  explicit Untier(Json& program)
      : graph_(program.at("graph_module").at("graph")),
        specs_(program.at("graph_module").at("signature").at("input_specs")) {}

  void untie(const TensorChange& change) {
    const Names placeholders = placeholders_of(change);
    const std::string own = own_placeholder(change);
    const Names readers(change.readers.begin(), change.readers.end());
    std::size_t found = 0;
    for (Json& node : graph_.at("nodes")) {
      if (!gives(node.at("outputs"), readers)) continue;
      ++found;
      for (Json& input : node.at("inputs")) rename(input.at("arg"), placeholders, own);
    }
    if (found == readers.size()) return;
    throw Error({.stage = Stage::kOutput,
                 .message = "`" + change.name + "` is tied to " + join(change.tied) +
                            ", and is read in a graph within the program's graph, where it cannot "
                            "be parted from them",
                 .hint = "write a state dict instead: --output F.safetensors"});
  }

 private:
  Names placeholders_of(const TensorChange& change) {
    Names names;
    for (Json& json : specs_) {
      const TensorSpec spec(json);
      if (std::ranges::any_of(change.tied, [&](const auto& name) { return spec.is_of(name); })) {
        names.insert(spec.placeholder->get<std::string>());
      }
    }
    return names;
  }

  std::string own_placeholder(const TensorChange& change) {
    for (Json& json : specs_) {
      const TensorSpec spec(json);
      if (spec.is_of(change.name)) return spec.placeholder->get<std::string>();
    }
    return add_placeholder(change);
  }

  // Right behind the one that it was tied to, so that parameters stay before what follows them.
  std::string add_placeholder(const TensorChange& change) {
    for (std::size_t i = 0; i < specs_.size(); ++i) {
      Json copy = specs_[i];
      const TensorSpec spec(copy);
      if (std::ranges::none_of(change.tied, [&](const auto& name) { return spec.is_of(name); })) {
        continue;
      }
      const std::string source = *spec.placeholder;
      const std::string name = unused_name(change.name);
      *spec.target = change.name;
      *spec.placeholder = name;
      const auto place = static_cast<std::ptrdiff_t>(i) + 1;
      specs_.insert(specs_.begin() + place, copy);
      graph_.at("inputs").insert(graph_.at("inputs").begin() + place,
                                 Json{{"as_tensor", {{"name", name}}}});
      Json& values = graph_.at("tensor_values");
      Json meta = values.at(source);
      values[name] = std::move(meta);
      return name;
    }
    throw Error({.stage = Stage::kInternal,
                 .message = "no input of the program holds `" + change.name + "`"});
  }

  std::string unused_name(std::string name) const {
    std::ranges::replace(name, '.', '_');
    name = "p_" + name;
    while (graph_.at("tensor_values").contains(name)) name += "_";
    return name;
  }

  Json& graph_;
  Json& specs_;
};

}  // namespace

std::string untied_program(std::string_view json, const std::vector<TensorChange>& changes) {
  Json program = Json::parse(json);
  Untier untier(program);
  for (const TensorChange& change : changes) {
    if (!change.readers.empty()) untier.untie(change);
  }
  return program.dump();
}

}  // namespace tenon::pt2
