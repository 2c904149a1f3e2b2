#include <array>
#include <string>
#include <vector>

#include "base/error.h"
#include "fuzz/targets.h"
#include "interpreter/interpreter.h"
#include "pt2/pt2_program.h"
#include "support/temp_dir.h"
#include "support/zip_file.h"

// The JSON of an exported program, and of its weights, in an archive that is sound.
namespace tenon::fuzz {
namespace {

constexpr std::size_t kTensorBytes = 128;
constexpr int kTensors = 7;

// A seed is a JSON list: the program, its weights, its constants.
std::array<std::string, 3> parts(const std::string& bytes) {
  constexpr std::string_view kBetween = "\n,";
  std::array<std::string, 3> found;
  std::size_t begin = 1;
  for (std::string& part : found) {
    const std::size_t end = std::min(bytes.find(kBetween, begin), bytes.size());
    if (begin < end) part = bytes.substr(begin, end - begin);
    begin = std::min(end + kBetween.size(), bytes.size());
  }
  if (found[2].ends_with("\n]\n")) found[2].resize(found[2].size() - 3);
  return found;
}

bool program(const std::string& bytes) {
  static const testing::TempDir folder;
  const auto [model, weights, constants] = parts(bytes);
  std::vector<testing::ZipEntry> entries{
      {"m/models/model.json", model},
      {"m/data/weights/model_weights_config.json", weights},
      {"m/data/constants/model_constants_config.json", constants}};
  const std::string tensor(kTensorBytes, '\0');
  for (int index = 0; index < kTensors; ++index) {
    entries.push_back({"m/data/weights/weight_" + std::to_string(index), tensor});
    entries.push_back({"m/data/constants/tensor_" + std::to_string(index), tensor});
  }
  try {
    const ModelData data =
        read_pt2_program(folder.write("model.pt2", testing::ZipFile::write(entries)));
    const Program compiled(data.graph, data.tensors);
    return compiled.instruction_count() > 0;
  } catch (const Error&) {
    return false;
  }
}

constexpr std::array<Target, 1> kTargets{{{"program", program, /*is_json=*/true}}};

}  // namespace

std::span<const Target> targets() { return kTargets; }

}  // namespace tenon::fuzz
