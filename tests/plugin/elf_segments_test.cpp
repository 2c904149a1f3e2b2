#include "plugin/elf_segments.h"

#include <dlfcn.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <random>
#include <string>
#include <variant>

#include "base/file.h"
#include "plugin/elf_library.h"
#include "plugin/plugin_offer.h"
#include "support/temp_dir.h"

namespace tenon {
namespace {

using testing::TempDir;

std::span<const std::byte> bytes_of(const std::string& text) {
  return std::as_bytes(std::span(text));
}

bool is_trusted(const std::string& library) {
  return std::holds_alternative<ElfLibrary>(ElfLibrary::read(bytes_of(library))) &&
         !ElfSegments(bytes_of(library)).read();
}

std::string echo() { return read_text_file(TENON_ECHO_PLUGIN, Stage::kPlugins); }

// Whether the dynamic linker takes the library or leaves it, and does not die of it.
bool can_be_opened_safely(const std::string& library) {
  const TempDir dir;
  const auto file = dir.write("plugin.so", library);
  const pid_t child = ::fork();
  if (child == 0) {
    ::dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status);
}

TEST(ElfSegmentsTest, LibrariesOfTheseCompilersAreTrusted) {
  EXPECT_TRUE(is_trusted(echo()));
  EXPECT_TRUE(is_trusted(read_text_file(TENON_MARKED_PLUGIN, Stage::kPlugins)));
}

TEST(ElfSegmentsTest, NoFlippedBitOfTheHeadersEndsTheProcess) {
  const std::string whole = echo();
  Elf64_Ehdr header;
  std::memcpy(&header, whole.data(), sizeof header);
  const std::size_t end = header.e_phoff + header.e_phnum * sizeof(Elf64_Phdr);
  int refused = 0;
  int opened = 0;
  for (std::size_t bit = 0; bit < 8 * end; ++bit) {
    std::string changed = whole;
    changed[bit / 8] = static_cast<char>(changed[bit / 8] ^ 1 << bit % 8);
    if (!is_trusted(changed)) {
      ++refused;
    } else if (++opened % 4 == 0) {  // a process for each takes its time
      EXPECT_TRUE(can_be_opened_safely(changed)) << "bit " << bit % 8 << " of byte " << bit / 8;
    }
  }
  EXPECT_GT(refused, 1000);
  EXPECT_GT(opened, 100);
}

TEST(ElfSegmentsTest, NoFlippedBitOfWhatTheLinkerFollowsEndsTheProcess) {
  const std::string whole = echo();
  const auto library = std::get<ElfLibrary>(ElfLibrary::read(bytes_of(whole)));
  std::mt19937 generator(1);
  for (const char* name : {".dynamic", ".rela.dyn", ".gnu.hash"}) {
    const ElfSection* section = library.find(name);
    ASSERT_NE(section, nullptr) << name;
    const auto begin = reinterpret_cast<const char*>(section->bytes.data()) - whole.data();
    for (int i = 0; i < 150; ++i) {
      std::string changed = whole;
      const std::size_t at = static_cast<std::size_t>(begin) + generator() % section->bytes.size();
      changed[at] = static_cast<char>(changed[at] ^ 1 << generator() % 8);
      if (is_trusted(changed)) {
        EXPECT_TRUE(can_be_opened_safely(changed)) << name << " byte " << at;
      }
    }
  }
}

TEST(ElfSegmentsTest, DamagedTableIsRefusedOrReadButNeverFollowedOutside) {
  const std::string whole = echo();
  std::mt19937 generator(2);
  int read = 0;
  for (int i = 0; i < 3000; ++i) {
    std::string changed = whole;
    for (int k = 0; k <= i % 3; ++k) {
      changed[generator() % changed.size()] = static_cast<char>(generator());
    }
    read += static_cast<int>(std::holds_alternative<PluginOffer>(read_offer(bytes_of(changed))));
  }
  EXPECT_GT(read, 100);
}

TEST(ElfSegmentsTest, CutLibraryIsRefused) {
  const std::string whole = echo();
  for (std::size_t size = 0; size < whole.size(); size += 1 + size / 8) {
    EXPECT_FALSE(is_trusted(whole.substr(0, size))) << size;
  }
}

}  // namespace
}  // namespace tenon
