#include "pt2/pt2_numbers.h"

#include <span>
#include <stdexcept>
#include <string>
#include <utility>

namespace tenon::pt2 {
namespace {

using c10::ScalarType;

constexpr std::pair<std::int64_t, ScalarType> kScalarTypes[] = {
    {1, ScalarType::Byte},
    {2, ScalarType::Char},
    {3, ScalarType::Short},
    {4, ScalarType::Int},
    {5, ScalarType::Long},
    {6, ScalarType::Half},
    {7, ScalarType::Float},
    {8, ScalarType::Double},
    {9, ScalarType::ComplexHalf},
    {10, ScalarType::ComplexFloat},
    {11, ScalarType::ComplexDouble},
    {12, ScalarType::Bool},
    {13, ScalarType::BFloat16},
    {28, ScalarType::UInt16},
    {29, ScalarType::Float8_e4m3fn},
    {30, ScalarType::Float8_e5m2},
    {31, ScalarType::Float8_e4m3fnuz},
    {32, ScalarType::Float8_e5m2fnuz},
    {33, ScalarType::Float8_e8m0fnu},
    {34, ScalarType::UInt32},
    {35, ScalarType::UInt64},
};

constexpr std::pair<std::int64_t, c10::Layout> kLayouts[] = {
    {1, c10::kSparse},    {2, c10::kSparseCsr}, {3, c10::kSparseCsc}, {4, c10::kSparseBsr},
    {5, c10::kSparseBsc}, {6, c10::kMkldnn},    {7, c10::kStrided},
};

constexpr std::pair<std::int64_t, c10::MemoryFormat> kMemoryFormats[] = {
    {1, c10::MemoryFormat::Contiguous},
    {2, c10::MemoryFormat::ChannelsLast},
    {3, c10::MemoryFormat::ChannelsLast3d},
    {4, c10::MemoryFormat::Preserve},
};

template <typename Table>
auto look_up(const Table& table, std::int64_t number, const char* what) {
  for (const auto& [key, value] : table) {
    if (key == number) return value;
  }
  throw std::runtime_error("unknown " + std::string(what) + " " + std::to_string(number));
}

}  // namespace

c10::ScalarType scalar_type(std::int64_t number) { return look_up(kScalarTypes, number, "dtype"); }

c10::Layout layout(std::int64_t number) { return look_up(kLayouts, number, "layout"); }

c10::MemoryFormat memory_format(std::int64_t number) {
  return look_up(kMemoryFormats, number, "memory format");
}

}  // namespace tenon::pt2
