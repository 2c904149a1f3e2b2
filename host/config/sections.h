#pragma once

#include "config/run_config.h"
#include "config/section_reader.h"

// One function per section of a config: its keys, their types and bounds, and the rules among keys
// of the same section. Rules between sections are in toml_reader.cpp.
namespace tenon {

void read_model_section(SectionReader& section, RunConfig& config);
void read_layer(SectionReader& section, DeclaredLayer& layer);  // an entry of model.layers
void read_plugins_section(SectionReader& section, RunConfig& config);
void read_adapter_section(SectionReader& section, RunConfig& config);
void read_data_section(SectionReader& section, RunConfig& config);
void read_train_section(SectionReader& section, RunConfig& config);
void read_output_section(SectionReader& section, RunConfig& config);

}  // namespace tenon
