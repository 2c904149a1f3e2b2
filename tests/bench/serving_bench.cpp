// What a program that serves many adapters on one base pays for them, through the library as others
// link it. Prints one JSON object.
//
//   serving_bench MODEL.pt2 ADAPTER_DIR ADAPTERS ROWS LENGTH

#include <ATen/ATen.h>
#include <tenon/adapt.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iostream>
#include <string>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

double milliseconds(const std::function<void()>& action) {
  const Clock::time_point start = Clock::now();
  action();
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

double median(std::vector<double> times) {
  std::sort(times.begin(), times.end());
  return times[times.size() / 2];
}

double median_ms(int runs, const std::function<void()>& action) {
  action();
  std::vector<double> times;
  for (int i = 0; i < runs; ++i) times.push_back(milliseconds(action));
  return median(std::move(times));
}

double resident_mb() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.rfind("VmRSS:", 0) == 0) return std::stod(line.substr(6)) / 1024;
  }
  return 0;
}

std::string read(const std::filesystem::path& file) {
  std::string bytes(std::filesystem::file_size(file), '\0');
  std::ifstream(file, std::ios::binary)
      .read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  return bytes;
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc != 6) {
    std::cerr << "usage: serving_bench MODEL.pt2 ADAPTER_DIR ADAPTERS ROWS LENGTH\n";
    return 2;
  }
  const std::filesystem::path folder = argv[2];
  const int n = std::stoi(argv[3]);
  const std::int64_t rows = std::stol(argv[4]);
  const std::int64_t length = std::stol(argv[5]);
  auto served = tenon::adapt_program(argv[1], tenon::Config());
  const auto name_of = [](int i) { return "a" + std::to_string(i); };
  served.load(name_of(0), folder);
  served.activate({}, /*trainable=*/false);

  const double file_mb =
      static_cast<double>(std::filesystem::file_size(folder / "adapter_model.safetensors")) /
      (1 << 20);
  const double before = resident_mb();
  std::vector<double> loads;
  std::vector<double> reads;
  for (int i = 1; i < n; ++i) {
    reads.push_back(milliseconds([&] {
      for (const char* file : {"adapter_model.safetensors", "adapter_config.json", "tenon.json"}) {
        if (exists(folder / file)) read(folder / file);
      }
    }));
    loads.push_back(milliseconds([&] { served.load(name_of(i), folder); }));
  }
  const double taken = resident_mb() - before;

  const at::NoGradGuard no_grad;
  at::manual_seed(1);
  const at::Tensor ids = at::randint(0, 30522, {rows, length}, at::kLong);
  const std::vector<at::Tensor> inputs = {ids, at::ones_like(ids)};
  tenon::ForwardOptions mixed;
  for (int i = 0; i < rows; ++i) mixed.adapters.push_back(name_of(i % n));
  const double base = median_ms(5, [&] { served.forward(inputs); });
  const double one =
      median_ms(5, [&] { served.forward(inputs, tenon::ForwardOptions::of_active({name_of(0)})); });
  const double many = median_ms(5, [&] { served.forward(inputs, mixed); });

  served.activate({name_of(1)}, /*trainable=*/false);
  auto prepared = served.prepare(name_of(1), folder);
  const double swap_active = median_ms(101, [&] { served.swap(prepared); });
  served.activate({name_of(0)}, /*trainable=*/false);
  const double swap_idle = median_ms(101, [&] { served.swap(prepared); });

  std::cout << "{\"adapters\": " << n << ", \"file_mb\": " << file_mb
            << ", \"memory_ratio\": " << taken / (file_mb * (n - 1))
            << ", \"load_ms\": " << median(loads) << ", \"read_ms\": " << median(reads)
            << ", \"base_ms\": " << base << ", \"one_adapter_ms\": " << one
            << ", \"mixed_ms\": " << many << ", \"mixed_over_one\": " << many / one
            << ", \"swap_active_us\": " << 1e3 * swap_active
            << ", \"swap_idle_us\": " << 1e3 * swap_idle << "}\n";
  return 0;
} catch (const tenon::Error& error) {
  std::cerr << error.what() << "\n";
  return 1;
}
