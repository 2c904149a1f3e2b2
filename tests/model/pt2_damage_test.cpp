#include "model/pt2_program.h"

#include <ATen/ATen.h>

#include <ostream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "support/error_matchers.h"
#include "support/temp_dir.h"
#include "support/zip_file.h"

// Programs written by hand, whole and damaged.
namespace tenon {
namespace {

using ::testing::AllOf;
using testing::error_text;
using ::testing::HasSubstr;
using testing::TempDir;
using testing::ZipEntry;
using testing::ZipFile;

// x + w, then the buffer n is replaced by the sum: what a decomposed export looks like.
constexpr const char* kProgram = R"json({
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

constexpr const char* kWeights = R"({"config": {
  "a.w": {"path_name": "weight_0", "is_param": true, "use_pickle": false, "tensor_meta":
    {"dtype": 7, "layout": 7, "requires_grad": true, "device": {"type": "cpu", "index": null},
     "sizes": [{"as_int": 2}], "strides": [{"as_int": 1}], "storage_offset": {"as_int": 0}}},
  "n": {"path_name": "weight_1", "is_param": false, "use_pickle": false, "tensor_meta":
    {"dtype": 5, "layout": 7, "requires_grad": false, "device": {"type": "cpu", "index": null},
     "sizes": [], "strides": [], "storage_offset": {"as_int": 0}}}}})";

std::vector<ZipEntry> archive_of(std::string program, std::string weights) {
  using namespace std::string_literals;
  return {{"m/models/model.json", std::move(program)},
          {"m/data/weights/model_weights_config.json", std::move(weights)},
          {"m/data/weights/weight_0", "\0\0\x80\x3f\0\0\0\x40"s},  // 1.0, 2.0
          {"m/data/weights/weight_1", "\x07\0\0\0\0\0\0\0"s},
          {"m/byteorder", "little"}};
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const std::size_t place = text.find(from);
  if (place == std::string::npos) throw std::runtime_error("nothing to replace: " + from);
  return text.replace(place, from.size(), to);
}

ModelData read(const TempDir& folder, const std::string& bytes) {
  return read_pt2_program(folder.write("model.pt2", bytes));
}

TEST(Pt2HandMade, MutationsModulesAndDerivedSizesAreRead) {
  const TempDir folder;
  const ModelData model = read(folder, ZipFile::write(archive_of(kProgram, kWeights)));
  ASSERT_EQ(model.graph.mutations.size(), 1U);
  EXPECT_EQ(model.graph.mutations[0], (std::pair<ValueId, ValueId>(1, 3)));
  ASSERT_EQ(model.graph.outputs.size(), 1U);
  // `a` and `a.b` are listed nowhere: they come from a weight's name and a node.
  ASSERT_EQ(model.tree.modules.size(), 4U);
  EXPECT_EQ(model.tree.modules[1].path, "z");
  EXPECT_EQ(model.tree.modules[2].path, "a");
  EXPECT_EQ(model.tree.modules[3].path, "a.b");
  EXPECT_EQ(model.inputs[0].dimensions[0].symbol, "s0");
  EXPECT_EQ(model.inputs[0].dimensions[0].minimum, 3);
  EXPECT_EQ(model.inputs[0].dimensions[1].symbol, "");
  EXPECT_EQ(model.inputs[0].dimensions[1].fixed, -1);
}

TEST(Pt2HandMade, MisalignedWeightsAreCopied) {
  const TempDir folder;
  const ModelData model =
      read(folder, ZipFile::write(archive_of(kProgram, kWeights), {.shift = 1}));
  EXPECT_TRUE(at::equal(model.tensors[0].tensor, at::tensor({1.0F, 2.0F})));
  EXPECT_EQ(model.tensors[1].tensor.item<std::int64_t>(), 7);
}

TEST(Pt2HandMade, AllProblemsAreReportedAtOnce) {
  const TempDir folder;
  std::string program = replaced(kProgram, R"({"as_tensor": {"name": "p_w"}}, "kind")",
                                 R"({"as_custom_obj": {"name": "p", "class_fqn": "C"}}, "kind")");
  program = replaced(program, R"({"as_int": 2}, "kind")",
                     R"({"as_custom_obj": {"name": "o", "class_fqn": "C"}}, "kind")");
  const std::string bytes = ZipFile::write(archive_of(program, kWeights));
  EXPECT_THAT(error_text([&] { read(folder, bytes); }),
              AllOf(HasSubstr("node `add` (torch.ops.aten.add.Tensor): argument `other` is a "
                              "custom object, which is not supported"),
                    HasSubstr("argument `alpha` is a custom object, which is not supported")));
}

struct Damage {
  std::string name;
  std::vector<ZipEntry> entries;
  std::string expected;
};

void PrintTo(const Damage& damage, std::ostream* stream) { *stream << damage.name; }

Damage program_damage(std::string name, const std::string& from, const std::string& to,
                      std::string expected) {
  return {std::move(name), archive_of(replaced(kProgram, from, to), kWeights), std::move(expected)};
}

Damage weight_damage(std::string name, const std::string& from, const std::string& to,
                     std::string expected) {
  return {std::move(name), archive_of(kProgram, replaced(kWeights, from, to)), std::move(expected)};
}

Damage entry_damage(std::string name, std::size_t index, ZipEntry entry, std::string expected) {
  std::vector<ZipEntry> entries = archive_of(kProgram, kWeights);
  if (index < entries.size()) {
    entries[index] = std::move(entry);
  } else {
    entries.push_back(std::move(entry));
  }
  return {std::move(name), std::move(entries), std::move(expected)};
}

