#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "plugin/elf_library.h"

// The tables of a shared library that the dynamic linker follows, as the sections of its file
// describe them a second time: a damaged header or table differs from its other description.
namespace tenon {

// The number of an entry of the dynamic section; 0 if there is none.
using DynamicValue = std::function<std::uint64_t(std::int64_t tag)>;

// What is wrong; nullopt if nothing is.
// Sections whose address or size is not what the dynamic section says.
std::optional<std::string> check_table_places(const ElfLibrary& library, const DynamicValue& value);
// Names and versions of symbols: offsets outside their tables, chains without an end, versions that
// are not declared, of libraries that are not needed. `needed` says whether a name is.
std::optional<std::string> check_symbols(const ElfLibrary& library,
                                         const std::function<bool(std::string_view)>& needed);

}  // namespace tenon
