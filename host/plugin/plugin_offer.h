#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "plugin/plugin_refusal.h"

namespace tenon {

// A layer type as its plugin's table declares it.
struct OfferedLayerType {
  std::string id;
  std::string method;
  std::vector<std::string> base_types;
  int priority = 0;

  bool operator==(const OfferedLayerType&) const = default;
};

struct OfferedMethod {
  std::string name;
  std::string peft_type;
  bool is_in_peft = false;

  bool operator==(const OfferedMethod&) const = default;
};

// What a plugin offers.
struct PluginOffer {
  std::vector<OfferedLayerType> layer_types;
  std::vector<OfferedMethod> methods;
  std::string vendor = {};  // "" where it does not say
  std::string license = {};

  bool operator==(const PluginOffer&) const = default;
};

// Reads the table out of the plugin's file, whose stamp was found good, without running any of it:
// the table is constant data, and its pointers are in the file's relocations. Refuses a file
// without such a table, and one whose segments the dynamic linker could not be trusted with.
std::variant<PluginOffer, PluginRefusal> read_offer(std::span<const std::byte> library);

// "torch.nn.LSTM;*.MyScale" at its semicolons.
std::vector<std::string> split_base_types(const std::string& base_types);

// PEFT's name for a method; where PEFT has none, the method's in upper case, which PEFT refuses.
std::string peft_type_of(const std::string& method, const char* given);

}  // namespace tenon
