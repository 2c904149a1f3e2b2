#include "model/gpu_facts.h"

#include <gmock/gmock.h>

namespace tenon {
namespace {

using testing::HasSubstr;

// What a machine says on which all is as it should be.
GpuFacts good() {
  GpuFacts facts;
  facts.has_library = true;
  facts.built_for = 13000;
  facts.cudnn = 91002;
  facts.driver = 13000;
  facts.gpus = {{"NVIDIA H200", std::int64_t{139} << 30, 9, 0}};
  facts.is_usable = true;
  return facts;
}

TEST(FindProblem, NothingIsWrongWhereLibTorchUsesAGpu) { EXPECT_EQ(find_problem(good()).what, ""); }

TEST(FindProblem, ALibTorchWithoutCudaIsNamedWithWhatToInstall) {
  const GpuProblem problem = find_problem({});
  EXPECT_EQ(problem.what, "this LibTorch has no CUDA");
  EXPECT_THAT(problem.remedy, HasSubstr("install a torch that was built for CUDA"));
}

TEST(FindProblem, TheLibraryThatIsMissingIsNamed) {
  GpuFacts facts = good();
  facts.load_failure = "libcudart.so.13: cannot open shared object file";
  EXPECT_THAT(find_problem(facts).what, HasSubstr("libcudart.so.13"));
}

TEST(FindProblem, NoDriverIsToldAsThat) {
  GpuFacts facts = good();
  facts.driver = 0;
  facts.driver_failure = "cannot open shared object file";
  EXPECT_THAT(find_problem(facts).what, HasSubstr("there is no NVIDIA driver"));
}

TEST(FindProblem, AnOlderDriverIsToldWithBothVersions) {
  GpuFacts facts = good();
  facts.driver = 12040;
  EXPECT_EQ(find_problem(facts).what,
            "LibTorch was built for CUDA 13.0, the driver is older: it runs CUDA 12.4");
  EXPECT_THAT(find_problem(facts).remedy, HasSubstr("CUDA 12"));
}

// Within one major version newer programs run on older drivers.
TEST(FindProblem, ADriverOfTheSameMajorVersionIsNewEnough) {
  GpuFacts facts = good();
  facts.built_for = 13010;
  EXPECT_EQ(find_problem(facts).what, "");
}

TEST(FindProblem, ADriverThatRefusesAndNoGpuAreToldApart) {
  GpuFacts facts = good();
  facts.gpus.clear();
  EXPECT_EQ(find_problem(facts).what, "the driver sees no GPU");
  facts.driver_failure = "it refused to start, error 999";
  EXPECT_THAT(find_problem(facts).what, HasSubstr("error 999"));
}

TEST(FindProblem, AGpuThatLibTorchCannotUseIsNamed) {
  GpuFacts facts = good();
  facts.is_usable = false;
  EXPECT_THAT(find_problem(facts).what, HasSubstr("NVIDIA H200"));
}

TEST(VersionText, AsNvidiaWritesThem) {
  EXPECT_EQ(cuda_version_text(12080), "12.8");
  EXPECT_EQ(cudnn_version_text(91002), "9.10.2");
  EXPECT_EQ(cudnn_version_text(8907), "8.9.7");
}

}  // namespace
}  // namespace tenon
