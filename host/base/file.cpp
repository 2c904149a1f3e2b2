#include "base/file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/descriptor.h"
#include "base/file_watch.h"
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
    if (::fstat(descriptor.number(), &status) != 0) {
      fail_to_read(path, stage, std::strerror(errno));
    }
    if (S_ISDIR(status.st_mode)) fail_to_read(path, stage, "it is a folder, not a file");
    if (!S_ISREG(status.st_mode)) fail_to_read(path, stage, "it is not a regular file");
  }

  std::size_t size() const { return static_cast<std::size_t>(status.st_size); }
  // Fills the bytes from the file's start; how many there were.
  std::size_t read(std::span<std::byte> bytes, const std::filesystem::path& path,
                   Stage stage) const {
    std::size_t filled = 0;
    while (filled < bytes.size()) {
      const ssize_t count =
          ::read(descriptor.number(), bytes.data() + filled, bytes.size() - filled);
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) fail_to_read(path, stage, std::strerror(errno));
      if (count == 0) break;  // it became shorter meanwhile
      filled += static_cast<std::size_t>(count);
    }
    return filled;
  }

  Descriptor descriptor;
  struct stat status {};
};

// Reading that much takes less time than noticing what happens to its mapping is worth.
constexpr std::size_t kCopiedBytes = std::size_t{1} << 20U;

}  // namespace

MappedFile::MappedFile(const std::filesystem::path& path, Stage stage) : path_(path) {
  const RegularFile file(path, stage);
  if (file.size() == 0) return;  // mmap refuses an empty range
  const bool is_copied = file.size() <= kCopiedBytes;
  void* address = ::mmap(nullptr, file.size(), PROT_READ | PROT_WRITE,
                         is_copied ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_PRIVATE,
                         is_copied ? -1 : file.descriptor.number(), 0);
  if (address == MAP_FAILED) fail_to_read(path, stage, std::strerror(errno));
  data_ = static_cast<std::byte*>(address);
  size_ = file.size();
  if (!is_copied) {
    watch_ = std::make_unique<FileWatch>(path, file.status, address, size_);
  } else if (file.read(bytes(), path, stage) < size_) {
    ::munmap(data_, size_);
    fail_to_read(path, stage, "it was cut short while it was read");
  }
}

MappedFile::~MappedFile() {
  watch_.reset();
  if (data_ != nullptr) ::munmap(data_, size_);
}

std::string read_text_file(const std::filesystem::path& path, Stage stage, std::size_t most) {
  const RegularFile file(path, stage);
  if (file.size() > most) {
    fail_to_read(path, stage,
                 "it has " + std::to_string(file.size()) + " bytes; at most " +
                     std::to_string(most) + " are read");
  }
  std::string text(file.size(), '\0');
  text.resize(file.read(std::as_writable_bytes(std::span(text)), path, stage));
  return text;
}

void write_file(const std::filesystem::path& path, std::span<const std::string_view> parts,
                Existing existing) {
  OutputFile file(path, existing);
  for (const std::string_view part : parts) file.write(part);
  file.finish();
  file.publish();
}

void write_file(const std::filesystem::path& path, std::string_view text, Existing existing) {
  write_file(path, std::span<const std::string_view>(&text, 1), existing);
}

}  // namespace tenon
