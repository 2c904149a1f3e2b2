// Serve many adapters on one base from several threads: each request names its adapter, and a batch
// holds requests for several. New ones are loaded meanwhile.
#include <ATen/Parallel.h>
#include <tenon/adapt.h>

#include <atomic>
#include <iostream>
#include <string>
#include <thread>
#include <vector>

#include "mlp.h"

int main() try {
  torch::manual_seed(0);
  at::set_num_threads(1);  // of each of ours
  Mlp model;
  model->eval();
  const at::Tensor example = at::rand({4, 20});
  auto served = tenon::adapt(model, {example}, tenon::Config());  // as yet without an adapter

  const auto name_of = [](int customer) { return "customer_" + std::to_string(customer); };
  for (int customer = 0; customer < 20; ++customer) {
    served.add(name_of(customer), {{"target_modules", {"first", "second"}},
                                   {"r", 4},
                                   {"init_lora_weights", false}});  // as if it were trained
  }
  served.activate({}, /*trainable=*/false);  // requests say what runs

  std::atomic<int> answered = 0;
  std::vector<std::thread> workers;
  for (int worker = 0; worker < 4; ++worker) {
    workers.emplace_back([&, worker] {
      const at::NoGradGuard no_grad;
      for (int batch = 0; batch < 25; ++batch) {
        tenon::ForwardOptions options;
        options.adapters = {name_of(worker), name_of(batch % 20), "__base__", name_of(7)};
        answered += static_cast<int>(served.forward({at::rand({4, 20})}, options).size(0));
      }
    });
  }
  served.save("customer_3", "customer_3", /*force=*/true);
  for (int version = 0; version < 5; ++version) {
    served.load("new_" + std::to_string(version), "customer_3");
    served.swap("customer_5", "customer_3");
  }
  for (std::thread& worker : workers) worker.join();
  std::cout << "answered " << answered << " requests with " << served.names().size()
            << " adapters\n";
  return 0;
} catch (const tenon::Error& error) {
  std::cerr << error.what() << "\n";
  return error.exit_status();
}
