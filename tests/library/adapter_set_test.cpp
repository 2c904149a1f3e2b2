// What a program does with a set of adapters: they come, go, and are chosen by call and by row.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <tenon/adapt.h>
#include <torch/optim/adamw.h>

#include <cerrno>
#include <fstream>
#include <functional>
#include <optional>

#include "capture/model_cases.h"
#include "faults/faults.h"
#include "library/allocation_faults.h"
#include "support/temp_dir.h"
#include "support/test_data.h"

namespace tenon {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// Adapters that change the output from the start, each in its own way.
Config random_lora(int r = 4) {
  return {{"target_modules", {"first", "second"}}, {"r", r}, {"init_lora_weights", false}};
}

struct AdapterSet : ::testing::Test {
  AdapterSet() {
    at::manual_seed(3);
    model = Mlp(32);
    x = at::randn({6, 20});
    adapted.emplace(adapt(model, {x}, random_lora(), {.seed = 1}));
    adapted->eval();
    adapted->add("b", random_lora(), {.seed = 2});
    adapted->add("c", random_lora(8), {.seed = 3});
  }

  Tensor with(const std::vector<std::string>& active) const {
    const at::NoGradGuard no_grad;
    return adapted->forward({x}, {.active = active});
  }
  Tensor now() const {
    const at::NoGradGuard no_grad;
    return adapted->forward({x});
  }
  std::string saved(const std::string& name) {
    const std::filesystem::path to = folder.path() / ("saved_" + name);
    adapted->save(name, to);
    return to;
  }
  template <class Call>
  static std::string error_of(const Call& call, Stage stage) {
    try {
      call();
    } catch (const Error& error) {
      EXPECT_EQ(error.failure().stage, stage) << error.what();
      return error.what();
    }
    return "nothing was thrown";
  }

  testing::TempDir folder;
  Mlp model{nullptr};
  Tensor x;
  std::optional<Adapted<Tensor>> adapted;
};

TEST_F(AdapterSet, StartsEmptyWhereNoKeyIsGiven) {
  auto empty = adapt(model, {x}, Config());
  EXPECT_THAT(empty.names(), IsEmpty());
  EXPECT_TRUE(at::equal(empty.forward({x}), model(x)));
  empty.add("first", random_lora());
  EXPECT_THAT(empty.active(), ElementsAre("first"));
  EXPECT_FALSE(at::equal(empty.forward({x}), model(x)));
}

TEST_F(AdapterSet, OnesThatAreAddedRunWhenTheyAreActivated) {
  EXPECT_THAT(adapted->names(), ElementsAre("default", "b", "c"));
  EXPECT_THAT(adapted->active(), ElementsAre("default"));
  const Tensor alone = now();
  EXPECT_TRUE(at::equal(alone, with({"default"})));
  adapted->activate({"b", "c"});
  EXPECT_THAT(adapted->active(), ElementsAre("b", "c"));
  EXPECT_TRUE(at::equal(now(), with({"b", "c"})));
  EXPECT_FALSE(at::allclose(now(), alone));
  EXPECT_EQ(adapted->parameters().size(), 8U);
  adapted->train_only({"c"});
  EXPECT_EQ(adapted->parameters().size(), 4U);
  adapted->freeze("c");
  EXPECT_THAT(adapted->parameters(), IsEmpty());
  EXPECT_THAT(adapted->parameters("b").size(), 4U);
  EXPECT_EQ(adapted->named_parameters("c")[0].first, "first.lora_A.weight");
  adapted->remove("b");
  adapted->remove("c");
  EXPECT_THAT(adapted->active(), ElementsAre("default"));
  EXPECT_TRUE(at::equal(now(), alone));
}

TEST_F(AdapterSet, ACallMayChooseItsOwnWithoutTouchingWhatIsActive) {
  const Tensor before = now();
  const Tensor none = with({});
  EXPECT_TRUE(at::equal(none, model(x)));
  EXPECT_FALSE(at::allclose(with({"b"}), with({"c"})));
  EXPECT_TRUE(at::equal(now(), before));
  EXPECT_THAT(adapted->active(), ElementsAre("default"));
}

TEST_F(AdapterSet, EachRowMayHaveItsOwn) {
  const std::vector<std::string> rows = {"b", "__base__", "c", "b", "default", "__base__"};
  const at::NoGradGuard no_grad;
  const Tensor mixed = adapted->forward({x}, {.adapters = rows});
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto alone = rows[i] == "__base__" ? with({}) : with({rows[i]});
    const auto row = static_cast<std::int64_t>(i);
    EXPECT_TRUE(at::allclose(mixed[row], alone[row], 1e-5, 1e-6)) << rows[i];
  }
  EXPECT_TRUE(at::equal(mixed, adapted->forward({x}, ForwardOptions::of_rows(rows))));
  EXPECT_THAT(error_of([&] { adapted->forward({x}, {.adapters = {"b"}}); }, Stage::kInjection),
              HasSubstr("the same as the number of inputs, but got 1 and 6"));
  EXPECT_THAT(error_of([&] { with({"d"}); }, Stage::kInjection),
              AllOf(HasSubstr("Adapter d not found"), HasSubstr("default, b, c")));
}

