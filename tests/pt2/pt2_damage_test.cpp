#include "pt2/pt2_program.h"

#include <ATen/ATen.h>

#include <ostream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "interpreter/interpreter.h"
#include "support/error_matchers.h"
#include "support/hand_made_program.h"

// Programs written by hand, whole and damaged.
namespace tenon {
namespace {

using ::testing::AllOf;
using testing::archive_of;
using testing::error_text;
using ::testing::HasSubstr;
using testing::kProgram;
using testing::kWeights;
using testing::read;
using testing::repeated;
using testing::replaced;
using testing::TempDir;
using testing::ZipEntry;
using testing::ZipFile;

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
      {"DeepJson", archive_of(std::string(1000000, '['), kWeights),
       "it nests deeper than 256 levels"},
      {"DeepModule",
       archive_of(replaced(kProgram, "\"z\"", "\"z" + std::string(100000, '.') + "\""), kWeights),
       "nested more than 100 levels deep"},
      {"ManyValues", archive_of("[0" + repeated(",0", std::size_t{1} << 25) + ",0]", kWeights),
       "it has 33554434 values, more than the 33554432 that are read"},
      {"LongText",
       archive_of(replaced(kProgram, "\"z\"", "\"" + std::string(20'000'000, 'z') + "\""),
                  kWeights),
       "a text in it has 20000000 bytes, more than the 16777216 that are read"},
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
      program_damage("NumberBeyond64Bits", R"("as_int": 2})", R"("as_int": 18446744073709551615})",
                     "18446744073709551615 is no whole number of 64 bits"),
      program_damage("Fraction", R"("as_int": 2})", R"("as_int": 1e30})",
                     "1e+30 is no whole number of 64 bits"),
      program_damage("NumberBeyondAll", R"("as_int": 2})", R"("as_int": 1e999})",
                     "number overflow parsing '1e999'"),
      program_damage("LongFormula", "Symbol('s0', positive=True, integer=True)",
                     "1" + repeated(" + 1", 100'000), " + 1` of an input is not understood"),
      program_damage("UsesItself", R"("arg": {"as_tensor": {"name": "x"}}, "kind": 1})",
                     R"("arg": {"as_tensor": {"name": "add"}}, "kind": 1})",
                     "argument `self` uses `add`, which nothing before it computes"),
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
      weight_damage("NegativeSize", R"("sizes": [{"as_int": 2}])", R"("sizes": [{"as_int": -2}])",
                    "`a.w` has no plain strided layout"),
      weight_damage("ManyDimensions", R"("sizes": [{"as_int": 2}], "strides": [{"as_int": 1}])",
                    R"("sizes": [{"as_int": 1})" + repeated(R"(,{"as_int": 1})", 64) +
                        R"(], "strides": [{"as_int": 1})" + repeated(R"(,{"as_int": 1})", 64) + "]",
                    "`a.w` has no plain strided layout"),
      weight_damage("OffsetOverflow", R"("as_int": 0}}},)", R"("as_int": 9223372036854775807}}},)",
                    "`a.w` needs too many bytes"),
      weight_damage(
          "Repeated", R"("sizes": [{"as_int": 2}], "strides": [{"as_int": 1}])",
          R"("sizes": [{"as_int": 1099511627776}], "strides": [{"as_int": 0}])",
          "`a.w` repeats the 8 bytes of the entry `data/weights/weight_0` to a size beyond"),
      weight_damage(
          "EntryOutside", R"("path_name": "weight_0")", R"("path_name": "../../x")",
          "`a.w` is in the entry `data/weights/../../x`, which the archive does not have"),
      weight_damage("DtypeIsText", R"("dtype": 7)", R"("dtype": "float")",
                    "`data/weights/model_weights_config.json` does not follow the export schema"),
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

TEST(Pt2HandMade, BytesThatTheirChecksumWasNotMadeOfAreRefused) {
  const TempDir folder;
  const std::string bytes = ZipFile::write(archive_of(kProgram, kWeights));
  const std::string changed = replaced(bytes, "aten.add.Tensor", "aten.sub.Tensor");
  EXPECT_THAT(
      error_text([&] { read(folder, changed); }),
      HasSubstr("the archive is damaged: the bytes of its entry `models/model.json` are not "
                "those that its checksum (CRC-32) was made of"));
}

TEST(Pt2HandMade, OfManyProblemsTheFirstAreShown) {
  const TempDir folder;
  std::string program = kProgram;
  for (int i = 0; i < 60; ++i) {
    program = replaced(program, R"("input_specs": [)",
                       R"("input_specs": [{"parameter": {"arg": {"name": "p)" + std::to_string(i) +
                           R"("}, "parameter_name": "none)" + std::to_string(i) + R"("}},)");
  }
  const std::string text =
      error_text([&] { read(folder, ZipFile::write(archive_of(program, kWeights))); });
  EXPECT_THAT(text, AllOf(HasSubstr("`none59` is not in the file"), HasSubstr("and 10 more")));
}

// What the reader cannot know: whether the operators can take what they are given.
TEST(Pt2HandMade, ConstantsOfAKindThatTheOperatorDoesNotTakeAreRefusedAtLoad) {
  const TempDir folder;
  const std::string program = replaced(kProgram, R"({"as_tensor": {"name": "p_w"}}, "kind")",
                                       R"({"as_string": "w"}, "kind")");
  const ModelData model = read(folder, ZipFile::write(archive_of(program, kWeights)));
  EXPECT_THAT(error_text([&] { Program(model.graph, model.tensors); }),
              HasSubstr("the operator aten::add.Tensor got String where Tensor is wanted for its "
                        "argument `other`"));
}

TEST(Pt2HandMade, AListOfResultsWhereTheOperatorGivesOneIsRefusedAtLoad) {
  const TempDir folder;
  const std::string program = replaced(kProgram, R"("outputs": [{"as_tensor": {"name": "add"}}],
        "metadata")",
                                       R"("outputs": [{"as_tensors": [{"name": "add"}]}],
        "metadata")");
  const ModelData model = read(folder, ZipFile::write(archive_of(program, kWeights)));
  EXPECT_THAT(error_text([&] { Program(model.graph, model.tensors); }),
              HasSubstr("the operator aten::add.Tensor gives no list of results"));
}

INSTANTIATE_TEST_SUITE_P(Programs, DamagedPt2, ::testing::ValuesIn(damages()),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace tenon
