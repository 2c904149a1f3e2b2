// The one source that knows of c10d, whose headers are slow to compile and move between versions of
// LibTorch. Of gloo itself only the headers are there, and of another version than LibTorch's own:
// nothing of gloo's is made, called or looked into here.
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/zeros.h>
#include <c10/util/Exception.h>
#include <c10/util/Logging.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <exception>
#include <functional>
#include <optional>
#include <utility>

#include "base/error.h"
#include "base/suggest.h"
#include "ranks/join.h"
#include "ranks/local_address.h"

#ifdef TENON_HAS_GLOO
#define USE_C10D_GLOO
#if __has_include(<torch/csrc/distributed/c10d/gloo/ProcessGroupGloo.hpp>)
#include <torch/csrc/distributed/c10d/gloo/ProcessGroupGloo.hpp>
#else
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#endif
#if __has_include(<torch/csrc/distributed/c10d/store/TCPStore.hpp>)
#include <torch/csrc/distributed/c10d/store/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/store/TCPStore.hpp>
#else
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>
#endif
#endif

namespace tenon {

#ifdef TENON_HAS_GLOO
namespace {

using Milliseconds = std::chrono::milliseconds;
using Group = c10d::ProcessGroupGloo;
using Store = c10::intrusive_ptr<c10d::Store>;

constexpr const char* kFailure = "failure";
// For what is in the store already.
constexpr Milliseconds kAnswer{500};
// For what every rank that lives does at once.
constexpr Milliseconds kPatience{3000};

Milliseconds milliseconds(double seconds) {
  constexpr double kThousand = 1000;
  return Milliseconds(static_cast<std::int64_t>(seconds * kThousand));
}

std::string rank_text(int rank) { return "rank " + std::to_string(rank); }
std::string key_of(const char* what, int rank) { return what + std::to_string(rank); }

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

std::optional<std::string> look_up(c10d::Store& store, const std::string& key,
                                   Milliseconds patience) {
  try {
    store.wait({key}, patience);
    return store.get_to_str(key);
  } catch (const std::exception&) {
    return std::nullopt;  // not there yet, or no store any more
  }
}

// The device that the ranks' sockets are made on: by GLOO_SOCKET_IFNAME as for PyTorch itself, else
// the address by which this machine reaches the store's.
auto make_device(const Launch& launch) {
  const Variables variables = environment();
  if (const auto name = variables("GLOO_SOCKET_IFNAME")) {
    return Group::createDeviceForInterface(*name);
  }
  if (launch.local_count == launch.count) return Group::createDeviceForHostname("127.0.0.1");
  const std::string address = address_towards(launch.address, launch.port);
  return address.empty() ? Group::createDefaultDevice() : Group::createDeviceForHostname(address);
}

class GlooRanks final : public Ranks {
 public:
  GlooRanks(const Launch& launch, double seconds)
      : rank_(launch.rank), count_(launch.count), store_(connect(launch, seconds)) {
    meet(seconds);
    auto options = Group::Options::create(milliseconds(seconds));
    options->threads = 1;
    try {
      options->devices.push_back(make_device(launch));
      group_ = c10::make_intrusive<Group>(c10::make_intrusive<c10d::PrefixStore>("gloo", store_),
                                          rank_, count_, options);
    } catch (const std::exception& error) {
      lost(error);
    }
  }

  int rank() const override { return rank_; }
  int count() const override { return count_; }

  void sum(at::Tensor tensor) override {
    std::vector<at::Tensor> tensors = {std::move(tensor)};
    exchange([&] { return group_->allreduce(tensors); });
  }

  void broadcast(at::Tensor tensor) override {
    std::vector<at::Tensor> tensors = {std::move(tensor)};
    exchange([&] { return group_->broadcast(tensors); });
  }

  std::vector<std::string> gather(const std::string& bytes) override {
    const Padded own = padded(bytes);
    std::vector<std::vector<at::Tensor>> all(1);
    for (int i = 0; i < count_; ++i) all[0].push_back(at::empty_like(own.tensor));
    std::vector<at::Tensor> given = {own.tensor};
    exchange([&] { return group_->allgather(all, given); });
    return cut(all[0], own.sizes);
  }

