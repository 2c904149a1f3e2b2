#ifdef TENON_HAS_GLOO
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros.h>
#include <c10/util/Logging.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <utility>

#include "base/error.h"
#include "ranks/join.h"
#include "ranks/local_address.h"
#include "ranks/meeting.h"

namespace tenon {
namespace {

using Group = c10d::ProcessGroupGloo;

// The device that the ranks' sockets are made on: by GLOO_SOCKET_IFNAME as for PyTorch itself, else
// the address by which this machine reaches the store's.
auto make_device(const Launch& launch) {
  if (const auto name = environment()("GLOO_SOCKET_IFNAME")) {
    return Group::createDeviceForInterface(*name);
  }
  if (launch.local_count == launch.count) return Group::createDeviceForHostname("127.0.0.1");
  const std::string address = address_towards(launch.address, launch.port);
  return address.empty() ? Group::createDefaultDevice() : Group::createDeviceForHostname(address);
}

class GlooRanks final : public Ranks {
 public:
  GlooRanks(const Launch& launch, double seconds)
      : rank_(launch.rank), count_(launch.count), meeting_(launch, seconds) {
    const auto options = Group::Options::create(milliseconds(seconds));
    options->threads = 1;
    try {
      options->devices.push_back(make_device(launch));
      group_ = c10::make_intrusive<Group>(
          c10::make_intrusive<c10d::PrefixStore>("gloo", meeting_.store()), rank_, count_, options);
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
    std::vector<std::vector<at::Tensor>> all = {places_like(own.tensor)};
    std::vector<at::Tensor> given = {own.tensor};
    exchange([&] { return group_->allgather(all, given); });
    return cut(all[0], own.sizes);
  }

  std::vector<std::string> collect(const std::string& bytes) override {
    const Padded own = padded(bytes);
    std::vector<std::vector<at::Tensor>> all;
    if (is_first()) all.push_back(places_like(own.tensor));
    std::vector<at::Tensor> given = {own.tensor};
    exchange([&] { return group_->gather(all, given); });
    return is_first() ? cut(all[0], own.sizes) : std::vector<std::string>();
  }

  void barrier() override { sum(at::zeros({1})); }

  void set_timeout(double seconds) override { group_->setTimeout(milliseconds(seconds)); }

  bool note_failure(const std::string& reason) override {
    return is_lost_ || meeting_.leave_word(reason);
  }

  bool is_together() const override { return !is_lost_; }

  void leave() override {
    if (is_lost_) return;
    is_lost_ = true;
    group_.reset();
    if (is_first()) {
      meeting_.wait_for_readers();
    } else {
      meeting_.note_as_read();
    }
  }

 private:
  struct Padded {
    at::Tensor tensor;
    std::vector<std::int64_t> sizes;  // by rank
  };

  // As long as the longest rank's.
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

  std::vector<at::Tensor> places_like(const at::Tensor& tensor) const {
    std::vector<at::Tensor> places;
    for (int i = 0; i < count_; ++i) places.push_back(at::empty_like(tensor));
    return places;
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
    if (is_lost_) {
      throw Error({.stage = Stage::kTraining, .message = "the ranks are no longer together"});
    }
    try {
      start()->wait();
    } catch (const std::exception& error) {
      lost(error);
    }
  }

  [[noreturn]] void lost(const std::exception& error) {
    is_lost_ = true;
    group_.reset();
    meeting_.explain(error);
  }

  int rank_;
  int count_;
  Meeting meeting_;
  c10::intrusive_ptr<Group> group_;
  bool is_lost_ = false;
};

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

// Its warnings are stack traces of what is told as an error here.
void quieten_c10d() {
  constexpr int kErrors = 2;
  if (!environment()("TORCH_CPP_LOG_LEVEL")) FLAGS_caffe2_log_level = kErrors;
}

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

}  // namespace tenon
#endif
