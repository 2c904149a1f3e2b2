// fuzz TARGET SECONDS SEED_FILE...: runs one parser on damaged copies of the files, for SECONDS or
// as long as TENON_FUZZ_SECONDS asks (SECONDS: asked; a minute if it does not). The sanitizers end
// the process at the first fault; the input of the moment is then in the folder that is told.
#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include "fuzz/mutations.h"
#include "fuzz/targets.h"

// No file of a few kilobytes may make a parser ask for half a gigabyte.
extern "C" const char* __asan_default_options() {  // NOLINT
  return "max_allocation_size_mb=512:detect_leaks=1:abort_on_error=0";
}

namespace {

using Clock = std::chrono::steady_clock;

std::string read(const char* path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error(std::string("cannot read ") + path);
  return {std::istreambuf_iterator<char>(file), {}};
}

int run(const std::string& name, double seconds, const std::vector<std::string>& seeds) {
  const auto targets = tenon::fuzz::targets();
  const auto target = std::find_if(targets.begin(), targets.end(),
                                   [&](const auto& known) { return known.name == name; });
  if (target == targets.end()) {
    std::cerr << "no parser is called " << name << "\n";
    return 2;
  }
  for (std::size_t i = 0; i < seeds.size(); ++i) {
    if (!target->accepts(seeds[i])) {
      std::cerr << "seed " << i << " is refused, so this tests little\n";
      return 1;
    }
  }
  const std::filesystem::path last =
      std::filesystem::temp_directory_path() / ("tenon-fuzz-" + name);
  const std::uint64_t start = std::random_device{}();
  std::cout << name << ": random seed " << start << ", the input of the moment in " << last << "\n"
            << std::flush;
  std::mt19937_64 random(start);
  const auto end = Clock::now() + std::chrono::duration<double>(seconds);
  std::size_t count = 0;
  std::size_t accepted = 0;
  while (Clock::now() < end) {
    const std::string input = target->is_json && random() % 4 != 0
                                  ? tenon::fuzz::mutate_json(seeds, random)
                                  : tenon::fuzz::mutate(seeds, random);
    std::ofstream(last, std::ios::binary) << input;
    const auto begin = Clock::now();
    if (target->accepts(input)) ++accepted;
    if (Clock::now() - begin > std::chrono::seconds(5)) {
      std::cerr << "an input of " << input.size() << " bytes took more than five seconds\n";
      return 1;
    }
    ++count;
  }
  std::filesystem::remove(last);
  std::cout << count << " inputs, " << accepted << " accepted\n";
  return 0;
}

double seconds_of(const std::string& text) {
  if (text != "asked") return std::stod(text);
  const char* asked = std::getenv("TENON_FUZZ_SECONDS");
  return asked == nullptr ? 60 : std::stod(asked);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) {
    std::cerr << "usage: fuzz TARGET SECONDS SEED_FILE...\n";
    return 2;
  }
  try {
    std::vector<std::string> seeds;
    for (int i = 3; i < argc; ++i) seeds.push_back(read(argv[i]));
    return run(argv[1], seconds_of(argv[2]), seeds);
  } catch (const std::exception& fault) {
    std::cerr << "fault: " << fault.what() << "\n";
    return 1;
  }
}
