#include "model/packed_file.h"

#include <ATen/ATen.h>

#include <cstring>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "quantize/int8_weight.h"
#include "quantize/nf4_weight.h"

namespace tenon {
namespace {

constexpr const char* kState = ".quant_state.bitsandbytes__nf4";

at::Tensor bytes_of_text(const std::string& text) {
  at::Tensor bytes = at::empty({static_cast<std::int64_t>(text.size())}, at::kByte);
  std::memcpy(bytes.mutable_data_ptr(), text.data(), text.size());
  return bytes;
}

std::string dtype_name(at::ScalarType dtype) {
  if (dtype == at::kHalf) return "float16";
  if (dtype == at::kBFloat16) return "bfloat16";
  return dtype == at::kDouble ? "float64" : "float32";
}

const at::Tensor& entry(const TensorsByName& file, const std::string& name, at::ScalarType dtype,
                        std::int64_t numbers, std::vector<std::string>& used) {
  const auto found = file.find(name);
  if (found == file.end()) throw std::invalid_argument("`" + name + "` is missing");
  if (found->second.scalar_type() != dtype || found->second.numel() != numbers) {
    throw std::invalid_argument("`" + name + "` is " + c10::toString(found->second.scalar_type()) +
                                " " + c10::str(found->second.sizes()) + ", it should be " +
                                std::to_string(numbers) + " of " + c10::toString(dtype));
  }
  used.push_back(name);
  return found->second;
}

// The mean of the magnitudes, from the JSON that holds what is no tensor.
float offset_of(const at::Tensor& bytes, const std::string& name, std::int64_t rows,
                std::int64_t columns) {
  const at::Tensor plain = bytes.contiguous();
  const auto* text = static_cast<const char*>(plain.const_data_ptr());
  const auto state = nlohmann::json::parse(text, text + plain.numel(), nullptr, false);
  const auto number = [&](const char* key) {
    const auto found = state.find(key);
    return found != state.end() && found->is_number() ? found->get<double>() : -1.0;
  };
  const auto shape = state.is_object() ? state.find("shape") : state.end();
  const bool fits = state.is_object() && state.value("quant_type", "") == "nf4" &&
                    number("blocksize") == Nf4Weight::kBlock &&
                    number("nested_blocksize") == Nf4Weight::kNestedBlock &&
                    state.contains("nested_offset") && state["nested_offset"].is_number();
  if (!fits) {
    throw std::invalid_argument(
        "`" + name + "` is not in blocks of 64 with double quantisation (blocks of 256)");
  }
  if (shape == state.end() || *shape != nlohmann::json::array({rows, columns})) {
    throw std::invalid_argument("`" + name + "` is of another shape than the model's [" +
                                std::to_string(rows) + ", " + std::to_string(columns) + "]");
  }
  return static_cast<float>(state["nested_offset"].get<double>());
}

// Codes mean the numbers of these maps, which are the same in every file.
void check_map(const TensorsByName& file, const std::string& name, const at::Tensor& known,
               std::vector<std::string>& used) {
  if (at::equal(entry(file, name, at::kFloat, known.numel(), used), known)) return;
  throw std::invalid_argument("`" + name + "` is another map than NF4's");
}

std::shared_ptr<const PackedWeight> read_nf4(const TensorsByName& file, const std::string& name,
                                             std::int64_t rows, std::int64_t columns,
                                             std::vector<std::string>& used) {
  const std::int64_t count = rows * columns;
  const std::int64_t blocks = (count + Nf4Weight::kBlock - 1) / Nf4Weight::kBlock;
  const std::int64_t nested = (blocks + Nf4Weight::kNestedBlock - 1) / Nf4Weight::kNestedBlock;
  const at::Tensor& state = file.at(name + kState);
  used.push_back(name + kState);
  Nf4Weight::Parts parts;
  parts.offset = at::scalar_tensor(offset_of(state, name, rows, columns), at::kFloat);
  parts.codes = entry(file, name, at::kByte, (count + 1) / 2, used).reshape({-1});
  parts.magnitudes = entry(file, name + ".absmax", at::kByte, blocks, used);
  parts.nested = entry(file, name + ".nested_absmax", at::kFloat, nested, used);
  check_map(file, name + ".quant_map", Nf4Weight::map(), used);
  check_map(file, name + ".nested_quant_map", Nf4Weight::nested_map(), used);
  return std::make_shared<const Nf4Weight>(rows, columns, std::move(parts));
}

}  // namespace

NamedTensors packed_entries(const std::string& name, const PackedWeight& weight,
                            at::ScalarType dtype) {
  NamedTensors entries;
  std::map<std::string, at::Tensor> parts;
  for (const auto& [part, tensor] : weight.parts()) parts.emplace(part, tensor);
  if (weight.format() == PackedFormat::kInt8) {
    return {{name, parts.at("")}, {name + ".scale", parts.at("scale")}};
  }
  const nlohmann::ordered_json state{
      {"quant_type", "nf4"},
      {"blocksize", Nf4Weight::kBlock},
      {"dtype", dtype_name(dtype)},
      {"shape", {weight.rows(), weight.columns()}},
      {"nested_blocksize", Nf4Weight::kNestedBlock},
      {"nested_dtype", "float32"},
      {"nested_offset", static_cast<double>(parts.at("nested_offset").item<float>())}};
  return {{name, parts.at("").unsqueeze(1)},
          {name + ".absmax", parts.at("absmax")},
          {name + ".quant_map", Nf4Weight::map()},
          {name + ".nested_absmax", parts.at("nested_absmax")},
          {name + ".nested_quant_map", Nf4Weight::nested_map()},
          {name + kState, bytes_of_text(state.dump())}};
}

std::shared_ptr<const PackedWeight> read_packed(const TensorsByName& file, const std::string& name,
                                                std::int64_t rows, std::int64_t columns,
                                                std::vector<std::string>& used) {
  if (file.contains(name + kState)) return read_nf4(file, name, rows, columns, used);
  const auto numbers = file.find(name);
  if (numbers == file.end() || numbers->second.scalar_type() != at::kChar) return nullptr;
  const at::Tensor& scales = entry(file, name + ".scale", at::kFloat, rows, used);
  if (numbers->second.sizes() != at::IntArrayRef({rows, columns})) {
    throw std::invalid_argument("`" + name + "` is " + c10::str(numbers->second.sizes()) +
                                ", the model has [" + std::to_string(rows) + ", " +
                                std::to_string(columns) + "]");
  }
  used.push_back(name);
  return std::make_shared<const Int8Weight>(numbers->second, scales);
}

}  // namespace tenon
