#pragma once

#include <c10/core/Layout.h>
#include <c10/core/MemoryFormat.h>
#include <c10/core/ScalarType.h>

#include <cstdint>

// The export schema numbers dtypes, layouts and memory formats in its own way; these turn its
// numbers into c10's. Each throws std::runtime_error for a number that the schema does not have.
namespace tenon::pt2 {

c10::ScalarType scalar_type(std::int64_t number);
c10::Layout layout(std::int64_t number);
c10::MemoryFormat memory_format(std::int64_t number);

}  // namespace tenon::pt2
