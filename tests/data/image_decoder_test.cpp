#include "data/image_decoder.h"

#include <ATen/ops/equal.h>

#include <random>

#include "base/file.h"
#include "data/image_formats.h"
#include "support/error_matchers.h"
#include "support/temp_dir.h"

namespace tenon {
namespace {

using ::testing::HasSubstr;
using testing::TempDir;

const std::filesystem::path kPatterns =
    std::filesystem::path(TENON_SOURCE) / "configs/data/patterns/train/rows";

// Every result but an error of the data's stage would end the test.
bool can_be_read(const std::filesystem::path& file) {
  try {
    return decode_image(file, 3).numel() > 0;
  } catch (const Error& error) {
    EXPECT_EQ(error.failure().stage, Stage::kData);
    EXPECT_EQ(error.failure().location, file.string());
    EXPECT_FALSE(error.failure().message.ends_with(": ")) << error.what();
    return false;
  }
}

TEST(ImageDecoder, OfACutFileNothingIsTaken) {
  const TempDir dir;
  for (const char* name : {"00.jpg", "01.png"}) {
    const std::string whole = read_text_file(kPatterns / name, Stage::kData);
    for (std::size_t size = 0; size + 2 < whole.size(); size += 1 + size / 16) {
      EXPECT_FALSE(can_be_read(dir.write(name, whole.substr(0, size)))) << name << " " << size;
    }
    EXPECT_TRUE(can_be_read(dir.write(name, whole)));
  }
}

TEST(ImageDecoder, ChangedBytesAreAnErrorOrAnImageButNeverACrash) {
  const TempDir dir;
  std::mt19937 generator(1);
  for (const char* name : {"00.jpg", "01.png"}) {
    const std::string whole = read_text_file(kPatterns / name, Stage::kData);
    for (int trial = 0; trial < 300; ++trial) {
      std::string changed = whole;
      for (int i = 0; i <= trial % 4; ++i) {
        changed[generator() % (trial % 2 == 0 ? 64 : whole.size())] =
            static_cast<char>(generator());
      }
      can_be_read(dir.write(name, changed));
    }
  }
}

TEST(ImageDecoder, SizesAreCheckedBeforeMemoryIsAskedFor) {
  EXPECT_EQ(check_image_size(13377, 13377), "");
  EXPECT_THAT(check_image_size(13378, 13378), HasSubstr("it claims 13378 x 13378 pixels"));
  EXPECT_THAT(check_image_size(UINT32_MAX, UINT32_MAX), HasSubstr("at most 178956970 are read"));
  EXPECT_EQ(check_image_size(0, 5), "it has no pixels");
}

// The directory of an EXIF block with one entry.
std::vector<unsigned char> exif(bool big_endian, unsigned char orientation) {
  if (big_endian) {
    return {'M', 'M', 0, 42, 0, 0, 0, 8, 0, 1, 1, 0x12, 0, 3, 0, 0, 0, 1, 0, orientation, 0, 0};
  }
  return {'I', 'I', 42, 0, 8, 0, 0, 0, 1, 0, 0x12, 1, 3, 0, 1, 0, 0, 0, orientation, 0, 0, 0};
}

TEST(ExifOrientation, IsReadInBothByteOrders) {
  EXPECT_EQ(exif_orientation(exif(false, 6)), 6);
  EXPECT_EQ(exif_orientation(exif(true, 6)), 6);
  EXPECT_EQ(exif_orientation(exif(true, 9)), 1);
}

TEST(ExifOrientation, OfABlockThatIsCutOrPointsOutsideIsOne) {
  const std::vector<unsigned char> whole = exif(true, 6);
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_EQ(exif_orientation(std::span(whole).first(size)), 1) << size;
  }
  std::vector<unsigned char> outside = whole;
  outside[4] = outside[5] = outside[6] = outside[7] = 0xFF;
  EXPECT_EQ(exif_orientation(outside), 1);
}

}  // namespace
}  // namespace tenon
