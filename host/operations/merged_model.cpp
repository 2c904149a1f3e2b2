#include "operations/merged_model.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <set>
#include <utility>

#include "base/error.h"
#include "base/file_watch.h"
#include "base/output_file.h"
#include "base/suggest.h"
#include "graph/tensor_names.h"
#include "model/tensor_reads.h"
#include "pt2/pt2_program.h"

namespace tenon {
namespace {

const ModelTensor& base_of(const AdaptedModel& model, std::int32_t tensor) {
  return model.base_tensors()[static_cast<std::size_t>(tensor)];
}

// The merged tensor on the CPU, in the memory layout that the program's graph knows of its
// original.
at::Tensor laid_out_as(const at::Tensor& original, const at::Tensor& merged) {
  const at::Tensor here = merged.to(at::kCPU);
  if (!original.is_non_overlapping_and_dense()) return here.contiguous();
  return at::empty_strided(original.sizes(), original.strides(), here.options()).copy_(here);
}

bool same_bytes(const at::Tensor& one, const at::Tensor& other) {
  if (one.sizes() != other.sizes() || one.scalar_type() != other.scalar_type()) return false;
  const at::Tensor left = one.to(at::kCPU).contiguous();
  const at::Tensor right = other.to(at::kCPU).contiguous();
  return left.nbytes() == 0 ||
         std::memcmp(left.const_data_ptr(), right.const_data_ptr(), left.nbytes()) == 0;
}

// The name of the first result, which the program's file has too.
std::string result_name(const Graph& graph, std::int32_t node) {
  for (const Result& result : graph.nodes[static_cast<std::size_t>(node)].results) {
    for (const ValueId id : result.values) {
      if (id != kNoValue) return graph.values[static_cast<std::size_t>(id)].name;
    }
  }
  return "";
}

// Reads of the written program against those of the merged model.
void check_reads(const AdaptedModel& model, const ModelData& written,
                 const std::filesystem::path& target) {
  const TensorReads wanted = tensor_reads(model.model().graph);
  const TensorReads found = tensor_reads(written.graph);
  std::map<std::pair<std::int32_t, std::int32_t>, at::Tensor> merged;  // by node and original
  for (const MergedTensor& change : model.merged_tensors()) {
    for (const std::int32_t node : change.readers) merged[{node, change.tensor}] = change.merged;
  }
  std::set<std::pair<std::int32_t, const void*>> compared;
  bool equal = wanted.size() == found.size();
  for (const auto& [place, tensor] : wanted) {
    const auto other = found.find(place);
    if (!equal || other == found.end()) {
      equal = false;
      break;
    }
    const auto change = merged.find({place.first, tensor});
    const at::Tensor& expected =
        change == merged.end() ? base_of(model, tensor).tensor : change->second;
    if (!compared.insert({other->second, expected.const_data_ptr()}).second) continue;
    equal = same_bytes(expected, written.tensors[static_cast<std::size_t>(other->second)].tensor);
  }
  if (equal) return;
  throw Error({.stage = Stage::kOutput,
               .message = "the merged program does not read back as the model that was merged; "
                          "nothing was written",
               .hint = "write a state dict instead (--output F.safetensors), and report this model",
               .location = target.string()});
}

void add_change(MergedModel& merged, pt2::TensorChange change) {
  if (change.tensor.defined()) merged.names.push_back(change.name);
  merged.changes.push_back(std::move(change));
}

// Whether all layers that read a tensor want the same one from now on.
bool is_one_change(const std::vector<MergedTensor>& changes, std::set<std::int32_t> readers) {
  for (const MergedTensor& change : changes) {
    if (!change.merged.is_same(changes[0].merged)) return false;
    for (const std::int32_t node : change.readers) readers.erase(node);
  }
  return readers.empty();
}

std::vector<std::string> result_names(const Graph& graph, const auto& nodes) {
  std::vector<std::string> names;
  for (const std::int32_t node : nodes) names.push_back(result_name(graph, node));
  return names;
}

// Layers that read one tensor want different ones from now on: each its own by its own name, and
// whoever is left the original, by a name that nothing changes.
void part_names(const AdaptedModel& model, const ModelTensor& base,
                const std::vector<MergedTensor>& changes, std::set<std::int32_t> others,
                MergedModel& merged) {
  const Graph& graph = model.model().graph;
  const std::vector<std::string> names = all_names(base);
  std::map<std::string, pt2::TensorChange> parts;
  for (const MergedTensor& change : changes) {
    const auto [part, is_new] = parts.try_emplace(change.name);
    const at::Tensor now = laid_out_as(base.tensor, change.merged);
    if (!is_new && !same_bytes(part->second.tensor, now)) {
      throw Error({.stage = Stage::kInjection,
                   .message = "`" + change.name +
                              "` would be merged in two ways: two layers read it by one name and "
                              "are adapted differently",
                   .hint = "adapt one of them"});
    }
    std::vector<std::string> readers = result_names(graph, change.readers);
    if (is_new) part->second = {change.name, now, names, {}};
    part->second.readers.insert(part->second.readers.end(), readers.begin(), readers.end());
    for (const std::int32_t node : change.readers) others.erase(node);
  }
  const auto kept =
      std::ranges::find_if(names, [&](const auto& name) { return !parts.contains(name); });
  if (!others.empty() && kept == names.end()) {
    throw Error({.stage = Stage::kInjection,
                 .message = "`" + base.name +
                            "` is read outside the adapted layers too, by no name "
                            "of its own, so that it cannot be merged",
                 .hint = "leave the adapter unmerged"});
  }
  for (auto& [name, part] : parts) {
    if (names.size() > 1) merged.untied.push_back(name);
    add_change(merged, std::move(part));
  }
  if (!others.empty()) add_change(merged, {*kept, {}, names, result_names(graph, others)});
}

}  // namespace

MergedModel merged_model(const AdaptedModel& model) {
  std::map<std::int32_t, std::set<std::int32_t>> readers = readers_by_tensor(model.model().graph);
  std::map<std::int32_t, std::vector<MergedTensor>> by_tensor;
  for (MergedTensor& change : model.merged_tensors()) {
    by_tensor[change.tensor].push_back(std::move(change));
  }
  MergedModel merged;
  for (const auto& [tensor, changes] : by_tensor) {
    const ModelTensor& base = base_of(model, tensor);
    if (is_one_change(changes, readers[tensor])) {
      const at::Tensor now = laid_out_as(base.tensor, changes[0].merged);
      for (const std::string& name : all_names(base)) add_change(merged, {name, now, {}, {}});
    } else {
      part_names(model, base, changes, readers[tensor], merged);
    }
  }
  return merged;
}

NamedTensors merged_state(const AdaptedModel& model, const MergedModel& merged) {
  std::map<std::string, at::Tensor> changes;
  for (const pt2::TensorChange& change : merged.changes) {
    if (change.tensor.defined()) changes[change.name] = change.tensor;
  }
  NamedTensors state;
  for (const ModelTensor& base : model.base_tensors()) {
    if (!base.persistent || base.kind == ValueKind::kConstant) continue;
    for (const std::string& name : all_names(base)) {
      const auto change = changes.find(name);
      state.emplace_back(name, change == changes.end() ? base.tensor : change->second);
    }
  }
  return state;
}

void write_merged_program(const AdaptedModel& model, const MergedModel& merged, bool all_tensors,
                          const std::filesystem::path& target, Existing existing) {
  std::vector<pt2::TensorChange> changes = merged.changes;
  if (all_tensors) {
    for (const ModelTensor& base : model.base_tensors()) {
      if (!base.persistent || base.kind == ValueKind::kConstant) continue;
      const at::Tensor own = laid_out_as(base.tensor, base.tensor);
      for (const std::string& name : all_names(base)) {
        if (std::ranges::count(merged.names, name) > 0) continue;
        changes.push_back({name, own, {}, {}});
      }
    }
  }
  OutputFile file(target, existing);
  {
    const Pt2Archive source(model.model().source);
    pt2::write_changed(source, changes, [&](std::string_view bytes) { file.write(bytes); });
  }
  file.finish();
  check_reads(model, read_pt2_program(file.temporary()), target);
  require_unchanged_files(Stage::kModel);
  file.publish();
}

}  // namespace tenon
