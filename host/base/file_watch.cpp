#include "base/file_watch.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <csignal>
#include <cstdint>
#include <memory>
#include <mutex>

#include "base/suggest.h"

namespace tenon {
namespace {

// A signal handler can reach nothing but what is static, and may take no lock: it reads the ranges
// of the slots, which are set after all else of a slot and cleared before.
struct WatchSlot {
  std::atomic<std::uintptr_t> begin{0};
  std::atomic<std::uintptr_t> end{0};
  std::string path;
  struct stat facts {};
};

constexpr std::size_t kMostWatched = 4096;  // more are mapped, but not watched
constexpr std::size_t kNoSlot = kMostWatched;

std::array<WatchSlot, kMostWatched> watch_slots;
std::mutex watch_mutex;  // of the slots' other fields
std::atomic<std::size_t> lost_slot{kNoSlot};

std::size_t slot_at(std::uintptr_t address) {
  for (std::size_t i = 0; i < kMostWatched; ++i) {
    if (watch_slots[i].begin <= address && address < watch_slots[i].end) return i;
  }
  return kNoSlot;
}

// What lies behind the end of the file is lost up to the mapping's end.
extern "C" void replace_lost_pages(int, siginfo_t* info, void*) {
  const auto address = reinterpret_cast<std::uintptr_t>(info->si_addr);
  const std::size_t slot = slot_at(address);
  if (slot != kNoSlot) {
    const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
    const std::uintptr_t begin = address / page * page;
    void* const place = reinterpret_cast<void*>(begin);  // NOLINT(performance-no-int-to-ptr)
    lost_slot = slot;
    if (::mmap(place, watch_slots[slot].end - begin, PROT_READ | PROT_WRITE,
               MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED) {
      return;
    }
  }
  std::signal(SIGBUS, SIG_DFL);  // it comes again at once
}

bool is_changed(const WatchSlot& slot) {
  struct stat now {};
  // Another file in its place leaves the mapped one as it was.
  if (::stat(slot.path.c_str(), &now) != 0 || now.st_ino != slot.facts.st_ino ||
      now.st_dev != slot.facts.st_dev) {
    return false;
  }
  return now.st_size != slot.facts.st_size || now.st_mtim.tv_sec != slot.facts.st_mtim.tv_sec ||
         now.st_mtim.tv_nsec != slot.facts.st_mtim.tv_nsec;
}

}  // namespace

FileWatch::FileWatch(const std::filesystem::path& path, const struct stat& facts, void* address,
                     std::size_t size)
    : slot_(kNoSlot) {
  const std::lock_guard lock(watch_mutex);
  const WatchSlot* const lost = lost_slot == kNoSlot ? nullptr : &watch_slots[lost_slot];
  const auto free_slot =
      std::find_if(watch_slots.begin(), watch_slots.end(),
                   [&](const WatchSlot& slot) { return slot.end == 0 && &slot != lost; });
  if (free_slot == watch_slots.end()) return;
  slot_ = static_cast<std::size_t>(free_slot - watch_slots.begin());
  free_slot->path = std::filesystem::absolute(path).string();
  free_slot->facts = facts;
  free_slot->begin = reinterpret_cast<std::uintptr_t>(address);
  free_slot->end = free_slot->begin + size;
}

FileWatch::~FileWatch() {
  if (slot_ == kNoSlot) return;
  const std::lock_guard lock(watch_mutex);
  watch_slots[slot_].begin = 0;
  watch_slots[slot_].end = 0;
}

void survive_lost_files() {
  struct sigaction action {};
  action.sa_sigaction = replace_lost_pages;
  action.sa_flags = SA_SIGINFO;
  ::sigaction(SIGBUS, &action, nullptr);
}

bool is_file_lost() { return lost_slot != kNoSlot; }

std::vector<std::string> changed_files() {
  const std::lock_guard lock(watch_mutex);
  std::vector<std::string> problems;
  const std::size_t lost = lost_slot;
  if (lost != kNoSlot) {
    problems.push_back("`" + watch_slots[lost].path + "` was cut short while it was read");
  }
  for (std::size_t i = 0; i < kMostWatched; ++i) {
    if (i == lost || watch_slots[i].end == 0 || !is_changed(watch_slots[i])) continue;
    problems.push_back("`" + watch_slots[i].path + "` was written to while it was read");
  }
  return problems;
}

void require_unchanged_files(Stage stage) {
  const std::vector<std::string> problems = changed_files();
  if (problems.empty()) return;
  throw Error({.stage = stage,
               .message = join(problems, "; ") + "; nothing was written",
               .hint = "run again when nobody changes it; put a new file in an old one's place by "
                       "a rename, which leaves the old one whole for those that read it"});
}

}  // namespace tenon
