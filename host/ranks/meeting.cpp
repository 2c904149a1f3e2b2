#ifdef TENON_HAS_GLOO
#include "ranks/meeting.h"

#include <c10/util/Exception.h>
#include <unistd.h>

#include <algorithm>

#include "base/error.h"
#include "base/suggest.h"

namespace tenon {
namespace {

using Clock = std::chrono::steady_clock;

constexpr const char* kFailure = "failure";
// For what is in the store already.
constexpr Milliseconds kAnswer{500};
// For what every rank that lives does at once.
constexpr Milliseconds kPatience{3000};

std::string rank_text(int rank) { return "rank " + std::to_string(rank); }

std::string text_of(const std::exception& error) {
  const auto* known = dynamic_cast<const c10::Error*>(&error);
  return known != nullptr ? known->what_without_backtrace() : error.what();
}

// Of gloo's words what tells something: neither its source's place nor its advice.
std::string short_reason(const std::exception& error) {
  std::string text = text_of(error);
  if (text.starts_with('[')) text = text.substr(std::min(text.find("] ") + 2, text.size()));
  return text.substr(0, text.find(". This is typically"));
}

[[noreturn]] void fail_ranks(const std::string& message, const std::string& hint) {
  throw Error({.stage = Stage::kTraining, .message = message, .hint = hint});
}

std::string own_name() {
  char host[256] = "";
  ::gethostname(host, sizeof(host) - 1);
  return std::string(host) + ", process " + std::to_string(::getpid());
}

Milliseconds time_until(Clock::time_point end, Milliseconds least) {
  return std::max(std::chrono::duration_cast<Milliseconds>(end - Clock::now()), least);
}

}  // namespace

Milliseconds milliseconds(double seconds) {
  constexpr double kThousand = 1000;
  return Milliseconds(static_cast<std::int64_t>(seconds * kThousand));
}

Meeting::Meeting(const Launch& launch, double seconds)
    : rank_(launch.rank), count_(launch.count), store_(connect(launch, seconds)) {
  meet(seconds);
}

c10::intrusive_ptr<c10d::Store> Meeting::connect(const Launch& launch, double seconds) const {
  c10d::TCPStoreOptions options;
  options.port = launch.port;
  options.isServer = rank_ == 0 && !launch.has_store;
  options.waitWorkers = false;
  options.timeout = milliseconds(seconds);
  const std::string place = launch.address + ":" + std::to_string(launch.port);
  try {
    return c10::make_intrusive<c10d::PrefixStore>(
        "tenon/" + launch.attempt, c10::make_intrusive<c10d::TCPStore>(launch.address, options));
  } catch (const std::exception& error) {
    const std::string what = options.isServer ? " cannot open" : " cannot reach";
    fail_ranks(rank_text(rank_) + what + " the ranks' store at " + place + ": " + text_of(error),
               "MASTER_ADDR and MASTER_PORT name the machine of rank 0 and a free port there, "
               "which every machine must reach");
  }
}

// Learns what each rank is.
void Meeting::meet(double seconds) {
  const Clock::time_point end = Clock::now() + milliseconds(seconds);
  std::vector<std::string> missing;
  try {
    store_->set("here/" + std::to_string(rank_), own_name());
  } catch (const std::exception& error) {
    explain(error);
  }
  for (int i = 0; i < count_; ++i) {
    const auto name = look_up("here/" + std::to_string(i), time_until(end, Milliseconds(1)));
    if (!name) missing.push_back(rank_text(i));
    names_.push_back(name.value_or("not met"));
  }
  if (missing.empty()) return;
  fail_ranks("of " + std::to_string(count_) + " processes these did not come: " + join(missing),
             "look at what they printed, or whether their machines reach rank 0's");
}

std::optional<std::string> Meeting::look_up(const std::string& key, Milliseconds patience) {
  try {
    store_->wait({key}, patience);
    return store_->get_to_str(key);
  } catch (const std::exception&) {
    return std::nullopt;  // not there yet, or no store any more
  }
}

// Under this rank's number; whether there is still a store to note it in.
bool Meeting::note(const std::string& what) {
  try {
    store_->set(what + std::to_string(rank_), "");
    return true;
  } catch (const std::exception&) {
    return false;
  }
}

bool Meeting::leave_word(const std::string& reason) {
  const std::string own = std::to_string(rank_) + " " + reason;
  try {
    const std::string first = store_->compareSet(kFailure, "", own);
    return first == own || first.substr(first.find(' ') + 1) != reason;
  } catch (const std::exception&) {
    return true;  // nobody can read it any more
  }
}

void Meeting::wait_for_readers() {
  std::vector<std::string> read;
  for (int i = 1; i < count_; ++i) read.push_back("read/" + std::to_string(i));
  try {
    store_->wait(read, kPatience);
  } catch (const std::exception&) {  // NOLINT(bugprone-empty-catch): it ends for its own reason
  }
}

void Meeting::explain(const std::exception& error) {
  // A rank that fails leaves word before it closes its connections.
  if (const auto failure = look_up(kFailure, kAnswer)) {
    note_as_read();
    const std::size_t space = failure->find(' ');
    fail_ranks("rank " + failure->substr(0, space) + " failed: " + failure->substr(space + 1), "");
  }
  const std::string reason = short_reason(error);
  const std::vector<std::string> silent = silent_ranks();
  if (silent.empty()) {
    fail_ranks("the connection between the ranks broke: " + reason,
               "all of them still run; look at the network between their machines");
  }
  const std::string what = silent.size() == 1 ? " ended or hangs: " : " ended or hang: ";
  fail_ranks(join(silent) + what + reason,
             "look at what it printed last; a process killed for memory prints nothing");
}

// Those that did not notice the loss, so that they are its cause.
std::vector<std::string> Meeting::silent_ranks() {
  if (!note("lost/")) return {title_of(0)};
  std::vector<std::string> silent;
  const Clock::time_point end = Clock::now() + kPatience;
  for (int i = 0; i < count_; ++i) {
    if (!look_up("lost/" + std::to_string(i), time_until(end, kAnswer))) {
      silent.push_back(title_of(i));
    }
  }
  return silent;
}

std::string Meeting::title_of(int rank) const {
  const auto place = static_cast<std::size_t>(rank);
  return rank_text(rank) + " (" + (place < names_.size() ? names_[place] : "not met") + ")";
}

}  // namespace tenon
#endif
