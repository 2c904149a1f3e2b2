#pragma once

#include <cstddef>
#include <span>

namespace tenon::pt2 {

// Gives back the memory of bytes of a mapped file, to which nobody wrote: they come from the file
// anew when they are read. Whole pages only, and of more than a megabyte, as what is smaller may
// not be mapped.
void give_back_pages(std::span<const std::byte> bytes);

}  // namespace tenon::pt2
