#include "fuzz/targets.h"

#include <array>
#include <span>

#include "adapter/peft_config.h"
#include "base/error.h"
#include "base/safetensors.h"
#include "config/toml_reader.h"
#include "graph/size_expression.h"
#include "plugin/plugin_offer.h"
#include "plugin/plugin_stamp.h"
#include "pt2/pt2_archive.h"
#include "support/temp_dir.h"

namespace tenon::fuzz {
namespace {

// Parsers that map a file get one, under the same name each time.
std::filesystem::path as_file(const std::string& bytes) {
  static const testing::TempDir folder;
  return folder.write("input", bytes);
}

template <typename Parse>
bool accepts(const Parse& parse) {
  try {
    parse();
    return true;
  } catch (const Error&) {
    return false;
  }
}

bool archive(const std::string& bytes) {
  return accepts([&] {
    const Pt2Archive parsed(as_file(bytes));
    unsigned sum = 0;
    for (const Pt2Entry& entry : parsed.entries()) {
      for (const std::byte byte : entry.bytes) sum += std::to_integer<unsigned>(byte);
    }
    if (sum == 1) parsed.find("version");
  });
}

bool safetensors(const std::string& bytes) {
  return accepts([&] {
    const SafetensorsFile parsed(as_file(bytes), Stage::kModel);
    unsigned sum = 0;
    for (const SafetensorsEntry& entry : parsed.entries()) {
      for (const std::byte byte : entry.bytes) sum += std::to_integer<unsigned>(byte);
    }
    if (sum == 1) parsed.find("x");
  });
}

bool toml(const std::string& bytes) {
  return accepts([&] { read_run_config(as_file(bytes), {}, {.adapter = true, .training = true}); });
}

bool adapter_config(const std::string& bytes) {
  return accepts([&] { read_peft_config(bytes, "adapter_config.json"); });
}

bool stamp(const std::string& bytes) {
  tenon_stamp read{};
  if (read_stamp(std::as_bytes(std::span(bytes)), read)) return false;
  return std::holds_alternative<PluginOffer>(read_offer(std::as_bytes(std::span(bytes))));
}

bool formula(const std::string& bytes) {
  const auto parsed = SizeExpression::parse(bytes);
  if (!parsed) return false;
  parsed->evaluate([](const auto& variable) { return variable.dimension + 3; });
  parsed->text([](const auto& variable) { return variable.name; });
  return true;
}

constexpr std::array<Target, 6> kTargets{{{"archive", archive},
                                          {"safetensors", safetensors},
                                          {"toml", toml},
                                          {"adapter_config", adapter_config, /*is_json=*/true},
                                          {"stamp", stamp},
                                          {"formula", formula}}};

}  // namespace

std::span<const Target> targets() { return kTargets; }

}  // namespace tenon::fuzz
