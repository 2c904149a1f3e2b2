#pragma once

#include <filesystem>
#include <optional>
#include <string>

namespace tenon {

// What `tenon plugin install` notes of a plugin: "acme.fancy.json" beside "acme.fancy.so", with
// these fields by their names.
struct InstallRecord {
  std::string id;
  std::string version;
  std::string sha256;
  std::string from;            // the file it was copied from, or the address of the index
  std::string key = {};        // that signed the index; "" where it came from a file
  std::string installed = {};  // "2026-01-31T12:00:00Z"
  std::string license = {};
  std::string summary = {};
  std::string homepage = {};
};

std::filesystem::path record_of(const std::filesystem::path& plugin);  // the record's own path

// The record beside a plugin's file; nullopt where there is none. Throws Error{kPlugins} for a
// record that cannot be read.
std::optional<InstallRecord> read_record(const std::filesystem::path& plugin);

std::string record_text(const InstallRecord& record);

}  // namespace tenon
