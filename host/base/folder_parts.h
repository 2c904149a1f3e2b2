#pragma once

#include <filesystem>
#include <vector>

#include "base/output_folder.h"

// The steps of writing a folder as one (output_folder.h). What returns an int returns an errno, 0
// when done.
namespace tenon {

// Makes `folder` and what is missing above it, adds what it made to `made`, and syncs it.
int make_folders(const std::filesystem::path& folder, std::vector<std::filesystem::path>& made);

// Writes the files into `target`, each with the permissions of the one of its name in `old`. Throws
// what a writer throws.
void write_parts(const std::filesystem::path& target, const std::filesystem::path& old,
                 const std::vector<FolderFile>& files);

// Gives everything of `old` that `target` does not have a second name there, by hard links, and the
// folders the permissions of the old ones. False where that cannot be done, or where there is too
// much.
bool link_others(const std::filesystem::path& old, const std::filesystem::path& target);

// What another process put into the folder meanwhile goes over to the new one.
void move_latecomers(const std::filesystem::path& old, const std::filesystem::path& now);

int sync_folders(const std::filesystem::path& folder);  // and all in it

// Writes the files whole into a folder inside theirs, and moves them out of it one by one: from the
// moment that folder has its name, the replacement is finished by whoever comes next.
void replace_one_by_one(const std::filesystem::path& folder, const std::vector<FolderFile>& files);
int finish_replacement_in(const std::filesystem::path& folder);

}  // namespace tenon
