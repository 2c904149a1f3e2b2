#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "adapter/adapter_store.h"
#include "graph/graph.h"
#include "plugin/method.h"

// LoRA files of other programs: one safetensors file without a config, its layers by names of their
// own. kohya's `lora_unet_mid_block_attentions_0_proj_in.lora_down.weight` writes a path with
// underscores; diffusers' `unet.mid_block.attentions.0.proj_in.lora_A.weight` puts the pipeline's
// part before it.
namespace tenon {

// "kohya" or "diffusers"; "" for other names.
std::string foreign_names(const std::vector<std::string>& names);

// The file as a plain LoRA adapter for `model`, its config included: ranks and alphas as the
// tensors have them. `from` is "kohya" or "diffusers". Throws Error{kAdapter} with every layer that
// the model does not have or has more than once, and every tensor that is of no LoRA.
AdapterFiles read_foreign_adapter(const ModelData& model, const MethodTable& methods,
                                  const std::filesystem::path& file, const std::string& from);

}  // namespace tenon
