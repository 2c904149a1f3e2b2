#include "pt2/mapped_pages.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>

namespace tenon::pt2 {
namespace {

// Files of up to as many bytes are held as copies (base/file.cpp), whose pages come from nowhere:
// what is larger than that lies in a mapped one.
constexpr std::size_t kMostCopied = std::size_t{1} << 20U;

}  // namespace

void give_back_pages(std::span<const std::byte> bytes) {
  if (bytes.size() <= kMostCopied) return;
  const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto begin = reinterpret_cast<std::uintptr_t>(bytes.data());
  const std::uintptr_t first = (begin + page - 1) / page * page;
  const std::uintptr_t end = (begin + bytes.size()) / page * page;
  if (end <= first) return;
  // What cannot be given back stays, which is no fault.
  (void)::madvise(reinterpret_cast<void*>(first), end - first, MADV_DONTNEED);  // NOLINT
}

}  // namespace tenon::pt2
