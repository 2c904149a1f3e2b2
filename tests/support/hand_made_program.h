#pragma once

#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "pt2/pt2_program.h"
#include "support/temp_dir.h"
#include "support/zip_file.h"

// An exported program written by hand, to be damaged.
namespace tenon::testing {

// x + w, then the buffer n is replaced by the sum: what a decomposed export looks like.
inline constexpr const char* kProgram = R"json({
  "schema_version": {"major": 8, "minor": 20},
  "range_constraints": {"s0": {"min_val": 3, "max_val": null}},
  "graph_module": {
    "graph": {
      "inputs": [{"as_tensor": {"name": "p_w"}}, {"as_tensor": {"name": "b_n"}},
                 {"as_tensor": {"name": "x"}}],
      "outputs": [{"as_tensor": {"name": "add"}}, {"as_tensor": {"name": "add"}}],
      "nodes": [{"target": "torch.ops.aten.add.Tensor", "name": "add",
        "inputs": [{"name": "self", "arg": {"as_tensor": {"name": "x"}}, "kind": 1},
                   {"name": "other", "arg": {"as_tensor": {"name": "p_w"}}, "kind": 1},
                   {"name": "alpha", "arg": {"as_int": 2}, "kind": 2}],
        "outputs": [{"as_tensor": {"name": "add"}}],
        "metadata": {"nn_module_stack": "L__self__,,m.Net;L__self__a.b,a.b,m.B"}}],
      "tensor_values": {"x": {"dtype": 7, "layout": 7, "requires_grad": false,
        "device": {"type": "cpu", "index": null}, "storage_offset": {"as_int": 0},
        "sizes": [{"as_expr": {"expr_str": "Symbol('s0', positive=True, integer=True)"}},
                  {"as_expr": {"expr_str": "Mul(Integer(2), Symbol('s0', integer=True))"}}],
        "strides": [{"as_int": 2}, {"as_int": 1}]}}
    },
    "signature": {
      "input_specs": [
        {"parameter": {"arg": {"name": "p_w"}, "parameter_name": "a.w"}},
        {"buffer": {"arg": {"name": "b_n"}, "buffer_name": "n", "persistent": true}},
        {"user_input": {"arg": {"as_tensor": {"name": "x"}}}}],
      "output_specs": [{"buffer_mutation": {"arg": {"name": "add"}, "buffer_name": "n"}},
                       {"user_output": {"arg": {"as_tensor": {"name": "add"}}}}]
    },
    "module_call_graph": [{"fqn": "", "signature": null}, {"fqn": "z", "signature": null}]
  }
})json";

inline constexpr const char* kWeights = R"({"config": {
  "a.w": {"path_name": "weight_0", "is_param": true, "use_pickle": false, "tensor_meta":
    {"dtype": 7, "layout": 7, "requires_grad": true, "device": {"type": "cpu", "index": null},
     "sizes": [{"as_int": 2}], "strides": [{"as_int": 1}], "storage_offset": {"as_int": 0}}},
  "n": {"path_name": "weight_1", "is_param": false, "use_pickle": false, "tensor_meta":
    {"dtype": 5, "layout": 7, "requires_grad": false, "device": {"type": "cpu", "index": null},
     "sizes": [], "strides": [], "storage_offset": {"as_int": 0}}}}})";

inline std::vector<ZipEntry> archive_of(std::string program, std::string weights) {
  using namespace std::string_literals;
  return {{"m/models/model.json", std::move(program)},
          {"m/data/weights/model_weights_config.json", std::move(weights)},
          {"m/data/weights/weight_0", "\0\0\x80\x3f\0\0\0\x40"s},  // 1.0, 2.0
          {"m/data/weights/weight_1", "\x07\0\0\0\0\0\0\0"s},
          {"m/byteorder", "little"}};
}

inline std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const std::size_t place = text.find(from);
  if (place == std::string::npos) throw std::runtime_error("nothing to replace: " + from);
  return text.replace(place, from.size(), to);
}

inline ModelData read(const TempDir& folder, const std::string& bytes) {
  return read_pt2_program(folder.write("model.pt2", bytes));
}

inline std::string repeated(const std::string& text, std::size_t count) {
  std::string result;
  result.reserve(text.size() * count);
  for (std::size_t i = 0; i < count; ++i) result += text;
  return result;
}

}  // namespace tenon::testing