std::vector<Damage> damages() {
  return {
      {"NotJson", archive_of("{", kWeights),
       "`models/model.json` does not follow the export schema"},
      {"DeepJson", archive_of(std::string(1000000, '['), kWeights), "it nests too deeply"},
      {"DeepModule",
       archive_of(replaced(kProgram, "\"z\"", "\"z" + std::string(100000, '.') + "\""), kWeights),
       "nested more than 100 levels deep"},
      entry_damage("TwoModels", 9, {"m/models/other.json", "{}"},
                   "the archive holds several models (`models/model.json`, `models/other.json`)"),
      entry_damage("OtherName", 0, {"m/models/net.json", "{}"},
                   "the archive's model is `models/net.json`"),
      entry_damage("NoJson", 0, {"m/models/x.txt", ""}, "the archive holds no models/*.json"),
      entry_damage("BigEndian", 4, {"m/byteorder", "big"}, "in the byte order `big`"),
      entry_damage("ShortWeight", 2, {"m/data/weights/weight_0", "abcd"},
                   "`a.w` needs 8 bytes, but the entry `data/weights/weight_0` has 4"),
      entry_damage("NoWeightEntry", 2, {"m/x", ""},
                   "`a.w` is in the entry `data/weights/weight_0`, which the archive does not"),
      program_damage("NewerSchema", R"("major": 8)", R"("major": 9)",
                     "has schema version 9.20; this program reads version 8"),
      program_damage("NoVersion", "schema_version", "version", "schema_version"),
      program_damage("WrongType", R"("nodes": [)", R"("nodes": 3, "x": [)",
                     "`models/model.json` does not follow the export schema"),
      program_damage("UnknownArgument", R"("as_int": 2})", R"("as_quaternion": 2})",
                     "a value is of a kind that is not known"),
      program_damage("UndefinedValue", R"("arg": {"as_tensor": {"name": "x"}}, "kind": 1})",
                     R"("arg": {"as_tensor": {"name": "y"}}, "kind": 1})",
                     "argument `self` uses `y`, which nothing before it computes"),
      program_damage("UndefinedOutput", R"("user_output": {"arg": {"as_tensor": {"name": "add"}}})",
                     R"("user_output": {"arg": {"as_tensor": {"name": "mul"}}})",
                     "an output of the program uses `mul`"),
      program_damage("TwoValuesOfOneName", R"("outputs": [{"as_tensor": {"name": "add"}}],
        "metadata")",
                     R"("outputs": [{"as_tensor": {"name": "x"}}],
        "metadata")",
                     "two values are called `x`"),
      program_damage("SignatureDiffers", R"({"as_tensor": {"name": "p_w"}}, {"as_)", R"({"as_)",
                     "the graph and its signature differ"),
      program_damage("NumberAsInput", R"("user_input": {"arg": {"as_tensor": {"name": "x"}}})",
                     R"("user_input": {"arg": {"as_sym_int": {"as_name": "x"}}})",
                     "input `x` has no description of its value"),
      program_damage("Gradient",
                     R"("buffer_mutation": {"arg": {"name": "add"}, "buffer_name": "n"})",
                     R"("gradient_to_parameter": {"arg": {"name": "add"}, "parameter_name": "n"})",
                     "an output of the program is a gradient, which is not supported"),
      program_damage("MissingWeight", R"("parameter_name": "a.w")", R"("parameter_name": "a.v")",
                     "`a.v` is not in the file"),
      weight_damage("Pickled", R"("use_pickle": false)", R"("use_pickle": true)",
                    "`a.w` is pickled (a tensor subclass), and pickles are never read"),
      weight_damage("OffsetOutside", R"("as_int": 0}}},)", R"("as_int": 1}}},)",
                    "`a.w` needs 12 bytes"),
      weight_damage("NegativeStride", R"("strides": [{"as_int": 1}])",
                    R"("strides": [{"as_int": -1}])", "`a.w` has no plain strided layout"),
      weight_damage("Overflow", R"("sizes": [{"as_int": 2}], "strides": [{"as_int": 1}])",
                    R"("sizes": [{"as_int": 4611686018427387905}], "strides": [{"as_int": 4}])",
                    "`a.w` needs too many bytes"),
      weight_damage("SymbolicSize", R"("sizes": [{"as_int": 2}])",
                    R"("sizes": [{"as_expr": {"expr_str": "s0"}}])",
                    "`a.w` has no plain strided layout"),
      weight_damage("Sparse", R"("layout": 7)", R"("layout": 2)",
                    "`a.w` has no plain strided layout"),
      weight_damage("UnknownDtype", R"("dtype": 7)", R"("dtype": 99)",
                    "`data/weights/model_weights_config.json` does not follow the export schema: "
                    "unknown dtype 99"),
  };
}

class DamagedPt2 : public ::testing::TestWithParam<Damage> {};

TEST_P(DamagedPt2, IsRefusedWithTheReason) {
  const TempDir folder;
  const std::string bytes = ZipFile::write(GetParam().entries);
  const std::string message = error_text([&] { read(folder, bytes); });
  EXPECT_THAT(message, HasSubstr(GetParam().expected));
  EXPECT_THAT(message, HasSubstr("model.pt2"));
}

INSTANTIATE_TEST_SUITE_P(Programs, DamagedPt2, ::testing::ValuesIn(damages()),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace tenon