TEST_F(AdapterSet, SavedOnesAreLoadedAndSwapped) {
  const std::string b = saved("b");
  const Tensor output_b = with({"b"});
  const Tensor output_c = with({"c"});
  adapted->load("again", b);
  EXPECT_TRUE(at::equal(with({"again"}), output_b));
  adapted->swap("c", b);
  EXPECT_TRUE(at::equal(with({"c"}), output_b));

  PreparedAdapter prepared = adapted->prepare("b", saved("default"));
  adapted->swap(prepared);
  EXPECT_TRUE(at::equal(with({"b"}), with({"default"})));
  adapted->swap(prepared);  // what was there before
  EXPECT_TRUE(at::equal(with({"b"}), output_b));
  EXPECT_FALSE(at::allclose(output_b, output_c));
  EXPECT_THAT(error_of([&] { adapted->load("b", b); }, Stage::kInjection),
              HasSubstr("Adapter with name 'b' already exists"));
  EXPECT_THAT(error_of([&] { adapted->load("d", folder.path() / "nowhere"); }, Stage::kAdapter),
              HasSubstr("nowhere"));
}

TEST_F(AdapterSet, SwappedOneKeepsItsScaleAndWhetherItIsTrained) {
  const std::string c = saved("c");
  adapted->activate({"b"});
  adapted->rescale("b", 0.5);
  adapted->swap("b", c);
  const Tensor half = now();
  adapted->rescale("c", 0.5);
  EXPECT_TRUE(at::equal(half, with({"c"})));
  EXPECT_EQ(adapted->parameters().size(), 4U);
  adapted->rescale("b", 0);
  EXPECT_TRUE(at::equal(now(), with({})));
}

TEST_F(AdapterSet, AllAreSavedAtOnce) {
  adapted->save(folder.path() / "all");
  for (const char* name : {"", "b", "c"}) {
    EXPECT_TRUE(exists(folder.path() / "all" / name / "adapter_model.safetensors")) << name;
  }
}

TEST_F(AdapterSet, SomeAreMergedBesideTheBaseAndTakenOutExactly) {
  const Tensor base = model(x);
  const Tensor both = with({"b", "c"});
  const Tensor own = now();
  adapted->merge({"b", "c"});
  EXPECT_THAT(adapted->status().merged, ElementsAre("b", "c"));
  adapted->activate({"default"});  // unmerges, as in PEFT
  EXPECT_THAT(adapted->status().merged, IsEmpty());
  adapted->activate({"b", "c"});
  adapted->merge();
  EXPECT_TRUE(at::allclose(now(), both, 1e-4, 1e-5));
  EXPECT_TRUE(at::equal(model(x), base)) << "the user's model changed";
  EXPECT_THAT(error_of([&] { with({"default"}); }, Stage::kInjection),
              HasSubstr("while some are merged: b, c"));
  adapted->unmerge();
  adapted->activate({"default"});
  EXPECT_TRUE(at::equal(now(), own));
}

