#include "ranks/launch.h"

#include <map>

#include "support/error_matchers.h"

namespace tenon {
namespace {

using ::testing::AllOf;
using testing::error_text;
using ::testing::HasSubstr;

Variables variables(std::map<std::string, std::string> values) {
  return [values](const std::string& name) -> std::optional<std::string> {
    const auto found = values.find(name);
    return found == values.end() ? std::nullopt : std::optional(found->second);
  };
}

TEST(Launch, IsNoneWhereNothingSaysSo) {
  EXPECT_FALSE(read_launch(variables({{"MASTER_ADDR", "left.over"}})));
  EXPECT_FALSE(read_launch(variables({{"RANK", "0"}, {"WORLD_SIZE", "1"}})));
}

TEST(Launch, IsTorchruns) {
  const auto launch = read_launch(variables({{"RANK", "5"},
                                             {"WORLD_SIZE", "8"},
                                             {"LOCAL_RANK", "1"},
                                             {"LOCAL_WORLD_SIZE", "4"},
                                             {"MASTER_ADDR", "first"},
                                             {"MASTER_PORT", "29500"},
                                             {"TORCHELASTIC_RUN_ID", "none"},
                                             {"TORCHELASTIC_USE_AGENT_STORE", "True"},
                                             {"TORCHELASTIC_RESTART_COUNT", "2"}}));
  ASSERT_TRUE(launch);
  EXPECT_EQ(launch->launcher, "torchrun");
  EXPECT_EQ(launch->rank, 5);
  EXPECT_EQ(launch->count, 8);
  EXPECT_EQ(launch->local_rank, 1);
  EXPECT_EQ(launch->local_count, 4);
  EXPECT_EQ(launch->address, "first");
  EXPECT_EQ(launch->port, 29500);
  EXPECT_TRUE(launch->has_store);
  EXPECT_EQ(launch->attempt, "2");
}

TEST(Launch, OfPlainVariablesHasItsStoreOnRankZero) {
  const auto launch = read_launch(variables(
      {{"RANK", "1"}, {"WORLD_SIZE", "2"}, {"MASTER_ADDR", "pod-0"}, {"MASTER_PORT", "23456"}}));
  ASSERT_TRUE(launch);
  EXPECT_EQ(launch->launcher, "the environment");
  EXPECT_FALSE(launch->has_store);
}

TEST(Launch, HalfAnEnvironmentIsAnErrorThatNamesWhatIsMissing) {
  EXPECT_THAT(error_text([] {
                read_launch(variables({{"RANK", "0"}}));
              }),
              AllOf(HasSubstr("RANK is set"), HasSubstr("lacks WORLD_SIZE")));
  EXPECT_THAT(error_text([] {
                read_launch(variables({{"WORLD_SIZE", "2"}}));
              }),
              AllOf(HasSubstr("WORLD_SIZE is set"), HasSubstr("lacks RANK")));
  EXPECT_THAT(error_text([] {
                read_launch(variables({{"RANK", "0"}, {"WORLD_SIZE", "2"}}));
              }),
              HasSubstr("lacks MASTER_ADDR, MASTER_PORT"));
}

TEST(Launch, RefusesNumbersThatAreNone) {
  const auto with = [](const char* name, const char* value) {
    std::map<std::string, std::string> values = {
        {"RANK", "0"}, {"WORLD_SIZE", "2"}, {"MASTER_ADDR", "host"}, {"MASTER_PORT", "29500"}};
    values[name] = value;
    return error_text([&] { read_launch(variables(values)); });
  };
  EXPECT_THAT(with("RANK", "first"), HasSubstr("RANK is `first`, which is no whole number"));
  EXPECT_THAT(with("RANK", "2"), HasSubstr("RANK is 2 and WORLD_SIZE 2"));
  EXPECT_THAT(with("MASTER_PORT", "70000"), HasSubstr("MASTER_PORT is 70000, which is no port"));
}

TEST(Launch, IsSlurmsStep) {
  const auto launch = read_launch(variables({{"SLURM_STEP_NUM_TASKS", "5"},
                                             {"SLURM_PROCID", "4"},
                                             {"SLURM_LOCALID", "0"},
                                             {"SLURM_NODEID", "2"},
                                             {"SLURM_STEP_TASKS_PER_NODE", "2(x2),1"},
                                             {"SLURM_STEP_NODELIST", "node[07-08,11],other"},
                                             {"SLURM_JOB_ID", "1234"},
                                             {"SLURM_STEP_ID", "0"},
                                             {"SLURM_CPUS_PER_TASK", "8"}}));
  ASSERT_TRUE(launch);
  EXPECT_EQ(launch->launcher, "Slurm");
  EXPECT_EQ(launch->rank, 4);
  EXPECT_EQ(launch->local_count, 1);
  EXPECT_EQ(launch->address, "node07");
  EXPECT_EQ(launch->port, 20000 + 1234 * 7);
  EXPECT_TRUE(launch->has_own_cores);
}

TEST(Launch, OfABatchScriptOutsideSrunIsOneProcess) {
  EXPECT_FALSE(read_launch(variables({{"SLURM_PROCID", "0"}, {"SLURM_NTASKS", "4"}})));
}

TEST(Launch, IsOpenMpisOnOneMachine) {
  std::map<std::string, std::string> values = {{"OMPI_COMM_WORLD_RANK", "1"},
                                               {"OMPI_COMM_WORLD_SIZE", "2"},
                                               {"OMPI_COMM_WORLD_LOCAL_RANK", "1"},
                                               {"OMPI_COMM_WORLD_LOCAL_SIZE", "2"}};
  const auto launch = read_launch(variables(values));
  ASSERT_TRUE(launch);
  EXPECT_EQ(launch->launcher, "Open MPI");
  EXPECT_EQ(launch->address, "127.0.0.1");
  EXPECT_GE(launch->port, 20000);

  values["OMPI_COMM_WORLD_LOCAL_SIZE"] = values["OMPI_COMM_WORLD_SIZE"] = "3";
  values["OMPI_COMM_WORLD_LOCAL_SIZE"] = "2";
  EXPECT_THAT(error_text([&] { read_launch(variables(values)); }),
              AllOf(HasSubstr("lacks MASTER_ADDR, MASTER_PORT"), HasSubstr("mpirun -x")));
}

TEST(Launch, DividesTheCoresOfAMachine) {
  Launch launch;
  launch.launcher = "torchrun";
  launch.local_count = 4;
  EXPECT_EQ(threads_of_rank(launch, 16, std::nullopt), 4);
  EXPECT_EQ(threads_of_rank(launch, 2, std::nullopt), 1);
  EXPECT_EQ(threads_of_rank(launch, 16, "1"), 4);  // torchrun's own
  EXPECT_EQ(threads_of_rank(launch, 16, "3"), 3);
  launch.launcher = "Slurm";
  EXPECT_EQ(threads_of_rank(launch, 16, "1"), 1);
  launch.has_own_cores = true;
  EXPECT_EQ(threads_of_rank(launch, 8, std::nullopt), 8);
}

}  // namespace
}  // namespace tenon
