// Forwards in several threads while others change the set of adapters. Also a program of its own,
// for ThreadSanitizer (see CMakeLists.txt).
#include <gtest/gtest.h>
#include <tenon/adapt.h>
#include <torch/nn/modules/linear.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <thread>

#include "support/temp_dir.h"

namespace tenon {
namespace {

struct NetImpl : torch::nn::Module {
  at::Tensor forward(const at::Tensor& x) { return last(at::relu(first(x))); }
  torch::nn::Linear first = register_module("first", torch::nn::Linear(12, 16));
  torch::nn::Linear last = register_module("last", torch::nn::Linear(16, 4));
};
TORCH_MODULE(Net);

std::chrono::milliseconds duration() {
  const char* seconds = std::getenv("TENON_THREADS_SECONDS");
  return std::chrono::milliseconds(seconds == nullptr ? 3000 : 1000L * std::atol(seconds));
}

Config lora() { return {{"target_modules", {"first", "last"}}, {"init_lora_weights", false}}; }

// Which of the outputs it is to the last bit, or of a mixture of their layers: -1.
int which(const at::Tensor& output, const std::vector<at::Tensor>& outputs) {
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    if (at::allclose(output, outputs[i], 1e-4, 1e-5)) return static_cast<int>(i);
  }
  return -1;
}

TEST(Threads, EachForwardSeesTheSetAsItWasWhenItBegan) {
  at::manual_seed(5);
  at::set_num_threads(1);
  const testing::TempDir folder;
  Net model;
  model->eval();
  const at::Tensor x = at::randn({4, 12});
  auto adapted = adapt(model, {x}, lora(), {.seed = 1});
  adapted.add("two", lora(), {.seed = 2});
  adapted.add("kept", lora(), {.seed = 3});
  adapted.activate({"default"}, /*trainable=*/false);
  const auto output_of = [&](const std::vector<std::string>& active) {
    const at::NoGradGuard no_grad;
    return adapted.forward({x}, {.active = active});
  };
  const std::vector<at::Tensor> all = {output_of({"default"}), output_of({"two"})};
  const at::Tensor kept = output_of({"kept"});
  ASSERT_GT(at::max(at::abs(all[0] - all[1])).item<float>(), 1e-2);
  adapted.save("default", folder.path() / "one");
  adapted.save("two", folder.path() / "two");

  std::atomic<bool> done = false;
  std::atomic<long> forwards = 0;
  std::atomic<long> mixtures = 0;
  std::array<std::atomic<long>, 2> seen{};
  std::atomic<long> changes = 0;
  std::vector<std::thread> threads;
  const auto start = [&](auto body) {
    threads.emplace_back([&, body] {
      const at::NoGradGuard no_grad;
      while (!done) body();
    });
  };
  for (int i = 0; i < 3; ++i) {  // whatever is active, old or new
    start([&] {
      const int which_one = which(adapted.forward({x}), all);
      which_one < 0 ? ++mixtures : ++seen[static_cast<std::size_t>(which_one)];
      ++forwards;
    });
  }
  start([&] {  // its own choice
    if (which(adapted.forward({x}, {.active = std::vector<std::string>{"kept"}}), {kept}) < 0) {
      ++mixtures;
    }
    ++forwards;
  });
  start([&] {  // its own rows
    const at::Tensor rows =
        adapted.forward({x}, {.adapters = {"kept", "__base__", "kept", "kept"}});
    if (!at::allclose(rows[0], kept[0], 1e-4, 1e-5)) ++mixtures;
    ++forwards;
  });
  start([&] {  // the one that is active becomes the other, at once on both layers
    adapted.swap("default", folder.path() / "two");
    adapted.swap("default", folder.path() / "one");
    ++changes;
  });
  start([&] {
    adapted.load("loaded", folder.path() / "two");
    adapted.rescale("loaded", 0.5);
    adapted.remove("loaded");
    ++changes;
  });
  start([&] {
    adapted.add("added", {{"target_modules", {"first"}}});
    adapted.status();
    adapted.named_parameters("added");
    adapted.remove("added");
    ++changes;
  });
  std::this_thread::sleep_for(duration());
  done = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(mixtures, 0) << "of " << forwards << " forwards";
  EXPECT_GT(seen[0], 0);
  EXPECT_GT(seen[1], 0);
  EXPECT_GT(changes, 3);
}

}  // namespace
}  // namespace tenon
