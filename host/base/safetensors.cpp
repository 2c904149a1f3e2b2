// A safetensors file:
//   8 bytes   N, the header's length, little-endian
//   N bytes   JSON: {"name": {"dtype", "shape", "data_offsets": [begin, end]}, ...} and optionally
//             "__metadata__": {string: string}; padded with spaces so that 8 + N divides by 8
//   the rest  the tensors' bytes, little-endian, row-major; offsets count from the header's end and
//             leave no byte uncovered
#include "base/safetensors.h"

#include <algorithm>
#include <optional>
#include <string_view>

#include "base/foreign_content.h"
#include "base/json.h"
#include "base/safetensors_layout.h"

namespace tenon {
namespace {

constexpr std::uint64_t kMaxHeader = 100'000'000;  // Hugging Face's library has the same limit

class Reader {
 public:
  Reader(std::span<std::byte> bytes, const std::filesystem::path& path, Stage stage)
      : bytes_(bytes), location_(path.string()), stage_(stage) {}

  // Splits the file into header and data; the data's span is kept for the entries.
  Json read_header() {
    if (bytes_.size() < kLengthBytes) {
      fail("it has " + std::to_string(bytes_.size()) + " bytes, too few for the header's length");
    }
    std::uint64_t length = 0;
    for (std::size_t i = kLengthBytes; i-- > 0;) {
      length = length << 8U | std::to_integer<std::uint64_t>(bytes_[i]);
    }
    if (length > bytes_.size() - kLengthBytes) refuse_foreign();
    if (length > kMaxHeader) {
      fail("its header claims " + std::to_string(length) + " bytes, over the limit of " +
           std::to_string(kMaxHeader));
    }
    if (length > bytes_.size() - kLengthBytes) {
      fail("its header claims " + std::to_string(length) + " bytes, but only " +
           std::to_string(bytes_.size() - kLengthBytes) + " follow");
    }
    const auto header = bytes_.subspan(kLengthBytes, length);
    data_ = bytes_.subspan(kLengthBytes + length);
    Json json = parse_json({reinterpret_cast<const char*>(header.data()), header.size()},
                           failure("its header"));
    if (!json.is_object()) fail("its header is " + json_kind(json) + ", not a table");
    return json;
  }

  std::map<std::string, std::string> read_metadata(const Json& json) const {
    std::map<std::string, std::string> metadata;
    if (!json.is_object()) fail("its `__metadata__` is " + json_kind(json) + ", not a table");
    for (const auto& [key, value] : json.items()) {
      if (!value.is_string()) {
        fail("its metadata `" + key + "` is " + json_kind(value) + ", not a string");
      }
      metadata[key] = value.get<std::string>();
    }
    return metadata;
  }

  SafetensorsEntry read_entry(const std::string& name, const Json& json) const {
    if (!json.is_object() || !json.contains("dtype") || !json["dtype"].is_string() ||
        !json.contains("shape") || !json["shape"].is_array() || !json.contains("data_offsets") ||
        !json["data_offsets"].is_array() || json.size() != 3) {
      fail_tensor(name, "must have exactly `dtype`, `shape` and `data_offsets`");
    }
    SafetensorsEntry entry{
        .name = name, .dtype = json["dtype"].get<std::string>(), .shape = {}, .bytes = {}};
    for (const Json& dimension : json["shape"]) {
      entry.shape.push_back(static_cast<std::int64_t>(read_count(name, "shape", dimension)));
    }
    entry.bytes = read_bytes(entry, json["data_offsets"]);
    return entry;
  }

