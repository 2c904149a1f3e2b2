#include <algorithm>
#include <set>
#include <string_view>

#include "base/json.h"
#include "base/safetensors.h"
#include "base/safetensors_layout.h"

namespace tenon {
namespace {

[[noreturn]] void fail_write(const std::filesystem::path& path, const std::string& problem) {
  throw Error({.stage = Stage::kOutput,
               .message = "cannot write these tensors: " + problem,
               .hint = "",
               .location = path.string()});
}

void check_entries(const std::filesystem::path& path,
                   const std::vector<SafetensorsEntry>& entries) {
  std::set<std::string_view> names;
  for (const SafetensorsEntry& entry : entries) {
    const std::size_t item_size = safetensors_item_size(entry.dtype);
    if (item_size == 0) {
      fail_write(path, "`" + entry.name + "` has the unknown dtype `" + entry.dtype + "`");
    }
    if (tensor_byte_count(entry.shape, item_size) != entry.bytes.size()) {
      fail_write(path, "`" + entry.name + "` has " + std::to_string(entry.bytes.size()) +
                           " bytes, which is not what its shape needs");
    }
    if (entry.name == kMetadataKey || !names.insert(entry.name).second) {
      fail_write(path, "the name `" + entry.name + "` is taken");
    }
  }
}

// {"dtype":"F32","shape":[8,20],"data_offsets":[0,640]}
std::string entry_text(const SafetensorsEntry& entry, std::uint64_t begin) {
  return R"({"dtype":")" + entry.dtype + R"(","shape":)" + Json(entry.shape).dump() +
         R"(,"data_offsets":)" + Json({begin, begin + entry.bytes.size()}).dump() + "}";
}

// Entries stand in the order of their bytes, which a Json table would not keep.
std::string header_text(const std::vector<SafetensorsEntry>& entries,
                        const std::map<std::string, std::string>& metadata) {
  std::string text = "{";
  if (!metadata.empty()) text += Json(kMetadataKey).dump() + ":" + Json(metadata).dump() + ",";
  std::uint64_t offset = 0;
  for (const SafetensorsEntry& entry : entries) {
    text += Json(entry.name).dump() + ":" + entry_text(entry, offset) + ",";
    offset += entry.bytes.size();
  }
  if (text.back() == ',') text.pop_back();
  text += "}";
  text.append((kLengthBytes - text.size() % kLengthBytes) % kLengthBytes, ' ');
  return text;
}

std::string checked_header_text(const std::filesystem::path& path,
                                const std::vector<SafetensorsEntry>& entries,
                                const std::map<std::string, std::string>& metadata) {
  try {
    return header_text(entries, metadata);
  } catch (const Json::exception&) {
    fail_write(path, "a name or the metadata is not UTF-8");
  }
}

std::string length_bytes(std::uint64_t length) {
  std::string bytes;
  for (std::size_t i = 0; i < kLengthBytes; ++i) {
    bytes.push_back(static_cast<char>(length >> 8U * i & 0xFFU));
  }
  return bytes;
}

}  // namespace

void write_safetensors(const std::filesystem::path& path, std::vector<SafetensorsEntry> entries,
                       const std::map<std::string, std::string>& metadata, Existing existing) {
  check_entries(path, entries);
  std::sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) {
    return std::pair(safetensors_rank(a.dtype), std::string_view(a.name)) <
           std::pair(safetensors_rank(b.dtype), std::string_view(b.name));
  });
  const std::string header = checked_header_text(path, entries, metadata);
  const std::string length = length_bytes(header.size());
  std::vector<std::string_view> parts = {length, header};
  for (const SafetensorsEntry& entry : entries) {
    parts.emplace_back(reinterpret_cast<const char*>(entry.bytes.data()), entry.bytes.size());
  }
  write_file(path, parts, existing);
}

}  // namespace tenon
