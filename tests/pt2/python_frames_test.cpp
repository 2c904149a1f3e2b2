#include "pt2/python_frames.h"

#include <gtest/gtest.h>

#include <string>

namespace tenon::pt2 {
namespace {

// A frame as the exporter writes it.
std::string frame(const std::string& source, const std::string& function = "forward",
                  const std::string& file = "/home/user/net.py") {
  return "  File \"" + file + "\", line 7, in " + function + "\n    " + source + "\n";
}

constexpr const char* kRoot = "L['self'],,net.Net";
constexpr const char* kRootAndAct = "L['self'],,net.Net;L['self'].act,act,net.Act";

TEST(PythonFrames, AForwardThatNoModuleHasIsAFunctions) {
  const std::string function = frame("return (x > 0).float()");
  for (const char* call :
       {"x = Spike.apply(x)", "x = spike(x)", "x = self.function(x)", "x = self.spiking(x)"}) {
    EXPECT_TRUE(runs_in_function(frame(call) + function, kRoot)) << call;
    EXPECT_TRUE(runs_in_function(frame("x = self.act(x)") + frame(call) + function, kRootAndAct));
  }
}

TEST(PythonFrames, ForwardsOfModulesAreTheirOwn) {
  EXPECT_FALSE(runs_in_function(frame("x = x.round()"), kRoot));
  EXPECT_FALSE(runs_in_function(frame("x = self.act(x)") + frame("return x.round()"), kRootAndAct));
  EXPECT_FALSE(
      runs_in_function(frame("x = helper(x)") + frame("return x.round()", "helper"), kRoot))
      << "a helper is no Function";
}

TEST(PythonFrames, AForwardCalledByItsNameIsNoFunctions) {
  const std::string inner = frame("return F.linear(input, self.weight, self.bias)");
  for (const char* call : {"return super().forward(x) * 0.5", "return nn.Linear.forward(self, x)",
                           "def forward(self, x): return super().forward(x)"}) {
    EXPECT_FALSE(runs_in_function(frame("return self.act(x)") + frame(call) + inner, kRootAndAct))
        << call;
  }
  EXPECT_TRUE(runs_in_function(frame("def forward(self, x): return spike(x)") + inner, kRoot));
}

TEST(PythonFrames, FramesOfTorchItselfDoNotCount) {
  const std::string checkpoint =
      frame("outputs = run_function(*args)", "forward", "/lib/torch/utils/checkpoint.py");
  const std::string strict =
      frame("res = self._export_root(*args)", "forward", "/lib/torch/_dynamo/functional_export.py");
  EXPECT_FALSE(runs_in_function(frame("x = run(x)") + checkpoint, kRoot));
  EXPECT_FALSE(runs_in_function(strict + frame("x = x.round()"), kRoot));
}

TEST(PythonFrames, WithoutAStackNothingIsSaid) {
  EXPECT_FALSE(runs_in_function("", kRoot));
  EXPECT_FALSE(runs_in_function(frame("a(x)") + frame("b(x)"), ""));
}

}  // namespace
}  // namespace tenon::pt2
