#include "pt2/pt2_archive.h"

#include <functional>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "pt2/pt2_verify.h"
#include "support/error_matchers.h"
#include "support/temp_dir.h"
#include "support/zip_file.h"

namespace tenon {
namespace {

using ::testing::AllOf;
using testing::error_text;
using ::testing::HasSubstr;
using testing::TempDir;
using testing::ZipEntry;
using testing::ZipFile;

std::vector<ZipEntry> small_archive() {
  return {{"m/models/model.json", "{}"}, {"m/data/weights/weight_0", "abcdefgh"}};
}

std::string_view text(const Pt2Entry& entry) {
  return {reinterpret_cast<const char*>(entry.bytes.data()), entry.bytes.size()};
}

TEST(Pt2Archive, EntriesAreNamedWithoutTheTopFolderAndAliasTheMapping) {
  const TempDir folder;
  const Pt2Archive archive(folder.write("model.pt2", ZipFile::write(small_archive())));
  ASSERT_EQ(archive.entries().size(), 2U);
  const Pt2Entry* weight = archive.find("data/weights/weight_0");
  ASSERT_NE(weight, nullptr);
  EXPECT_EQ(text(*weight), "abcdefgh");
  EXPECT_EQ(weight->crc32, 0xaeef2a50U);
  EXPECT_GE(weight->bytes.data(), archive.mapping()->bytes().data());
  EXPECT_EQ(archive.find("weight_0"), nullptr);
}

TEST(Pt2Archive, VerifyingNamesTheDamagedEntries) {
  const TempDir folder;
  std::string whole = ZipFile::write(small_archive());
  EXPECT_NO_THROW(pt2::verify_archive(Pt2Archive(folder.write("model.pt2", whole))));
  whole[whole.find("abcdefgh") + 3] ^= 1;
  const Pt2Archive damaged(folder.write("damaged.pt2", whole));
  EXPECT_THAT(error_text([&] { pt2::verify_archive(damaged); }),
              HasSubstr("damaged.pt2: the archive is damaged: the bytes of its entry "
                        "`data/weights/weight_0` are not those that its checksum (CRC-32) was made "
                        "of\n  Copy the file again"));
}

TEST(Pt2Archive, Zip64DirectoriesAreRead) {
  const TempDir folder;
  const Pt2Archive archive(
      folder.write("model.pt2", ZipFile::write(small_archive(), {.zip64 = true})));
  ASSERT_NE(archive.find("models/model.json"), nullptr);
  EXPECT_EQ(text(*archive.find("models/model.json")), "{}");
}

TEST(Pt2Archive, AFileThatIsMissingIsAnErrorOfTheModelStage) {
  const TempDir folder;
  EXPECT_THAT(error_text([&] { Pt2Archive(folder / "none.pt2"); }),
              AllOf(HasSubstr("none.pt2: there is no such file"), HasSubstr("torch.export.save(")));
}

TEST(Pt2Archive, ATruncatedFileIsRefusedWhereverItEnds) {
  const TempDir folder;
  const std::string whole = ZipFile::write(small_archive(), {.alignment = 1});
  for (std::size_t size = 4; size < whole.size(); size += 37) {
    const auto path = folder.write("cut.pt2", whole.substr(0, size));
    EXPECT_THAT(error_text([&] { Pt2Archive{path}; }), HasSubstr("truncated")) << size;
  }
}

struct BadFile {
  std::string name;
  std::string bytes;
  std::string expected;
};

void PrintTo(const BadFile& file, std::ostream* stream) { *stream << file.name; }

std::string zip(std::vector<ZipEntry> more) {
  std::vector<ZipEntry> entries = small_archive();
  entries.insert(entries.end(), more.begin(), more.end());
  return ZipFile::write(entries);
}

// The last four bytes but two of the end record say where the directory starts.
std::string with_directory_at(std::uint8_t highest_byte) {
  std::string bytes = zip({});
  bytes[bytes.size() - 3] = static_cast<char>(highest_byte);
  return bytes;
}

// A zip64 archive with another number `offset` bytes behind the last place of `signature`.
std::string with_zip64_lie(std::string_view signature, std::size_t offset, std::uint64_t number) {
  std::string bytes = ZipFile::write(small_archive(), {.zip64 = true});
  const std::size_t place = bytes.rfind(signature);
  for (std::size_t i = 0; i < 8; ++i) {
    bytes[place + offset + i] = static_cast<char>(number >> (8 * i) & 0xFF);
  }
  return bytes;
}
constexpr std::string_view kZip64End = "PK\x06\x06";
constexpr std::string_view kZip64Locator = "PK\x06\x07";

// The directory's record of the last entry says that it begins elsewhere.
std::string with_header_elsewhere() {
  std::string bytes = zip({});
  bytes[bytes.rfind("PK\x01\x02") + 42] ^= 1;
  return bytes;
}

std::vector<BadFile> bad_files() {
  using namespace std::string_literals;
  return {
      {"Empty", "", "the file is empty"},
      {"Text", "hello, this is text", "it is not a zip archive"},
      {"SharedLibrary", "\x7f"s + "ELF.........", "this is a shared library"},
      {"Safetensors", "\x02\0\0\0\0\0\0\0{}"s, "this is a safetensors file: weights only"},
      {"Pickle", "\x80\x02}q\x01.",
       "a Python pickle (an old torch.save file), which is never read"},
      {"Onnx", "\x08\x0a\x12\x07pytorch\x1a\x05"s, "this is an ONNX model"},
      {"Gguf", "GGUF\x03\0\0\0"s, "this is a GGUF file (llama.cpp's)"},
      {"TensorFlowLite", "\x1c\0\0\0TFL3\0\0\0\0"s, "this is a TensorFlow Lite model"},
      {"Keras", "\x89HDF\r\n\x1a\n"s, "this is an HDF5 file"},
      {"Gzip", "\x1f\x8b\x08\0"s, "this is a gzip archive, not an exported program\n  Unpack it"},
      {"GitLfs", "version https://git-lfs.github.com/spec/v1\n", "this is a pointer of Git LFS"},
      {"ExecuTorch", "\x1c\0\0\0ET12\0\0\0\0"s, "this is an ExecuTorch program"},
      {"TorchScript",
       ZipFile::write({{"m/constants.pkl", "x"}, {"m/code/__torch__.py", "x"}, {"m/data.pkl", ""}}),
       "this is a TorchScript model"},
      {"Checkpoint", ZipFile::write({{"m/data.pkl", "x"}, {"m/data/0", "x"}}),
       "this is a torch.save checkpoint (pickled)"},
      {"AotInductor", ZipFile::write({{"m/data/aotinductor/model/x.wrapper.so", "x"}}),
       "this is an AOTInductor package"},
      {"OldExport", ZipFile::write({{"serialized_exported_program.json", "{}"}, {"version", "5"}}),
       "written by torch before 2.9\n  Export the model again"},
      {"OtherZip", ZipFile::write({{"docs/readme.txt", "x"}}),
       "a zip archive but not an exported program"},
      {"NoEntries", "PK\x03\x04"s + ZipFile::write({}), "it has no models/ folder"},
      {"Compressed", zip({{"m/x", "x", 8}}), "`m/x` is compressed"},
      {"Encrypted", zip({{"m/x", "x", 0, 1}}), "`m/x` is encrypted"},
      {"ParentInName", zip({{"m/../x", "x"}}), "the unsafe name `m/../x`"},
      {"AbsoluteName", zip({{"/m/x", "x"}}), "the unsafe name `/m/x`"},
      {"BackslashInName", zip({{"m\\x", "x"}}), "the unsafe name `m\\x`"},
      {"SecondTopFolder", zip({{"other/x", "x"}}), "`other/x` is outside its top folder `m/`"},
      {"TwiceTheSameName", zip({{"m/models/model.json", "x"}}),
       "it has two entries `models/model.json`"},
      {"Overlap", zip({{"m/a", "x", 0, 0, 90}, {"m/b", std::string(100, 'x')}}),
       "its entries `m/a` and `m/b` overlap"},
      {"OutsideTheFile", zip({{"m/x", "x", 0, 0, 0x7fffffff}}),
       "its entry `m/x` reaches outside the file's data"},
      {"LocalNameDiffers", zip({{"m/x", "x", 0, 0, {}, "m/y"}}),
       "the directory and the local header name `m/x` differently"},
      {"TooManyEntriesClaimed", ZipFile::write(small_archive(), {.extra_count = 1}),
       "its directory ends before its last entry"},
      {"ZipBomb", zip({{"m/x", "x", 8, 0, 0xFFFFFFF0}}), "`m/x` is compressed"},
      {"ZeroInName", zip({{"m/x\0y"s, "x"}}), "the unsafe name `m/x"},
      {"HeaderElsewhere", with_header_elsewhere(), "no local header where the directory says for"},
      {"Zip64SizeWithoutItsField", zip({{"m/x", "x", 0, 0, 0xFFFFFFFF}}),
       "its entry `m/x` reaches outside the file's data"},
      {"Zip64ManyEntries", with_zip64_lie(kZip64End, 32, std::uint64_t{1} << 40),
       "it claims 1099511627776 entries, more than the 1048576 that are read"},
      {"Zip64DirectorySize", with_zip64_lie(kZip64End, 40, UINT64_MAX),
       "its directory lies outside the file"},
      {"Zip64DirectoryPlace", with_zip64_lie(kZip64End, 48, UINT64_MAX - 100),
       "its directory lies outside the file"},
      {"Zip64EndElsewhere", with_zip64_lie(kZip64Locator, 8, UINT64_MAX - 2),
       "a header lies outside the file"},
      {"DirectoryOutsideTheFile", with_directory_at(0x70), "its directory lies outside the file"},
  };
}

class BadPt2File : public ::testing::TestWithParam<BadFile> {};

TEST_P(BadPt2File, IsRefusedByWhatItIs) {
  const TempDir folder;
  const auto path = folder.write("model.pt2", GetParam().bytes);
  const std::string message = error_text([&] { Pt2Archive{path}; });
  EXPECT_THAT(message, HasSubstr(GetParam().expected));
  EXPECT_THAT(message, HasSubstr("model.pt2"));
}

INSTANTIATE_TEST_SUITE_P(Files, BadPt2File, ::testing::ValuesIn(bad_files()),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace tenon
