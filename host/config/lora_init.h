#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

// The starts of lora_A and lora_B (PEFT: init_lora_weights). Inside Tenon true is "default" and
// false is "random"; all others have PEFT's names.
namespace tenon {

// The name as Tenon keeps it, in lower case; nothing if Tenon does not have that start.
std::optional<std::string> known_lora_init(std::string_view name);

// For messages: "gaussian", ..., "pissa_niter_[number]".
const std::vector<std::string>& lora_init_names();

// A start of PEFT's that Tenon does not have, by name, and why not.
struct ForeignInit {
  std::string_view key;  // "eva"
  std::string_view name;
  std::string_view reason;
};
std::optional<ForeignInit> foreign_lora_init(std::string_view init);

// Whether the base's weights are others under an adapter that started so, W - s B A, and the change
// can be made again from the base alone.
bool changes_base(std::string_view init);

// Whether it needs batches of the training data. What a layer type makes is then overwritten, so
// it is asked for the default start.
bool starts_from_data(std::string_view init);

}  // namespace tenon
