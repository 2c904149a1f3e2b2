#include "base/output_place.h"

#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <system_error>

#include "base/output_file.h"

namespace tenon {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void refuse_output(const OutputPath& output, Stage stage, const std::string& problem,
                                const std::string& hint) {
  throw Error({.stage = stage,
               .message = output.what + " " + output.path.string() + " " + problem,
               .hint = hint});
}

// Whether `path` is `folder` or lies in it.
bool lies_in(const fs::path& path, const fs::path& folder) {
  std::error_code failed;
  const fs::path inner = fs::canonical(path, failed);
  if (failed) return false;
  const fs::path outer = fs::canonical(folder, failed);
  if (failed) return false;
  return std::mismatch(outer.begin(), outer.end(), inner.begin(), inner.end()).first == outer.end();
}

fs::path existing_part(fs::path path) {
  std::error_code ignored;
  path = fs::absolute(path);
  while (!fs::exists(path, ignored) && path != path.parent_path()) path = path.parent_path();
  return path;
}

std::string megabytes(std::uint64_t bytes) { return std::to_string((bytes >> 20U) + 1) + " MB"; }

}  // namespace

void require_no_input(const OutputPath& output, std::span<const InputPath> inputs) {
  std::error_code ignored;
  for (const InputPath& input : inputs) {
    const bool same = fs::equivalent(input.path, output.path, ignored);
    const bool inside = fs::is_directory(input.path, ignored) && lies_in(output.path, input.path);
    if (!same && !inside) continue;
    refuse_output(output, output.stage,
                  (inside && !same ? "is part of " : "is ") + input.what +
                      " itself, which this command reads",
                  "give what is written a place of its own");
  }
}

void check_output_file(const OutputPath& output, std::span<const InputPath> inputs) {
  require_no_input(output, inputs);
  std::error_code ignored;
  const fs::file_status found = fs::status(output.path, ignored);
  if (fs::is_directory(found)) {
    refuse_output(output, Stage::kOutput, "is a folder", "name a file in it");
  }
  if (fs::exists(found) && !fs::is_regular_file(found)) {
    refuse_output(output, Stage::kOutput, "is a device or a pipe, not a regular file",
                  "write to a file of its own");
  }
  if (fs::exists(found) && !output.force) {
    refuse_output(output, Stage::kOutput, "is there already",
                  "name another file, or say --force to replace it");
  }
  const OutputFile probe(output.path);  // whether a file can be made there
}

void require_space(const fs::path& place, std::uint64_t bytes) {
  struct statvfs facts {};
  const fs::path there = existing_part(place);
  if (::statvfs(there.c_str(), &facts) != 0) return;  // some file systems do not tell
  const std::uint64_t blocks = ::geteuid() == 0 ? facts.f_bfree : facts.f_bavail;
  if (blocks >= bytes / facts.f_frsize + 1) return;
  throw Error({.stage = Stage::kOutput,
               .message = "there is too little room: " + megabytes(bytes) + " are to be saved, " +
                          megabytes(blocks * facts.f_frsize) + " are free",
               .hint = "free some space, or save to another disk",
               .location = place.string()});
}

fs::path free_place_beside(const fs::path& place, const std::string& suffix) {
  const bool has_ending = place.extension() == ".safetensors" || place.extension() == ".pt2";
  const std::string ending = has_ending ? place.extension().string() : "";
  fs::path folder = place.has_filename() ? place : place.parent_path();  // "adapter/"
  if (has_ending) folder.replace_extension();
  std::error_code ignored;
  for (int number = 1;; ++number) {
    const std::string counted = number == 1 ? "" : "-" + std::to_string(number);
    fs::path candidate = folder;
    candidate += suffix + counted + ending;
    if (!fs::exists(fs::symlink_status(candidate, ignored))) return candidate;
  }
}

}  // namespace tenon
