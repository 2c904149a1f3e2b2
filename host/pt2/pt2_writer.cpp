// The archive as torch.export.save lays it out: models/model.json, and for weights and constants a
// table {"config": {name: {"path_name": entry, "tensor_meta": {...}}}} beside one entry of raw
// bytes for each storage. LibTorch's writer adds .data/version, .data/serialization_id and version
// by itself.
#include "pt2/pt2_writer.h"

#include <caffe2/serialize/inline_container.h>

#include <algorithm>
#include <exception>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <unordered_map>
#include <utility>

#include "base/error.h"
#include "pt2/pt2_untie.h"

namespace tenon::pt2 {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kProgram = "models/model.json";

std::string_view text_of(const Pt2Entry& entry) {
  return {reinterpret_cast<const char*>(entry.bytes.data()), entry.bytes.size()};
}

bool is_program(const std::string& entry) {
  return entry.starts_with("models/") && entry.ends_with(".json");
}

// The exporter's stack traces name the source files of the machine that exported, in JSON as
// "File \"/home/me/model.py\", line 8": of each the name is kept.
std::string without_source_folders(std::string_view json) {
  constexpr std::string_view kFile = R"(File \"/)";
  constexpr std::string_view kEnd = R"(\")";
  std::string text;
  text.reserve(json.size());
  std::size_t done = 0;
  for (std::size_t at = json.find(kFile); at != json.npos; at = json.find(kFile, done)) {
    const std::size_t path = at + kFile.size() - 1;
    const std::size_t end = json.find(kEnd, path);
    if (end == json.npos) break;
    text += json.substr(done, path - done);
    done = json.rfind('/', end) + 1;
  }
  return text.append(json.substr(done));
}

// One of the two folders of tensors, with its changes.
class TensorFolder {
 public:
  // `kind`: what PyTorch's loader tells tensors by, at the start of an entry's name.
  TensorFolder(const Pt2Archive& source, std::string folder, const std::string& table,
               std::string kind)
      : folder_(std::move(folder)), table_name_(folder_ + table), kind_(std::move(kind)) {
    const Pt2Entry* entry = source.find(table_name_);
    if (entry == nullptr) return;
    table_ = Json::parse(text_of(*entry));
    for (const Pt2Entry& other : source.entries()) taken_.insert(other.name);
    if (!table_.contains("config")) return;
    for (const auto& [name, payload] : table_["config"].items()) payloads_.emplace(name, &payload);
  }
  TensorFolder(const TensorFolder&) = delete;
  TensorFolder& operator=(const TensorFolder&) = delete;

  bool has(const std::string& name) const { return payloads_.contains(name); }

  void change(const std::string& name, const at::Tensor& tensor) {
    Json& payload = *payloads_.at(name);
    old_.insert(folder_ + payload.at("path_name").get<std::string>());
    payload["path_name"] = entry_of(tensor);
    Json strides = Json::array();
    for (const std::int64_t stride : tensor.strides()) strides.push_back({{"as_int", stride}});
    payload["tensor_meta"]["strides"] = std::move(strides);
    payload["tensor_meta"]["storage_offset"] = {{"as_int", 0}};
  }

  // Entries of the source that no name needs any more.
  std::set<std::string> dropped() const {
    std::set<std::string> dropped = old_;
    for (const auto& [name, payload] : payloads_) {
      dropped.erase(folder_ + payload->at("path_name").get<std::string>());
    }
    if (!table_.is_null()) dropped.insert(table_name_);  // it is written anew
    return dropped;
  }

  void write(caffe2::serialize::PyTorchStreamWriter& writer) const {
    if (table_.is_null()) return;
    for (const auto& [entry, tensor] : added_) {
      const at::Tensor here = tensor.to(at::kCPU);
      writer.writeRecord(folder_ + entry, here.const_data_ptr(), here.nbytes());
    }
    const std::string text = table_.dump();
    writer.writeRecord(table_name_, text.data(), text.size());
  }

 private:
  // Names that share a tensor share its entry.
  std::string entry_of(const at::Tensor& tensor) {
    const auto [known, is_new] = entries_.try_emplace(tensor.unsafeGetTensorImpl());
    if (is_new) {
      known->second = unused_name();
      added_.emplace_back(known->second, tensor);
    }
    return known->second;
  }

  // A source that was merged has entries of these names.
  std::string unused_name() {
    std::string name;
    do {
      name = kind_ + "merged_" + std::to_string(next_++);
    } while (taken_.contains(folder_ + name));
    return name;
  }

  std::string folder_;
  std::string table_name_;
  std::string kind_;
  Json table_;
  std::unordered_map<std::string, Json*> payloads_;  // in the table
  std::set<std::string> old_;  // entries that a change may leave without a name
  std::vector<std::pair<std::string, at::Tensor>> added_;
  std::set<std::string, std::less<>> taken_;  // names of the source's entries
  std::size_t next_ = 0;
  std::unordered_map<const at::TensorImpl*, std::string> entries_;  // of the added tensors
};

}  // namespace

void write_changed(const Pt2Archive& source, const std::vector<TensorChange>& changes,
                   const std::function<void(std::string_view)>& sink) {
  TensorFolder weights(source, "data/weights/", "model_weights_config.json", "weight_");
  TensorFolder constants(source, "data/constants/", "model_constants_config.json", "tensor_");
  bool unties = false;
  for (const TensorChange& change : changes) {
    if (change.tensor.defined()) {
      (weights.has(change.name) ? weights : constants).change(change.name, change.tensor);
    }
    unties = unties || !change.readers.empty();
  }
  std::string untied;
  if (unties) untied = untied_program(text_of(*source.find(kProgram)), changes);

  // The writer goes through a C library and writes on in its destructor, so that nothing may be
  // thrown into it: a failure is kept until it is done.
  std::exception_ptr failure;
  {
    caffe2::serialize::PyTorchStreamWriter writer([&](const void* bytes, std::size_t size) {
      try {
        if (!failure) sink({static_cast<const char*>(bytes), size});
      } catch (...) {
        failure = std::current_exception();
      }
      return size;
    });
    std::set<std::string> dropped = weights.dropped();
    dropped.merge(constants.dropped());
    for (const Pt2Entry& entry : source.entries()) {
      const bool is_writers_own = entry.name == "version" || entry.name.starts_with(".data/");
      if (is_writers_own || dropped.contains(entry.name)) continue;
      std::string_view text = unties && entry.name == kProgram ? untied : text_of(entry);
      std::string program;
      if (is_program(entry.name)) text = program = without_source_folders(text);
      writer.writeRecord(entry.name, text.data(), text.size());
    }
    weights.write(writer);
    constants.write(writer);
    writer.writeEndOfFile();
  }
  if (failure) std::rethrow_exception(failure);
}

}  // namespace tenon::pt2
