// Train one adapter in several processes, each on rows of its own, by a loop of one's own and
// LibTorch's c10d. What starts them says who is who, as torchrun does:
//   torchrun --no-python --nproc-per-node 2 ./ddp
#include <tenon/adapt.h>
#include <torch/optim/adamw.h>
// LibTorch's wheel has no headers of gloo: Debian's libgloo-dev serves, nothing of it is linked.
#define USE_C10D_GLOO
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include <cstdlib>
#include <iostream>

#include "mlp.h"

int main() try {
  const int rank = std::atoi(std::getenv("RANK"));
  const int count = std::atoi(std::getenv("WORLD_SIZE"));
  c10d::TCPStoreOptions meeting;
  meeting.port = static_cast<std::uint16_t>(std::atoi(std::getenv("MASTER_PORT")));
  meeting.isServer = rank == 0 && std::getenv("TORCHELASTIC_USE_AGENT_STORE") == nullptr;
  const auto options = c10d::ProcessGroupGloo::Options::create();
  options->devices.push_back(c10d::ProcessGroupGloo::createDeviceForHostname("127.0.0.1"));
  c10d::ProcessGroupGloo group(
      c10::make_intrusive<c10d::TCPStore>(std::getenv("MASTER_ADDR"), meeting), rank, count,
      options);

  torch::manual_seed(0);  // the same base and the same fresh adapter everywhere
  Mlp model;
  Rows rows;
  auto adapted = tenon::adapt(model, {rows.x}, {{"target_modules", {"first", "second"}}});
  torch::manual_seed(1 + rank);
  rows = Rows();  // this process's own

  torch::optim::AdamW optimizer(adapted.parameters(), torch::optim::AdamWOptions(5e-3));
  double first = 0, last = 0;
  for (int step = 0; step < 50; ++step) {
    optimizer.zero_grad();
    const at::Tensor loss = at::nll_loss(adapted.forward({rows.x}), rows.labels);
    loss.backward();
    for (const at::Tensor& parameter : adapted.parameters()) {
      std::vector<at::Tensor> gradient = {parameter.grad()};
      group.allreduce(gradient)->wait();
      gradient[0].div_(count);
    }
    optimizer.step();
    last = loss.item<double>();
    if (step == 0) first = last;
  }

  double difference = 0;  // to rank 0's
  for (const at::Tensor& parameter : adapted.parameters()) {
    std::vector<at::Tensor> other = {parameter.detach().clone()};
    group.broadcast(other)->wait();
    difference += (other[0] - parameter.detach()).abs().max().item<double>();
  }
  if (rank == 0) adapted.save("ddp-adapter", /*force=*/true);
  std::cout << "process " << rank << " of " << count
            << ": the loss fell: " << (last < 0.8 * first ? "yes" : "no")
            << "; the adapter is that of process 0: " << (difference == 0 ? "yes" : "no") << "\n";
  return last < first && difference == 0 ? 0 : 1;
} catch (const tenon::Error& error) {
  std::cerr << error.what() << "\n";
  return error.exit_status();
}
