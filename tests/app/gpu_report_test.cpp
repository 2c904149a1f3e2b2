#include "app/gpu_report.h"

#include <gmock/gmock.h>

namespace tenon {
namespace {

TEST(GpuReport, NamesEachGpuAndTheVersions) {
  GpuFacts facts;
  facts.has_library = true;
  facts.built_for = 13000;
  facts.cudnn = 91002;
  facts.driver = 13010;
  facts.gpus = {{"NVIDIA H200", 150'000'000'000, 9, 0}};
  facts.is_usable = true;
  EXPECT_EQ(gpus_text(facts),
            "cuda:0 NVIDIA H200, 150.0 GB, compute capability 9.0\n"
            "  LibTorch for CUDA 13.0, cuDNN 9.10.2\n"
            "  driver for CUDA 13.1");
  EXPECT_EQ(gpus_json(facts)["devices"][0]["device"], "cuda:0");
  EXPECT_TRUE(gpus_json(facts)["problem"].is_null());
}

TEST(GpuReport, SaysWhatIsWrongAndWhatToDo) {
  GpuFacts facts;
  facts.has_library = true;
  facts.built_for = 13000;
  facts.driver = 12040;
  EXPECT_EQ(gpus_text(facts),
            "cannot be used: LibTorch was built for CUDA 13.0, the driver is older: it runs CUDA "
            "12.4\n"
            "  install a newer driver, or a torch that was built for CUDA 12\n"
            "  LibTorch for CUDA 13.0\n"
            "  driver for CUDA 12.4");
}

}  // namespace
}  // namespace tenon