  std::vector<std::string> collect(const std::string& bytes) override {
    const Padded own = padded(bytes);
    std::vector<std::vector<at::Tensor>> all(is_first() ? 1 : 0);
    for (int i = 0; i < count_ && is_first(); ++i) all[0].push_back(at::empty_like(own.tensor));
    std::vector<at::Tensor> given = {own.tensor};
    exchange([&] { return group_->gather(all, given); });
    return is_first() ? cut(all[0], own.sizes) : std::vector<std::string>();
  }

  void barrier() override { sum(at::zeros({1})); }

  void set_timeout(double seconds) override { group_->setTimeout(milliseconds(seconds)); }

  bool note_failure(const std::string& reason) override {
    if (is_lost_) return true;
    try {
      const std::string first =
          store_->compareSet(kFailure, "", std::to_string(rank_) + " " + reason);
      return first == std::to_string(rank_) + " " + reason ||
             first.substr(first.find(' ') + 1) != reason;
    } catch (const std::exception&) {
      return true;  // the store is gone: nobody can read it
    }
  }

  bool is_together() const override { return !is_lost_; }

  void leave() override {
    if (is_lost_) return;
    is_lost_ = true;
    try {
      group_.reset();
      // With rank 0 the store goes, which the others read the reason from.
      std::vector<std::string> read;
      for (int i = 1; i < count_ && is_first(); ++i) read.push_back(key_of("read/", i));
      if (is_first()) store_->wait(read, kPatience);
      if (!is_first()) store_->set(key_of("read/", rank_), "");
    } catch (const std::exception&) {  // NOLINT(bugprone-empty-catch): it ends for its own reason
    }
  }

 private:
  struct Padded {
    at::Tensor tensor;
    std::vector<std::int64_t> sizes;  // by rank
  };

  Store connect(const Launch& launch, double seconds) {
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
      fail_ranks(options.isServer
                     ? "rank 0 cannot open the ranks' store at " + place + ": " + text_of(error)
                     : rank_text(rank_) + " cannot reach the ranks' store at " + place + ": " +
                           text_of(error),
                 "MASTER_ADDR and MASTER_PORT name the machine of rank 0 and a free port there, "
                 "which every machine must reach");
    }
  }

  // Waits for every rank, and learns what each is.
  void meet(double seconds) {
    const auto end = std::chrono::steady_clock::now() + milliseconds(seconds);
    std::vector<std::string> missing;
    try {
      store_->set(key_of("here/", rank_), own_name());
      for (int i = 0; i < count_; ++i) {
        const auto left =
            std::chrono::duration_cast<Milliseconds>(end - std::chrono::steady_clock::now());
        const auto name = look_up(*store_, key_of("here/", i), std::max(left, Milliseconds(1)));
        if (!name) missing.push_back(rank_text(i));
        names_.push_back(name.value_or(""));
      }
    } catch (const std::exception& error) {
      lost(error);
    }
    if (missing.empty()) return;
    fail_ranks("of " + std::to_string(count_) + " processes these did not come: " + join(missing),
               "look at what they printed, or whether their machines reach rank 0's");
  }

  Padded padded(const std::string& bytes) {
    at::Tensor sizes = at::zeros({count_}, at::kLong);
    sizes[rank_] = static_cast<std::int64_t>(bytes.size());
    sum(sizes);
    Padded own;
    own.sizes.assign(sizes.const_data_ptr<std::int64_t>(),
                     sizes.const_data_ptr<std::int64_t>() + count_);
    const std::int64_t most = std::max<std::int64_t>(1, std::ranges::max(own.sizes));
    own.tensor = at::zeros({most}, at::kByte);
    std::memcpy(own.tensor.mutable_data_ptr(), bytes.data(), bytes.size());
    return own;
  }

  static std::vector<std::string> cut(const std::vector<at::Tensor>& all,
                                      const std::vector<std::int64_t>& sizes) {
    std::vector<std::string> texts;
    for (std::size_t i = 0; i < all.size(); ++i) {
      texts.emplace_back(static_cast<const char*>(all[i].const_data_ptr()),
                         static_cast<std::size_t>(sizes[i]));
    }
    return texts;
  }

