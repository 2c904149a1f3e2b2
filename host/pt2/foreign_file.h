#pragma once

#include <string>
#include <string_view>

namespace tenon {

inline constexpr const char* kHowToExport =
    "Write an exported program: torch.export.save(torch.export.export(model, args), "
    "\"model.pt2\").";
inline constexpr const char* kPickleHint =
    "Load it in Python, once, and export the model: torch.export.save(torch.export.export(model, "
    "args), \"model.pt2\"). Weights alone: safetensors.torch.save_file, then [model] weights.";

// Refuses a file that is no zip archive by what its first bytes show that it is. Throws
// Error{Stage::kModel}.
void refuse_foreign_file(std::string_view bytes, const std::string& location);

}  // namespace tenon