TEST_F(AdapterSet, IsNotChangedWhileItIsInTheUsersModel) {
  const std::string b = saved("b");
  adapted->merge_into_model();
  const Tensor merged = now();
  const auto refused = [&](const auto& change) {
    EXPECT_THAT(error_of(change, Stage::kInjection), HasSubstr("unmerge_from_model")) << "allowed";
  };
  refused([&] { adapted->load("d", b); });
  refused([&] { adapted->add("d", random_lora()); });
  refused([&] { adapted->activate({"b"}); });
  refused([&] { adapted->remove("b"); });
  refused([&] { adapted->swap("b", b); });
  refused([&] { adapted->merge({"b"}); });
  refused([&] { adapted->unmerge(); });
  EXPECT_TRUE(at::equal(now(), merged));
  EXPECT_TRUE(at::allclose(model(x), merged, 1e-5, 1e-6));
}

TEST_F(AdapterSet, AFailedSaveLeavesItMergedIntoTheModel) {
  adapted->merge_into_model();
  const Tensor merged = model(x);
  std::ofstream(folder.path() / "file") << "in the way";
  EXPECT_THAT(error_of([&] { adapted->save(folder.path() / "file" / "adapter"); }, Stage::kOutput),
              HasSubstr("file"));
  EXPECT_TRUE(at::equal(model(x), merged));
}

TEST_F(AdapterSet, OthersAreCombinedIntoOneMore) {
  CombineOptions options{.weights = {1.0, 1.0}, .combination_type = "cat"};
  adapted->combine("sum", {"b", "c"}, options);
  EXPECT_TRUE(at::allclose(with({"sum"}), with({"b", "c"}), 1e-4, 1e-5));
  options.weights = {1.0};
  EXPECT_THAT(error_of(
                  [&] {
                    adapted->combine("d", {"b", "c"}, options);
                  },
                  Stage::kAdapter),
              HasSubstr("CombineOptions has 1 weights for 2 adapters"));
}

TEST_F(AdapterSet, ParametersAreGroupedAsLoraPlusWantsThem) {
  const auto groups = adapted->parameter_groups(
      {.learning_rate = 1e-3, .weight_decay = 0.1, .loraplus_lr_ratio = 16});
  ASSERT_EQ(groups.size(), 2U);
  EXPECT_EQ(groups[0].learning_rate, 1e-3);
  EXPECT_EQ(groups[1].learning_rate, 16e-3);
  for (const Tensor& up : groups[1].parameters) EXPECT_EQ(up.size(1), 4);  // lora_B: out x r
  EXPECT_EQ(groups[0].parameters.size() + groups[1].parameters.size(),
            adapted->parameters().size());
}

TEST_F(AdapterSet, TrainingGoesOnFromASavedState) {
  const Tensor labels = at::randint(2, {6}, at::kLong);
  const auto optimizer_of = [&] {
    return torch::optim::AdamW(adapted->parameters(), torch::optim::AdamWOptions(2e-2));
  };
  const auto steps = [&](torch::optim::AdamW& optimizer, int n) {
    for (int i = 0; i < n; ++i) {
      optimizer.zero_grad();
      at::nll_loss(adapted->forward({at::dropout(x, 0.1, true)}), labels).backward();
      optimizer.step();
    }
    return now();
  };
  torch::optim::AdamW optimizer = optimizer_of();
  steps(optimizer, 3);
  const std::filesystem::path file = folder.path() / "state";
  adapted->save_state(optimizer, file);
  const Tensor wanted = steps(optimizer, 3);
  torch::optim::AdamW other = optimizer_of();
  adapted->load_state(other, file);
  EXPECT_TRUE(at::equal(steps(other, 3), wanted));

  adapted->remove("c");
  const Tensor before = now();
  EXPECT_THAT(error_of([&] { adapted->load_state(other, file); }, Stage::kAdapter),
              HasSubstr("it holds c/first.lora_A.weight where the model has nothing"));
  std::ofstream(file) << "nonsense";
  EXPECT_THAT(error_of([&] { adapted->load_state(other, file); }, Stage::kAdapter),
              HasSubstr("it is no state of a training"));
  EXPECT_TRUE(at::equal(now(), before));
}

