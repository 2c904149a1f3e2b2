#include "install/candidate.h"

#include <tenon/plugin.h>

#include <algorithm>
#include <span>
#include <variant>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/suggest.h"
#include "check/file_checks.h"
#include "plugin/elf_segments.h"
#include "plugin/plugin_stamp.h"
#include "plugin/plugin_trust.h"

namespace tenon {
namespace fs = std::filesystem;
namespace {

[[noreturn]] void refuse_candidate(const std::string& place, const std::string& why,
                                   const std::string& hint) {
  throw Error({.stage = Stage::kPlugins,
               .message = "the plugin is refused: " + why,
               .hint = hint,
               .location = place});
}

// A library of models has another table, and uses LibTorch by right.
bool is_of_models(std::span<const std::byte> bytes) {
  tenon_stamp stamp{};
  return !read_stamp(bytes, stamp) && stamp.kind == TENON_STAMP_MODELS;
}

void require_rules(std::span<const std::byte> bytes, const std::string& place) {
  FileFacts facts;
  std::vector<std::string> broken;
  for (const Finding& finding : check_file(bytes, facts)) {
    if (finding.status == RuleStatus::kFailed) {
      broken.push_back(finding.detail + " (rule " + finding.rule + ")");
    }
  }
  if (!broken.empty()) {
    refuse_candidate(place, join(broken, "; "), "`tenon plugin check FILE` tells why");
  }
  if (const auto refusal = ElfSegments(bytes).read()) {
    refuse_candidate(place, refusal->reason, "ask whoever built it for a sound file");
  }
}

}  // namespace

Candidate check_candidate(std::string bytes, const std::string& place) {
  Candidate candidate;
  candidate.place = place;
  candidate.bytes = std::move(bytes);
  const auto span = std::as_bytes(std::span(candidate.bytes));
  const bool has_models = is_of_models(span);
  if (!has_models) require_rules(span, place);
  tenon_stamp stamp{};
  if (const auto refusal = read_stamp(span, stamp)) refuse_candidate(place, refusal->reason, "");
  candidate.id = stamp.id;
  candidate.version = stamp.version;
  candidate.libtorch = stamp.torch_version;
  candidate.libtorch_minimum = stamp.torch_minimum;
  candidate.abi_minimum =
      std::to_string(stamp.abi_major) + "." + std::to_string(stamp.min_host_minor);
  candidate.sha256 = sha256_hex(span);
  if (has_models) return candidate;
  auto offer = read_offer(span);
  if (const auto* refusal = std::get_if<PluginRefusal>(&offer)) {
    refuse_candidate(place, refusal->reason, "ask whoever built it for a sound file");
  }
  candidate.offer = std::get<PluginOffer>(std::move(offer));
  return candidate;
}

Candidate read_candidate(const fs::path& file) {
  const fs::path path = fs::absolute(file).lexically_normal();
  std::string bytes = read_text_file(path, Stage::kPlugins, kMostPluginBytes);
  bool group_writable = false;
  // The folder that it lies in may be anybody's: what was read once is what is checked and copied.
  if (const auto refusal = check_own_trust(path, group_writable)) {
    refuse_candidate(path.string(), refusal->reason, "");
  }
  return check_candidate(std::move(bytes), path.string());
}

std::vector<fs::path> plugin_files_in(const fs::path& folder) {
  std::vector<fs::path> files;
  std::error_code failed;
  for (fs::directory_iterator entry(folder, failed), end; !failed && entry != end;
       entry.increment(failed)) {
    if (entry->path().extension() == ".so" && entry->is_regular_file()) {
      files.push_back(entry->path());
    }
  }
  if (failed || files.empty()) {
    throw Error({.stage = Stage::kPlugins,
                 .message = failed ? "the folder cannot be read: " + failed.message()
                                   : "there is no plugin (*.so) in the folder",
                 .location = folder.string()});
  }
  std::ranges::sort(files);
  return files;
}

}  // namespace tenon
