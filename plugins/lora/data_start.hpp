// What the starts from data have in common: the layers that they start, and how they fail.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <tenon/sdk.hpp>

#include "lora/lora.hpp"

namespace lora {

inline std::string joined(const std::vector<std::string>& texts, const char* between = ", ") {
  std::string all;
  for (const std::string& text : texts) all += (all.empty() ? "" : between) + text;
  return all;
}

// "eva": what init_lora_weights is.
[[noreturn]] inline void refuse_start(const char* name, const std::string& what,
                                      const std::string& hint) {
  throw tenon::Failure(TENON_UNSUPPORTED,
                       "init_lora_weights = \"" + std::string(name) + "\" " + what + "\n" + hint);
}
[[noreturn]] inline void fail_start(const char* name, const std::string& what,
                                    const std::string& hint) {
  throw tenon::Failure(TENON_INTERNAL,
                       "init_lora_weights = \"" + std::string(name) + "\": " + what + "\n" + hint);
}

// The planned layers by whether data can start them, by their numbers in the run.
struct StartedLayers {
  std::vector<std::uint32_t> linear;
  std::vector<std::uint32_t> others;
  std::string names_of_others;

  // Refuses what no data can start.
  StartedLayers(const tenon::DataRun& run, const char* start);

  // The place of a layer of the run in `linear`; -1: it is none of them.
  std::int64_t find(std::uint32_t layer) const;
};

// The starts themselves.
std::unique_ptr<tenon::DataStart> eva_start(const tenon::DataRun& run);
std::unique_ptr<tenon::DataStart> corda_start(const tenon::DataRun& run);
std::unique_ptr<tenon::DataStart> lora_ga_start(const tenon::DataRun& run);

// Which of them the keys ask for.
tenon_data_needs data_needs(const tenon::DataKeys& keys);
std::unique_ptr<tenon::DataStart> data_start(const tenon::DataRun& run);

}  // namespace lora
