#include "base/file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/descriptor.h"
#include "base/output_file.h"

namespace tenon {
namespace {

[[noreturn]] void fail_to_read(const std::filesystem::path& path, Stage stage,
                               const std::string& reason) {
  throw Error{{.stage = stage, .message = "cannot read `" + path.string() + "`: " + reason}};
}

// O_NONBLOCK: a pipe given by mistake is told, not waited for.
int open_to_read(const std::filesystem::path& path, Stage stage) {
  const int number = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (number < 0) fail_to_read(path, stage, std::strerror(errno));
  return number;
}

struct RegularFile {
  RegularFile(const std::filesystem::path& path, Stage stage)
      : descriptor(open_to_read(path, stage)) {
    struct stat status {};
    if (::fstat(descriptor.number(), &status) != 0) {
      fail_to_read(path, stage, std::strerror(errno));
    }
    if (S_ISDIR(status.st_mode)) fail_to_read(path, stage, "it is a folder, not a file");
    if (!S_ISREG(status.st_mode)) fail_to_read(path, stage, "it is not a regular file");
    size = static_cast<std::size_t>(status.st_size);
  }

  Descriptor descriptor;
  std::size_t size = 0;
};

}  // namespace

MappedFile::MappedFile(const std::filesystem::path& path, Stage stage) : path_(path) {
  const RegularFile file(path, stage);
  if (file.size == 0) return;  // mmap refuses an empty range
  void* address =
      ::mmap(nullptr, file.size, PROT_READ | PROT_WRITE, MAP_PRIVATE, file.descriptor.number(), 0);
  if (address == MAP_FAILED) fail_to_read(path, stage, std::strerror(errno));
  data_ = static_cast<std::byte*>(address);
  size_ = file.size;
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(data_, size_);
}

std::string read_text_file(const std::filesystem::path& path, Stage stage) {
  const RegularFile file(path, stage);
  std::string text(file.size, '\0');
  std::size_t filled = 0;
  while (filled < text.size()) {
    const ssize_t count =
        ::read(file.descriptor.number(), text.data() + filled, text.size() - filled);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) fail_to_read(path, stage, std::strerror(errno));
    if (count == 0) break;  // it became shorter meanwhile
    filled += static_cast<std::size_t>(count);
  }
  text.resize(filled);
  return text;
}

void write_file(const std::filesystem::path& path, std::span<const std::string_view> parts) {
  OutputFile file(path);
  for (const std::string_view part : parts) file.write(part);
  file.finish();
  file.publish();
}

void write_file(const std::filesystem::path& path, std::string_view text) {
  write_file(path, std::span<const std::string_view>(&text, 1));
}

}  // namespace tenon
