#include "base/safetensors.h"

#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "support/error_matchers.h"
#include "support/temp_dir.h"

namespace tenon {
namespace {

using testing::error_text;
using ::testing::HasSubstr;
using testing::TempDir;

// Made by Hugging Face's own library: tests/data/README-safetensors.md.
std::filesystem::path library_file() {
  return std::filesystem::path(TENON_SOURCE) / "tests/data/hf.safetensors";
}

std::string little_endian(std::uint64_t value) {
  std::string bytes(sizeof value, '\0');
  std::memcpy(bytes.data(), &value, sizeof value);
  return bytes;
}

std::string file_with_header(const std::string& header, const std::string& data = "") {
  return little_endian(header.size()) + header + data;
}

std::string one_tensor(const std::string& dtype, const std::string& shape,
                       const std::string& offsets) {
  return R"({"w":{"dtype":")" + dtype + R"(","shape":)" + shape + R"(,"data_offsets":)" + offsets +
         "}}";
}

std::string two_tensors(const std::string& first, const std::string& second) {
  return R"({"a":{"dtype":"U8","shape":[4],"data_offsets":)" + first +
         R"(},"b":{"dtype":"U8","shape":[4],"data_offsets":)" + second + "}}";
}

std::string text_of(const SafetensorsEntry& entry) {
  return {reinterpret_cast<const char*>(entry.bytes.data()), entry.bytes.size()};
}

// The caller's memory must outlive the entry.
SafetensorsEntry entry_over(std::string& bytes, const std::string& name, const std::string& dtype,
                            std::vector<std::int64_t> shape) {
  return {.name = name,
          .dtype = dtype,
          .shape = std::move(shape),
          .bytes = std::as_writable_bytes(std::span(bytes))};
}

TEST(SafetensorsTest, RoundTripKeepsNamesShapesBytesAndMetadata) {
  const TempDir folder;
  std::string weight = "12345678abcdefgh";
  std::string bias = "wxyz";
  write_safetensors(
      folder / "x",
      {entry_over(bias, "bias", "F16", {2}), entry_over(weight, "weight", "F32", {2, 2})},
      {{"format", "pt"}, {"note", "a \"b\""}});

  const SafetensorsFile file(folder / "x", Stage::kData);
  ASSERT_EQ(file.entries().size(), 2);
  EXPECT_EQ(file.entries()[0].name, "weight");
  EXPECT_EQ(file.entries()[0].dtype, "F32");
  EXPECT_EQ(file.entries()[0].shape, (std::vector<std::int64_t>{2, 2}));
  EXPECT_EQ(text_of(file.entries()[0]), weight);
  ASSERT_NE(file.find("bias"), nullptr);
  EXPECT_EQ(text_of(*file.find("bias")), bias);
  EXPECT_EQ(file.find("other"), nullptr);
  EXPECT_EQ(file.metadata(),
            (std::map<std::string, std::string>{{"format", "pt"}, {"note", "a \"b\""}}));
}

TEST(SafetensorsTest, FileOfHuggingFacesLibraryIsRead) {
  const SafetensorsFile file(library_file(), Stage::kData);
  EXPECT_EQ(file.entries().size(), 22);
  EXPECT_EQ(file.metadata(), (std::map<std::string, std::string>{{"format", "pt"}}));

  const SafetensorsEntry* floats = file.find("float32");
  ASSERT_NE(floats, nullptr);
  EXPECT_EQ(floats->shape, (std::vector<std::int64_t>{2, 3}));
  std::vector<float> values(6);
  std::memcpy(values.data(), floats->bytes.data(), floats->bytes.size());
  EXPECT_EQ(values, (std::vector<float>{0, 1, 2, 3, 4, 5}));

  ASSERT_NE(file.find("empty"), nullptr);
  EXPECT_EQ(file.find("empty")->shape, (std::vector<std::int64_t>{0, 3}));
  ASSERT_NE(file.find("scalar"), nullptr);
  EXPECT_TRUE(file.find("scalar")->shape.empty());
  ASSERT_NE(file.find("größe \"a/b\"\n"), nullptr);
  EXPECT_EQ(text_of(*file.find("größe \"a/b\"\n")), "\x01\x02\x03");
}

TEST(SafetensorsTest, WrittenFileIsTheLibrarysByteForByte) {
  const TempDir folder;
  const SafetensorsFile file(library_file(), Stage::kData);
  std::vector<SafetensorsEntry> shuffled(file.entries().rbegin(), file.entries().rend());
  write_safetensors(folder / "x", shuffled, file.metadata());
  EXPECT_EQ(read_text_file(folder / "x", Stage::kData),
            read_text_file(library_file(), Stage::kData));
}

TEST(SafetensorsTest, FileWithoutTensorsIsKept) {
  const TempDir folder;
  write_safetensors(folder / "x", {}, {});
  EXPECT_EQ(read_text_file(folder / "x", Stage::kData), file_with_header("{}      "));
  EXPECT_TRUE(SafetensorsFile(folder / "x", Stage::kData).entries().empty());
}

TEST(SafetensorsTest, HeaderMayListTensorsInAnyOrder) {
  const TempDir folder;
  folder.write("x", file_with_header(two_tensors("[4,8]", "[0,4]"), "bbbbaaaa"));
  const SafetensorsFile file(folder / "x", Stage::kData);
  EXPECT_EQ(file.entries()[0].name, "b");
  EXPECT_EQ(text_of(*file.find("a")), "aaaa");
}

TEST(SafetensorsTest, EmptyTensorsMayShareAnOffset) {
  const TempDir folder;
  folder.write("x", file_with_header(R"({"a":{"dtype":"U8","shape":[0],"data_offsets":[2,2]},)"
                                     R"("b":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},)"
                                     R"("c":{"dtype":"U8","shape":[0],"data_offsets":[2,2]}})",
                                     "12"));
  EXPECT_EQ(SafetensorsFile(folder / "x", Stage::kData).entries().size(), 3);
}

TEST(SafetensorsTest, MissingFileIsNamed) {
  EXPECT_THAT(error_text([] { SafetensorsFile("nowhere.safetensors", Stage::kData); }),
              HasSubstr("nowhere.safetensors"));
}

struct BadFile {
  const char* name;
  std::string bytes;
  const char* expected;
};

class BadSafetensorsTest : public ::testing::TestWithParam<BadFile> {};

TEST_P(BadSafetensorsTest, IsRejectedWithFileAndReason) {
  const TempDir folder;
  const std::filesystem::path path = folder.write("bad.safetensors", GetParam().bytes);
  const std::string text = error_text([&] { SafetensorsFile(path, Stage::kData); });
  EXPECT_THAT(text, HasSubstr(path.string()));
  EXPECT_THAT(text, HasSubstr("not a valid safetensors file: "));
  EXPECT_THAT(text, HasSubstr(GetParam().expected));
  EXPECT_THAT(text, HasSubstr("copy or save the file again"));
}

INSTANTIATE_TEST_SUITE_P(
    Files, BadSafetensorsTest,
    ::testing::Values(
        BadFile{"Empty", "", "it has 0 bytes, too few for the header's length"},
        BadFile{"TooShort", "1234567", "it has 7 bytes, too few for the header's length"},
        BadFile{"HeaderBeyondFile", little_endian(3) + "{}",
                "its header claims 3 bytes, but only 2 follow"},
        BadFile{"HeaderOverLimit", little_endian(100'000'001) + "{}",
                "its header claims 100000001 bytes, over the limit of 100000000"},
        BadFile{"HeaderLengthWraps", little_endian(UINT64_MAX) + "{}",
                "its header claims 18446744073709551615 bytes, over the limit"},
        BadFile{"HeaderEmpty", little_endian(0), "its header is not valid JSON"},
        BadFile{"HeaderNotJson", file_with_header("{\"a\":"), "its header is not valid JSON"},
        BadFile{"HeaderNotUtf8", file_with_header("{\"\xff\":1}"), "its header is not valid JSON"},
        BadFile{"HeaderNotATable", file_with_header("[1]"), "its header is a list, not a table"},
        BadFile{"HeaderDeeplyNested", file_with_header(std::string(100000, '[')),
                "its header is nested deeper than 32 levels"},
        BadFile{"NameTwice",
                file_with_header(R"({"w":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
                                 R"("w":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})",
                                 "1"),
                "its header gives `w` twice"},
        BadFile{"TensorNotATable", file_with_header(R"({"w":1})"),
                "tensor `w` must have exactly `dtype`, `shape` and `data_offsets`"},
        BadFile{"KeyMissing", file_with_header(R"({"w":{"dtype":"U8","shape":[1]}})", "1"),
                "tensor `w` must have exactly `dtype`, `shape` and `data_offsets`"},
        BadFile{"KeyTooMany",
                file_with_header(
                    R"({"w":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"stride":[1]}})", "1"),
                "tensor `w` must have exactly `dtype`, `shape` and `data_offsets`"},
        BadFile{"UnknownDtype", file_with_header(one_tensor("F31", "[1]", "[0,4]"), "1234"),
                "tensor `w` has the unknown dtype `F31`"},
        BadFile{"NegativeShape", file_with_header(one_tensor("U8", "[-1]", "[0,1]"), "1"),
                "tensor `w` has -1 in `shape`, not a whole number from 0 up"},
        BadFile{"FloatShape", file_with_header(one_tensor("U8", "[1.0]", "[0,1]"), "1"),
                "tensor `w` has 1.0 in `shape`, not a whole number from 0 up"},
        BadFile{"ShapeOver63Bits",
                file_with_header(one_tensor("U8", "[9223372036854775808]", "[0,1]"), "1"),
                "tensor `w` has 9223372036854775808 in `shape`"},
        BadFile{"ProductOverflow",
                file_with_header(one_tensor("F32", "[4294967296,4294967296]", "[0,0]")),
                "tensor `w` has a shape whose size overflows"},
        BadFile{"ProductOverflowBehindZero",
                file_with_header(one_tensor("F32", "[0,4294967296,4294967296]", "[0,0]")),
                "tensor `w` has a shape whose size overflows"},
        BadFile{"ItemSizeOverflow",
                file_with_header(one_tensor("F64", "[2305843009213693952]", "[0,0]")),
                "tensor `w` has a shape whose size overflows"},
        BadFile{"OneOffset", file_with_header(one_tensor("U8", "[1]", "[1]"), "1"),
                "tensor `w` must have two `data_offsets`"},
        BadFile{"NegativeOffset", file_with_header(one_tensor("U8", "[1]", "[-1,0]"), "1"),
                "tensor `w` has -1 in `data_offsets`"},
        BadFile{"OffsetBeyondFile", file_with_header(one_tensor("U8", "[4]", "[0,4]"), "123"),
                "tensor `w` ends at byte 4 of the data, which has 3; the file is cut short"},
        BadFile{"EndsBeforeItBegins", file_with_header(one_tensor("U8", "[1]", "[1,0]"), "1"),
                "tensor `w` ends before it begins"},
        BadFile{"TooFewBytes", file_with_header(one_tensor("F32", "[2]", "[0,4]"), "1234"),
                "tensor `w` has 4 bytes, its shape needs 8"},
        BadFile{"Overlap", file_with_header(two_tensors("[0,4]", "[2,6]"), "123456"),
                "tensor `b` overlaps the tensor before it"},
        BadFile{"SameBytesTwice", file_with_header(two_tensors("[0,4]", "[0,4]"), "1234"),
                "overlaps the tensor before it"},
        BadFile{"Hole", file_with_header(two_tensors("[0,4]", "[6,10]"), "1234567890"),
                "tensor `b` leaves 2 unused bytes before it"},
        BadFile{"HoleAtStart", file_with_header(one_tensor("U8", "[1]", "[1,2]"), "12"),
                "tensor `w` leaves 1 unused bytes before it"},
        BadFile{"TrailingBytes", file_with_header(one_tensor("U8", "[1]", "[0,1]"), "123"),
                "2 bytes follow the last tensor"},
        BadFile{"MetadataNotATable", file_with_header(R"({"__metadata__":["a"]})"),
                "its `__metadata__` is a list, not a table"},
        BadFile{"MetadataNotText", file_with_header(R"({"__metadata__":{"a":1}})"),
                "its metadata `a` is a number, not a string"}),
    [](const auto& test) { return test.param.name; });

TEST(SafetensorsTest, EveryCutOfAGoodFileIsRejected) {
  const TempDir folder;
  const std::string whole = read_text_file(library_file(), Stage::kData);
  for (std::size_t size = 0; size < whole.size(); size += 131) {
    const auto path = folder.write("cut", whole.substr(0, size));
    EXPECT_THAT(error_text([&] { SafetensorsFile(path, Stage::kData); }),
                HasSubstr("not a valid safetensors file"))
        << size;
  }
}

struct BadEntries {
  const char* name;
  const char* tensor;
  const char* dtype;
  std::vector<std::int64_t> shape;
  const char* expected;
};

class BadWriteTest : public ::testing::TestWithParam<BadEntries> {};

TEST_P(BadWriteTest, IsRefusedAndLeavesTheOldFile) {
  const TempDir folder;
  const auto path = folder.write("x", "old");
  std::string first = "1234";
  std::string second = "abcd";
  const BadEntries& bad = GetParam();
  const std::string text = error_text([&] {
    write_safetensors(
        path,
        {entry_over(first, "w", "U8", {4}), entry_over(second, bad.tensor, bad.dtype, bad.shape)},
        {});
  });
  EXPECT_THAT(text, HasSubstr(path.string() + ": cannot write these tensors: "));
  EXPECT_THAT(text, HasSubstr(bad.expected));
  EXPECT_EQ(read_text_file(path, Stage::kData), "old");
}

INSTANTIATE_TEST_SUITE_P(
    Entries, BadWriteTest,
    ::testing::Values(
        BadEntries{"NameTwice", "w", "U8", {4}, "the name `w` is taken"},
        BadEntries{"NameOfMetadata", "__metadata__", "U8", {4}, "the name `__metadata__` is taken"},
        BadEntries{"UnknownDtype", "v", "F31", {4}, "`v` has the unknown dtype `F31`"},
        BadEntries{"WrongByteCount",
                   "v",
                   "F32",
                   {2},
                   "`v` has 4 bytes, which is not what its shape needs"},
        BadEntries{"NameNotUtf8", "\xff", "U8", {4}, "a name or the metadata is not UTF-8"}),
    [](const auto& test) { return test.param.name; });

TEST(SafetensorsTest, ItemSizesAreThoseOfTheFormat) {
  EXPECT_EQ(safetensors_item_size("F64"), 8);
  EXPECT_EQ(safetensors_item_size("BF16"), 2);
  EXPECT_EQ(safetensors_item_size("BOOL"), 1);
  EXPECT_EQ(safetensors_item_size("f32"), 0);
}

}  // namespace
}  // namespace tenon
