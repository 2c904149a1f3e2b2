// A plugin that says when its code runs: opening it makes the file that TENON_MARK names.
#include <cstdio>
#include <cstdlib>
#include <tenon/sdk.hpp>

namespace {

__attribute__((constructor)) void mark() {
  const char* file = std::getenv("TENON_MARK");
  std::FILE* made = file == nullptr ? nullptr : std::fopen(file, "w");
  if (made != nullptr) std::fclose(made);
}

struct Marked : tenon::Layer<Marked> {
  static constexpr tenon::layer_type kType{.id = "acme.marked",
                                           .method = "lora",
                                           .base = "acme.Marked;*.MarkedToo",
                                           .title = "lora.Marked",
                                           .doc = "Nothing."};

  static void add_adapter(Setup& setup) {
    setup.parameter("lora_offset", {1}, tenon::Init::zeros());
  }

  static Outputs forward(Call& call) { return call.input(); }
};

struct MarkedMethod : tenon::Method<MarkedMethod> {
  static constexpr tenon::method_type kMethod{.name = "marked", .doc = "Nothing."};
};

}  // namespace

TENON_PLUGIN("acme.marked", "1.2.3", Marked, MarkedMethod)