  // Sorts by offset; neighbours must touch, and the last must end where the file does.
  void check_coverage(std::vector<SafetensorsEntry>& entries) const {
    std::stable_sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) {
      return std::pair(a.bytes.data(), a.bytes.size()) < std::pair(b.bytes.data(), b.bytes.size());
    });
    const std::byte* end = data_.data();
    for (const SafetensorsEntry& entry : entries) {
      if (entry.bytes.data() < end) fail_tensor(entry.name, "overlaps the tensor before it");
      if (entry.bytes.data() > end) {
        fail_tensor(entry.name, "leaves " + std::to_string(entry.bytes.data() - end) +
                                    " unused bytes before it");
      }
      end = entry.bytes.data() + entry.bytes.size();
    }
    const std::ptrdiff_t rest = data_.data() + data_.size() - end;
    if (rest != 0) fail(std::to_string(rest) + " bytes follow the last tensor");
  }

 private:
  void refuse_foreign() const {
    const ForeignContent content =
        foreign_content({reinterpret_cast<const char*>(bytes_.data()), bytes_.size()});
    if (content.what == nullptr) return;
    throw Error{{.stage = stage_,
                 .message = std::string("this is no safetensors file but ") + content.what,
                 .hint = content.hint,
                 .location = location_}};
  }

  std::span<std::byte> read_bytes(const SafetensorsEntry& entry, const Json& offsets) const {
    const std::size_t item_size = safetensors_item_size(entry.dtype);
    if (item_size == 0) fail_tensor(entry.name, "has the unknown dtype `" + entry.dtype + "`");
    const auto wanted = tensor_byte_count(entry.shape, item_size);
    if (!wanted) fail_tensor(entry.name, "has a shape whose size overflows");
    if (offsets.size() != 2) fail_tensor(entry.name, "must have two `data_offsets`");
    const std::uint64_t begin = read_count(entry.name, "data_offsets", offsets[0]);
    const std::uint64_t end = read_count(entry.name, "data_offsets", offsets[1]);
    if (begin > end) fail_tensor(entry.name, "ends before it begins");
    if (end > data_.size()) {
      fail_tensor(entry.name, "ends at byte " + std::to_string(end) + " of the data, which has " +
                                  std::to_string(data_.size()) + "; the file is cut short");
    }
    if (end - begin != *wanted) {
      fail_tensor(entry.name, "has " + std::to_string(end - begin) + " bytes, its shape needs " +
                                  std::to_string(*wanted));
    }
    return data_.subspan(begin, end - begin);
  }

  std::uint64_t read_count(const std::string& name, std::string_view what, const Json& json) const {
    const bool is_count = json.is_number_unsigned() &&
                          json.get<std::uint64_t>() <= static_cast<std::uint64_t>(INT64_MAX);
    if (!is_count) {
      fail_tensor(name, "has " + json_excerpt(json) + " in `" + std::string(what) +
                            "`, not a whole number from 0 up");
    }
    return json.get<std::uint64_t>();
  }

  [[noreturn]] void fail_tensor(const std::string& name, const std::string& problem) const {
    fail("tensor `" + name + "` " + problem);
  }

  [[noreturn]] void fail(const std::string& problem) const { throw Error(failure(problem)); }

  Failure failure(const std::string& problem) const {
    return {.stage = stage_,
            .message = "not a valid safetensors file: " + problem,
            .hint = "copy or save the file again",
            .location = location_};
  }

  std::span<std::byte> bytes_;
  std::span<std::byte> data_;
  std::string location_;
  Stage stage_;
};

}  // namespace

SafetensorsFile::SafetensorsFile(const std::filesystem::path& path, Stage stage)
    : mapping_(std::make_shared<MappedFile>(path, stage)) {
  Reader reader(mapping_->bytes(), path, stage);
  const Json header = reader.read_header();
  for (const auto& [name, value] : header.items()) {
    if (name == kMetadataKey) {
      metadata_ = reader.read_metadata(value);
    } else {
      entries_.push_back(reader.read_entry(name, value));
    }
  }
  reader.check_coverage(entries_);
}

const SafetensorsEntry* SafetensorsFile::find(std::string_view name) const {
  const auto found = std::find_if(entries_.begin(), entries_.end(),
                                  [&](const auto& entry) { return entry.name == name; });
  return found == entries_.end() ? nullptr : &*found;
}

}  // namespace tenon
