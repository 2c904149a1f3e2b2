#pragma once

#include "config/adapter_config.h"
#include "config/section_reader.h"

namespace tenon {

// The tables [adapter.eva_config] and [adapter.corda_config], each of which is allowed only with
// the start that it belongs to.
void read_start_keys(SectionReader& section, AdapterConfig& adapter);

}  // namespace tenon