TEST_F(AdapterSet, CheckpointedModulesGiveTheSameGradients) {
  const auto gradients = [&] {
    std::vector<Tensor> found;
    adapted->forward({x}, {.active = std::vector<std::string>{"default"}}).sum().backward();
    for (const Tensor& parameter : adapted->parameters()) {
      found.push_back(parameter.grad().clone());
      parameter.mutable_grad() = Tensor();
    }
    return found;
  };
  const std::vector<Tensor> plain = gradients();
  adapted->checkpoint({"second"});
  const std::vector<Tensor> checkpointed = gradients();
  for (std::size_t i = 0; i < plain.size(); ++i) {
    EXPECT_TRUE(at::allclose(plain[i], checkpointed[i]));
  }
  EXPECT_THAT(error_of([&] { adapted->checkpoint({"sceond"}); }, Stage::kInjection),
              HasSubstr("sceond"));
}

// What a failure must leave as it was.
struct State {
  std::vector<std::string> names;
  std::vector<std::string> active;
  Tensor output;
};

void expect_same(const State& one, const State& other, long at) {
  EXPECT_EQ(one.names, other.names) << at;
  EXPECT_EQ(one.active, other.active) << at;
  EXPECT_TRUE(at::equal(one.output, other.output)) << at;
}

// Not of reading a folder or a config: the JSON and TOML libraries end the process where they get
// no memory.
TEST_F(AdapterSet, AChangeOfWhichAnAllocationFailsChangesNothing) {
  const std::filesystem::path c = saved("c");
  const auto state = [&] { return State{adapted->names(), adapted->active(), now()}; };
  const State before = state();
  PreparedAdapter prepared = adapted->prepare("default", c);
  const std::string b = "b";
  const std::vector<std::string> both = {"b", "c"};
  const std::vector<std::string> only = {"default"};
  struct Change {
    const char* name;
    std::function<void()> make;
    std::function<void()> take_back;
  };
  const Change changes[] = {
      {"swap", [&] { adapted->swap(prepared); }, [&] { adapted->swap(prepared); }},
      {"activate", [&] { adapted->activate(both); }, [&] { adapted->activate(only); }},
      {"rescale", [&] { adapted->rescale("default", 0.5); },
       [&] { adapted->rescale("default", 1); }},
      {"merge", [&] { adapted->merge(both); }, [&] { adapted->unmerge(); }},
      {"remove", [&] { adapted->remove(b); },
       [&] {
         adapted->add(b, random_lora(), {.seed = 2});
         adapted->remove("c");  // the order of the names
         adapted->add("c", random_lora(8), {.seed = 3});
       }}};
  for (const Change& change : changes) {
    const long all = [&] {
      const AllocationFaults count(0);
      change.make();
      return count.counted();
    }();
    change.take_back();
    ASSERT_GT(all, 5) << change.name;
    int failed = 0;
    for (long at = 1; at <= all; at += 1 + all / 200) {
      try {
        const AllocationFaults fault(at);
        change.make();
      } catch (const Error& error) {
        ++failed;
        SCOPED_TRACE(change.name);
        expect_same(state(), before, at);
        continue;
      }
      change.take_back();  // what failed was done without
    }
    EXPECT_GT(failed, 2) << change.name;
  }
}

TEST_F(AdapterSet, ALoadOfWhichAFileOperationFailsChangesNothing) {
  const std::string b = saved("b");
  const auto state = [&] { return State{adapted->names(), adapted->active(), now()}; };
  const State before = state();
  fault_arm(b.c_str(), 0, EIO, FAULT_READS);
  adapted->load("d", b);
  const long all = fault_disarm();
  adapted->remove("d");
  ASSERT_GT(all, 3);
  for (long at = 1; at <= all; ++at) {
    fault_arm(b.c_str(), at, EIO, FAULT_READS);
    try {
      adapted->load("d", b);
      adapted->remove("d");
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), HasSubstr(b));
      expect_same(state(), before, at);
    }
    fault_disarm();
  }
}

}  // namespace
}  // namespace tenon