  void exchange(const std::function<c10::intrusive_ptr<c10d::Work>()>& start) {
    if (is_lost_) fail_ranks("the ranks are no longer together", "");
    try {
      start()->wait();
    } catch (const std::exception& error) {
      lost(error);
    }
  }

  // An exchange failed: tells by whom. A rank that fails notes why before it ends its connections.
  [[noreturn]] void lost(const std::exception& error) {
    is_lost_ = true;
    const std::string reason = short_reason(error);
    group_.reset();  // so that the others notice too
    if (const auto failure = look_up(*store_, kFailure, kAnswer)) {
      note(key_of("read/", rank_));
      const std::size_t space = failure->find(' ');
      fail_ranks("rank " + failure->substr(0, space) + " failed: " + failure->substr(space + 1),
                 "");
    }
    const std::vector<std::string> silent = silent_ranks();
    if (silent.empty()) {
      fail_ranks("the connection between the ranks broke: " + reason,
                 "all of them still run; look at the network between their machines");
    }
    fail_ranks(
        join(silent) + (silent.size() == 1 ? " ended or hangs: " : " ended or hang: ") + reason,
        "look at what it printed last; a process killed for memory prints nothing");
  }

  // Those that did not notice the loss, so that they are its cause.
  std::vector<std::string> silent_ranks() {
    std::vector<std::string> silent;
    if (!note(key_of("lost/", rank_))) return {"rank 0 (" + name_of(0) + ")"};
    const auto end = std::chrono::steady_clock::now() + kPatience;
    for (int i = 0; i < count_; ++i) {
      const auto left =
          std::chrono::duration_cast<Milliseconds>(end - std::chrono::steady_clock::now());
      if (look_up(*store_, key_of("lost/", i), std::max(left, kAnswer))) continue;
      silent.push_back(rank_text(i) + " (" + name_of(i) + ")");
    }
    return silent;
  }

  // Whether there is still a store to note it in.
  bool note(const std::string& key) {
    try {
      store_->set(key, "");
      return true;
    } catch (const std::exception&) {
      return false;
    }
  }

  std::string name_of(int rank) const {
    const auto place = static_cast<std::size_t>(rank);
    return place < names_.size() ? names_[place] : "not met";
  }

  int rank_;
  int count_;
  Store store_;
  std::vector<std::string> names_;
  c10::intrusive_ptr<Group> group_;
  bool is_lost_ = false;
};

// Its warnings are stack traces of what is told as an error here.
void quieten_c10d() {
  constexpr int kErrors = 2;
  if (!environment()("TORCH_CPP_LOG_LEVEL")) FLAGS_caffe2_log_level = kErrors;
}

class KeptStore final : public RankStore {
 public:
  KeptStore() {
    c10d::TCPStoreOptions options;
    options.port = 0;
    options.isServer = true;
    options.waitWorkers = false;
    store_ = c10::make_intrusive<c10d::TCPStore>("127.0.0.1", options);
  }
  std::uint16_t port() const override { return store_->getPort(); }

 private:
  c10::intrusive_ptr<c10d::TCPStore> store_;
};

}  // namespace

bool can_join_ranks() { return true; }

std::shared_ptr<Ranks> join_ranks(const Launch& launch, double seconds) {
  quieten_c10d();
  return std::make_shared<GlooRanks>(launch, seconds);
}

std::unique_ptr<RankStore> keep_rank_store() {
  quieten_c10d();
  return std::make_unique<KeptStore>();
}

#else

namespace {

[[noreturn]] void fail_without_gloo() {
  throw Error(
      {.stage = Stage::kTraining,
       .message = "this tenon runs as one process: it was built without the headers of gloo",
       .hint = "install them (Debian: libgloo-dev) and build tenon again"});
}

}  // namespace

bool can_join_ranks() { return false; }
std::shared_ptr<Ranks> join_ranks(const Launch& /*launch*/, double /*seconds*/) {
  fail_without_gloo();
}
std::unique_ptr<RankStore> keep_rank_store() { fail_without_gloo(); }

#endif

}  // namespace tenon
