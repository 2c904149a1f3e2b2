// A library of models for another LibTorch (WRONG_TORCH) or another C++ library (WRONG_ABI).
// Opening it ends the program, to show that a host that refuses it never does.
#include <tenon/plugin.h>
#include <tenon/version.h>

#include <cstdlib>
#include <string_view>

namespace {

[[maybe_unused]] const bool kOpened = [] {
  std::abort();
  return true;
}();

template <std::size_t N>
constexpr void copy(char (&to)[N], std::string_view from) {
  for (std::size_t i = 0; i < from.size(); ++i) to[i] = from[i];
}

constexpr tenon_stamp make_stamp() {
  tenon_stamp stamp{};
  for (int i = 0; i < 8; ++i) stamp.magic[i] = TENON_STAMP_MAGIC[i];
  stamp.struct_size = sizeof(tenon_stamp);
  stamp.kind = TENON_STAMP_MODELS;
  stamp.abi_major = TENON_ABI_MAJOR;
  stamp.abi_minor = TENON_ABI_MINOR;
  stamp.pointer_bits = 64;
  copy(stamp.id, "acme.old-models");
  copy(stamp.version, "1.0.0");
#ifdef WRONG_TORCH
  copy(stamp.torch_version, "1.8.1");
#else
  copy(stamp.torch_version, RIGHT_TORCH);
#endif
  copy(stamp.cxx_abi, "libc++ of another planet");
  return stamp;
}

}  // namespace

extern "C" {
constexpr tenon_stamp tenon_stamp_v1 = make_stamp();
}
