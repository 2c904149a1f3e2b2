#include "model/tensor_file.h"

#include <ATen/ATen.h>

#include <cstring>

#include "base/safetensors.h"
#include "support/error_matchers.h"
#include "support/temp_dir.h"

namespace tenon {
namespace {

using testing::error_text;
using ::testing::HasSubstr;
using testing::TempDir;

at::Tensor only_tensor(const NamedTensors& tensors) {
  EXPECT_EQ(tensors.size(), 1);
  return tensors.front().second;
}

class DtypeTest : public ::testing::TestWithParam<at::ScalarType> {};

TEST_P(DtypeTest, RoundTripKeepsDtypeShapeAndValues) {
  const TempDir folder;
  const at::Tensor tensor = at::arange(6, at::kFloat).reshape({2, 3}).to(GetParam());
  write_tensor_file(folder / "x", {{"w", tensor}});
  const at::Tensor read = only_tensor(read_tensor_file(folder / "x", Stage::kData));
  EXPECT_EQ(read.scalar_type(), GetParam());
  EXPECT_EQ(read.sizes(), tensor.sizes());
  EXPECT_EQ(std::memcmp(read.const_data_ptr(), tensor.const_data_ptr(), tensor.nbytes()), 0);
}

INSTANTIATE_TEST_SUITE_P(Dtypes, DtypeTest,
                         ::testing::Values(at::kDouble, at::kFloat, at::kHalf, at::kBFloat16,
                                           at::kLong, at::kInt, at::kShort, at::kChar, at::kByte,
                                           at::kBool, at::kComplexFloat, at::kUInt16,
                                           at::kFloat8_e4m3fn),
                         [](const auto& test) { return std::string(c10::toString(test.param)); });

TEST(TensorFileTest, StridedAndTrackedTensorsAreWrittenAsTheirValues) {
  const TempDir folder;
  const at::Tensor base = at::arange(12, at::kFloat).reshape({3, 4}).requires_grad_(true);
  write_tensor_file(folder / "x", {{"w", base.t().slice(0, 1, 3)}});
  const at::Tensor read = only_tensor(read_tensor_file(folder / "x", Stage::kData));
  EXPECT_TRUE(at::equal(read, base.detach().t().slice(0, 1, 3)));
  EXPECT_FALSE(read.requires_grad());
}

TEST(TensorFileTest, TensorsOutliveTheReaderAndNeverChangeTheFile) {
  const TempDir folder;
  write_tensor_file(folder / "x", {{"w", at::ones({4})}});
  const at::Tensor read = only_tensor(read_tensor_file(folder / "x", Stage::kData));
  read.fill_(7);
  EXPECT_TRUE(at::equal(read, at::full({4}, 7)));
  EXPECT_TRUE(at::equal(only_tensor(read_tensor_file(folder / "x", Stage::kData)), at::ones({4})));
}

TEST(TensorFileTest, EmptyAndScalarTensorsAreKept) {
  const TempDir folder;
  write_tensor_file(folder / "x", {{"empty", at::empty({0, 3})}, {"one", at::scalar_tensor(2.5)}});
  const NamedTensors read = read_tensor_file(folder / "x", Stage::kData);
  ASSERT_EQ(read.size(), 2);
  EXPECT_EQ(read[0].second.sizes(), (std::vector<std::int64_t>{0, 3}));
  EXPECT_EQ(read[1].second.dim(), 0);
  EXPECT_EQ(read[1].second.item<double>(), 2.5);
}

TEST(TensorFileTest, MisalignedTensorsAreCopied) {
  const TempDir folder;
  // A header of 69 bytes puts the floats at an odd address.
  const std::string header =
      R"({"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})" + std::string(15, ' ');
  ASSERT_EQ(header.size(), 69);
  const float value = 1.5;
  std::string bytes = "\x45" + std::string(7, '\0') + header + std::string(4, '\0');
  std::memcpy(bytes.data() + bytes.size() - 4, &value, sizeof value);
  folder.write("x", bytes);
  const at::Tensor read = only_tensor(read_tensor_file(folder / "x", Stage::kData));
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(read.const_data_ptr()) % sizeof(float), 0);
  EXPECT_EQ(read.item<float>(), 1.5F);
}

TEST(TensorFileTest, MetadataIsPeftsByDefault) {
  const TempDir folder;
  write_tensor_file(folder / "x", {{"w", at::ones({1})}});
  EXPECT_EQ(SafetensorsFile(folder / "x", Stage::kData).metadata(),
            (std::map<std::string, std::string>{{"format", "pt"}}));
}

TEST(TensorFileTest, DtypeThatTheFormatLacksIsNamed) {
  const TempDir folder;
  EXPECT_THAT(error_text([&] {
                write_tensor_file(folder / "x", {{"w", at::ones({1}, at::kComplexDouble)}});
              }),
              HasSubstr("cannot write `w`: a safetensors file has no dtype for ComplexDouble"));
  EXPECT_FALSE(std::filesystem::exists(folder / "x"));
}

}  // namespace
}  // namespace tenon
