#include "pt2/pt2_archive.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/hash.h"
#include "base/suggest.h"
#include "pt2/foreign_file.h"
#include "pt2/zip_directory.h"

namespace tenon {
namespace {

[[noreturn]] void refuse(const std::string& location, std::string message,
                         std::string hint = kHowToExport) {
  throw Error{{.stage = Stage::kModel,
               .message = std::move(message),
               .hint = std::move(hint),
               .location = location}};
}

std::shared_ptr<MappedFile> map_program(const std::filesystem::path& path) {
  if (std::filesystem::is_directory(path)) {
    refuse(path.string(), "this is a folder, not an exported program");
  }
  if (!std::filesystem::exists(path)) {
    refuse(path.string(), "there is no such file",
           std::string(kHowToExport) +
               " For a config that came with tenon, the comment at its head has the command.");
  }
  return std::make_shared<MappedFile>(path, Stage::kModel);
}

// The name without the first folder; the whole name if it has none.
std::string_view without_top_folder(std::string_view name) {
  const std::size_t slash = name.find('/');
  return slash == std::string_view::npos ? name : name.substr(slash + 1);
}

void refuse_other_archives(const std::vector<ZipRecord>& records, const std::string& location) {
  const auto any = [&](auto&& predicate) {
    return std::any_of(records.begin(), records.end(), [&](const ZipRecord& record) {
      return predicate(without_top_folder(record.name));
    });
  };
  const auto has = [&](std::string_view name) {
    return any([&](std::string_view entry) { return entry == name; });
  };
  const auto has_prefix = [&](std::string_view prefix) {
    return any([&](std::string_view entry) { return entry.starts_with(prefix); });
  };
  if (has("serialized_exported_program.json")) {
    refuse(location, "this exported program was written by torch before 2.9",
           "Export the model again with torch 2.9 or newer.");
  }
  if (has("constants.pkl") && has_prefix("code/")) {
    refuse(location, "this is a TorchScript model (torch.jit.save), not an exported program",
           "Its code cannot be adapted: export the model that it was made of. " +
               std::string(kHowToExport));
  }
  if (has_prefix("models/")) return;
  if (has_prefix("data/aotinductor/") ||
      any([](std::string_view entry) { return entry.ends_with(".wrapper.so"); })) {
    refuse(location, "this is an AOTInductor package: compiled code, which cannot be adapted",
           "Save the exported program that it was compiled from. " + std::string(kHowToExport));
  }
  if (has("data.pkl")) {
    refuse(location, "this is a torch.save checkpoint (pickled), not an exported program",
           kPickleHint);
  }
  refuse(location, "this is a zip archive but not an exported program: it has no models/ folder");
}

bool is_safe_name(std::string_view name) {
  if (name.empty() || name.find('\\') != std::string_view::npos ||
      name.find('\0') != std::string_view::npos) {
    return false;
  }
  while (true) {
    const std::size_t slash = name.find('/');
    const std::string_view part = name.substr(0, slash);
    if (part.empty() || part == "." || part == "..") return false;
    if (slash == std::string_view::npos) return true;
    name.remove_prefix(slash + 1);
  }
}

void check_record(const ZipRecord& record, std::string_view top, const std::string& location) {
  if (!is_safe_name(record.name)) {
    refuse(location, "the archive has an entry with the unsafe name `" + record.name + "`");
  }
  if (!record.name.starts_with(top)) {
    refuse(location, "the archive's entry `" + record.name + "` is outside its top folder `" +
                         std::string(top) + "`");
  }
  if (record.encrypted) {
    refuse(location, "the archive's entry `" + record.name + "` is encrypted");
  }
  if (!record.stored) {
    refuse(location,
           "the archive's entry `" + record.name +
               "` is compressed; an exported program stores its entries as they are",
           "Use the file that torch.export.save wrote, not one packed again.");
  }
}

struct Range {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
  const ZipRecord* record = nullptr;
};

void check_overlap(std::vector<Range> ranges, const std::string& location) {
  std::sort(ranges.begin(), ranges.end(),
            [](const Range& left, const Range& right) { return left.begin < right.begin; });
  for (std::size_t index = 1; index < ranges.size(); ++index) {
    if (ranges[index].begin < ranges[index - 1].end) {
      refuse(location, "the archive is damaged: its entries `" + ranges[index - 1].record->name +
                           "` and `" + ranges[index].record->name + "` overlap");
    }
  }
}

void check_unique(const std::vector<Pt2Entry>& sorted, const std::string& location) {
  const auto same = std::adjacent_find(
      sorted.begin(), sorted.end(),
      [](const Pt2Entry& left, const Pt2Entry& right) { return left.name == right.name; });
  if (same != sorted.end()) {
    refuse(location, "the archive is damaged: it has two entries `" + same->name + "`");
  }
}

}  // namespace

Pt2Archive::Pt2Archive(const std::filesystem::path& path) : mapping_(map_program(path)) {
  const std::string location = path.string();
  const std::span<std::byte> bytes = mapping_->bytes();
  refuse_foreign_file(mapping_->text(), location);
  const ZipDirectory directory(bytes, location);
  refuse_other_archives(directory.records(), location);

  const std::string& first = directory.records().front().name;
  const std::string top = first.substr(0, first.find('/')) + '/';
  std::vector<Range> ranges;
  for (const ZipRecord& record : directory.records()) {
    check_record(record, top, location);
    const std::uint64_t begin = directory.data_offset(record);
    if (begin > directory.begin() || record.size > directory.begin() - begin) {
      refuse(location, "the archive is damaged: its entry `" + record.name +
                           "` reaches outside the file's data");
    }
    ranges.push_back({record.header_offset, begin + record.size, &record});
    entries_.push_back(
        {record.name.substr(top.size()), bytes.subspan(begin, record.size), record.crc32});
  }
  check_overlap(std::move(ranges), location);
  std::sort(entries_.begin(), entries_.end(),
            [](const Pt2Entry& left, const Pt2Entry& right) { return left.name < right.name; });
  check_unique(entries_, location);
}

const Pt2Entry* Pt2Archive::find(std::string_view name) const {
  const auto found = std::lower_bound(
      entries_.begin(), entries_.end(), name,
      [](const Pt2Entry& entry, std::string_view wanted) { return entry.name < wanted; });
  return found != entries_.end() && found->name == name ? &*found : nullptr;
}

std::string_view Pt2Archive::text(const Pt2Entry& entry) const {
  if (crc32(entry.bytes) != entry.crc32) {
    refuse_damaged_entries(*this, {entry.name});
  }
  return {reinterpret_cast<const char*>(entry.bytes.data()), entry.bytes.size()};
}

void refuse_damaged_entries(const Pt2Archive& archive, std::vector<std::string> entries) {
  constexpr std::size_t kMostNamed = 8;
  const std::size_t others = entries.size() - std::min(entries.size(), kMostNamed);
  entries.resize(entries.size() - others);
  refuse(archive.mapping()->path().string(),
         "the archive is damaged: the bytes of its entry `" + join(entries, "`, `") + "`" +
             (others == 0 ? "" : " and " + std::to_string(others) + " more") +
             " are not those that its checksum (CRC-32) was made of",
         "Copy the file again, or export the model again.");
}

}  // namespace tenon
