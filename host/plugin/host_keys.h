#pragma once

#include <array>
#include <string_view>

namespace tenon {

// Keys of [adapter] that hold for every method, so that none may declare one of that name. Others
// of the host's, such as `bias`, are a method's own to declare where its flags do not ask for them.
inline constexpr std::array<std::string_view, 15> kHostKeys = {"method",
                                                               "name",
                                                               "target_modules",
                                                               "exclude_modules",
                                                               "target_parameters",
                                                               "modules_to_save",
                                                               "layers_to_transform",
                                                               "layers_pattern",
                                                               "init_from",
                                                               "active",
                                                               "trainable",
                                                               "options",
                                                               "skip_unsupported",
                                                               "allow_unmatched",
                                                               "autocast_adapter_dtype"};

// Keys that PEFT keeps in every adapter_config.json beside them.
inline constexpr std::array<std::string_view, 8> kFileKeys = {
    "peft_type", "peft_version", "auto_mapping",   "base_model_name_or_path",
    "revision",  "task_type",    "inference_mode", "runtime_config"};

}  // namespace tenon
