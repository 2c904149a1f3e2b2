#include "pt2/python_frames.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <vector>

namespace tenon::pt2 {
namespace {

constexpr std::string_view kFrame = "File \"";

// Files of torch whose frames called `forward` are no module's, or whose Function has the gradient
// of what it runs.
constexpr std::array<std::string_view, 4> kOfTorch = {
    "/torch/utils/checkpoint.py", "/torch/_dynamo/", "/torch/_export/", "/torch/export/"};

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

bool is_forward(std::string_view heading) {
  return heading.ends_with(", in forward") &&
         std::ranges::none_of(kOfTorch, [&](auto file) { return contains(heading, file); });
}

// The lines of source below each frame of a `forward`, outermost first.
std::vector<std::string_view> forwards(std::string_view trace) {
  std::vector<std::string_view> sources;
  for (std::size_t frame = trace.find(kFrame); frame != std::string_view::npos;) {
    const std::size_t next = trace.find(kFrame, frame + kFrame.size());
    const std::string_view text =
        trace.substr(frame, next == std::string_view::npos ? next : next - frame);
    const std::size_t line = std::min(text.find('\n'), text.size());
    if (is_forward(text.substr(0, line))) sources.push_back(text.substr(line));
    frame = next;
  }
  return sources;
}

// A line may hold the definition too: "def forward(self, x): return super().forward(x)".
bool calls_forward(std::string_view source) {
  constexpr std::string_view kDefinition = "def forward(";
  const std::size_t definition = source.find(kDefinition);
  if (definition != std::string_view::npos) source.remove_prefix(definition + kDefinition.size());
  return contains(source, "forward(");
}

}  // namespace

bool runs_in_function(std::string_view stack_trace, std::string_view module_stack) {
  if (module_stack.empty()) return false;
  std::vector<std::string_view> frames = forwards(stack_trace);
  if (frames.empty()) return false;
  frames.pop_back();  // it calls no other
  const auto modules = std::ranges::count(module_stack, ';') + 1;
  return std::ssize(frames) + 1 - std::ranges::count_if(frames, calls_forward) > modules;
}

}  // namespace tenon::pt2
