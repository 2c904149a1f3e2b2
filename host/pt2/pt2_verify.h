#pragma once

#include "pt2/pt2_archive.h"

namespace tenon::pt2 {

// Checks all entries against the directory's CRC-32, for which the whole file is read. Throws
// Error{Stage::kModel} with the damaged ones.
void verify_archive(const Pt2Archive& archive);

}  // namespace tenon::pt2
