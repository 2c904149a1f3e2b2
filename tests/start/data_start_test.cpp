#include "start/data_start.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/error_matchers.h"
#include "support/lora_model.h"

namespace tenon {
namespace {

using ::testing::ElementsAre;
using testing::error_text;
using ::testing::HasSubstr;

const PluginRegistry& plugins() {
  static const PluginRegistry registry({}, {TENON_OBSERVING_FOLDER});
  return registry;
}

// An adapter on seq.0 and seq.4, started from 12 rows in batches of 4.
struct Observed {
  ModelData model = testing::small_mlp();
  Dataset data;
  TrainConfig train;
  AdapterConfig config;

  explicit Observed(const std::string& start) {
    data.inputs = {at::linspace(-1, 1, 72).reshape({12, 6})};
    data.rows = 12;
    train.batch_size = 4;
    train.shuffle = false;
    config.name = "a";
    config.method = "observing";
    config.target_modules = std::vector<std::string>{"seq.0", "seq.4"};
    config.method_keys["start"] = std::string(start);
  }
  InjectionPlan plan() const { return plan_injection(model, config, plugins()); }
  DataStart start() const { return start_from_data(model, plan(), {data, train}); }
  // As add_adapters goes on.
  void place() const {
    DataStart started = start();
    place_adapter(model, plan_injection(model, started.config, plugins()), 0,
                  std::move(started.given));
  }
};

TEST(StartFromData, IsAskedForByTheMethodsKeys) {
  EXPECT_TRUE(starts_from_data(Observed("data").plan()));
  EXPECT_FALSE(starts_from_data(Observed("").plan()));
  EXPECT_FALSE(deals_ranks(Observed("data").plan()));
  EXPECT_EQ(start_of(Observed("data").plan()), "method = \"observing\"");
}

TEST(StartFromData, TakesWhatTheMethodSawOfTheBase) {
  const Observed observed("data");
  const DataStart start = observed.start();
  const at::Tensor output = AdaptedModel(observed.model).forward(observed.data.inputs, {}).at(0);
  EXPECT_TRUE(at::allclose(start.given.at("seq.4").parameters.at("shift"), output.mean(0)));
  EXPECT_EQ(start.given.size(), 2);
}

TEST(StartFromData, WritesKeysOfSingleLayersIntoTheirPatterns) {
  const DataStart start = Observed("times").start();
  EXPECT_EQ(start.config.method_keys.at("times_pattern"),
            OptionValue(OptionEntries{{{"^seq\\.4", 2.0}}}));
}

TEST(StartFromData, LeavesLayersOutAndTellsWhatTheMethodNotes) {
  const DataStart start = Observed("first only").start();
  EXPECT_EQ(start.config.target_modules, ModuleRule(std::vector<std::string>{"seq.0"}));
  EXPECT_THAT(start.notes, ElementsAre("the others stay as they are"));
  EXPECT_FALSE(start.given.contains("seq.4"));
}

TEST(StartFromData, FailsWithTheMethodsTextAndWhatItSaysToDo) {
  EXPECT_THAT(error_text([] { Observed("refused").start(); }), HasSubstr("not so\n  do otherwise"));
  EXPECT_THAT(error_text([] { Observed("fails").start(); }),
              HasSubstr("all is lost\n  the method comes from plugin test.observing 0.1.0"));
}

TEST(StartFromData, RefusesWhatDoesNotFitTheAdapter) {
  const auto text = [](const std::string& start) {
    return error_text([&] { Observed(start).place(); });
  };
  EXPECT_THAT(text("out of range"), HasSubstr("there is no such layer"));
  EXPECT_THAT(text("without patterns"), HasSubstr("`start` has no table of patterns beside it"));
  EXPECT_THAT(text("no value"), HasSubstr("`times` must be"));
  EXPECT_THAT(text("a weight"), HasSubstr("plugin bug: observing: finish set a weight of `seq.0`"));
  EXPECT_THAT(text("wrong name"), HasSubstr("has no shifts of shape"));
  EXPECT_THAT(text("wrong shape"), HasSubstr("has no shift of shape"));
}

}  // namespace
}  // namespace tenon
