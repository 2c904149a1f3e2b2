#include "base/file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace tenon {
namespace {

// An open file descriptor, closed when it goes.
class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  int number() const { return number_; }
  bool is_open() const { return number_ >= 0; }
  // Closing may be what reports that a network or quota file system could not keep the bytes.
  bool close() { return ::close(std::exchange(number_, -1)) == 0; }

 private:
  int number_;
};

[[noreturn]] void fail_to_read(const std::filesystem::path& path, Stage stage,
                               const std::string& reason) {
  throw Error{{.stage = stage, .message = "cannot read `" + path.string() + "`: " + reason}};
}

[[noreturn]] void fail_to_write(const std::filesystem::path& path, int code) {
  std::string hint = "nothing was changed on disk";
  if (code == ENOSPC || code == EDQUOT || code == EFBIG) {
    hint = "free some space or raise the limit and run again; " + hint;
  }
  throw Error{{.stage = Stage::kOutput,
               .message = "cannot write `" + path.string() + "`: " + std::strerror(code),
               .hint = hint}};
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

// A file that is removed again unless it was renamed into place.
class Temporary {
 public:
  explicit Temporary(std::filesystem::path path) : path_(std::move(path)) {}
  ~Temporary() {
    if (!path_.empty()) ::unlink(path_.c_str());
  }
  Temporary(const Temporary&) = delete;
  Temporary& operator=(const Temporary&) = delete;

  const std::filesystem::path& path() const { return path_; }
  bool rename_to(const std::filesystem::path& target) {
    if (::rename(path_.c_str(), target.c_str()) != 0) return false;
    path_.clear();
    return true;
  }

 private:
  std::filesystem::path path_;
};

bool write_all(int descriptor, std::string_view text) {
  while (!text.empty()) {
    const ssize_t count = ::write(descriptor, text.data(), text.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return false;
    text.remove_prefix(static_cast<std::size_t>(count));
  }
  return true;
}

// Makes the rename itself last through a power cut. The new file is complete and in place by now,
// so a file system that cannot sync a folder is no failure.
void sync_folder_of(const std::filesystem::path& path) {
  const std::filesystem::path folder = path.has_parent_path() ? path.parent_path() : ".";
  const Descriptor descriptor(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (descriptor.is_open()) ::fsync(descriptor.number());
}

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
  const std::filesystem::path name = path.string() + ".tmp-" + std::to_string(::getpid());
  ::unlink(name.c_str());  // of a process that crashed and had the same number
  Descriptor descriptor(
      ::open(name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666));
  if (!descriptor.is_open()) fail_to_write(path, errno);
  Temporary temporary(name);
  for (const std::string_view part : parts) {
    if (!write_all(descriptor.number(), part)) fail_to_write(path, errno);
  }
  if (::fsync(descriptor.number()) != 0) fail_to_write(path, errno);
  if (!descriptor.close()) fail_to_write(path, errno);
  if (!temporary.rename_to(path)) fail_to_write(path, errno);
  sync_folder_of(path);
}

void write_file(const std::filesystem::path& path, std::string_view text) {
  write_file(path, std::span<const std::string_view>(&text, 1));
}

}  // namespace tenon
