#include "pt2/pt2_verify.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "base/hash.h"
#include "pt2/mapped_pages.h"

namespace tenon::pt2 {

// Each thread takes the next entry: one may be as large as all others together.
void verify_archive(const Pt2Archive& archive) {
  const std::vector<Pt2Entry>& entries = archive.entries();
  std::vector<std::atomic<bool>> damaged(entries.size());
  std::atomic<std::size_t> next{0};
  at::parallel_for(0, at::get_num_threads(), 1, [&](std::int64_t, std::int64_t) {
    for (std::size_t i = next++; i < entries.size(); i = next++) {
      damaged[i] = crc32(entries[i].bytes) != entries[i].crc32;
      // A base that is quantised never needs all of its file at once.
      give_back_pages(entries[i].bytes);
    }
  });
  std::vector<std::string> names;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    if (damaged[i]) names.push_back(entries[i].name);
  }
  if (!names.empty()) refuse_damaged_entries(archive, std::move(names));
}

}  // namespace tenon::pt2
