#pragma once

#include "config/adapter_config.h"
#include "config/section_reader.h"

namespace tenon {

// The keys of [adapter] that belong to the method "lora": PEFT's LoraConfig without the rules that
// choose layers.
void read_lora_keys(SectionReader& section, AdapterConfig& adapter);

}  // namespace tenon
