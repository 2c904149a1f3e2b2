#include "capture/captured_model.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "base/error.h"
#include "capture/attribution.h"
#include "capture/generalise.h"
#include "capture/model_runner.h"
#include "capture/module_state.h"
#include "capture/probe_sizes.h"
#include "capture/proof.h"

namespace tenon {
namespace {

using Tensors = std::vector<at::Tensor>;

class Capture {
 public:
  Capture(const CallableModel& model, const CaptureOptions& options)
      : model_(model),
        examples_(model.examples),
        options_(options),
        walked_(walk_module(*model.module)),
        state_(walked_),
        runner_(model, state_, result_.data.tensors) {
    result_.data.tree = walked_.tree;
    result_.data.tensors = walked_.tensors;
    result_.data.source = walked_.tree.modules.front().type;
  }

  CapturedModel run() {
    describe_inputs();
    state_.set_training(false);
    runs_.push_back(runner_.record_example(examples_));
    if (!options_.fixed_sizes) {
      enlarge_ones();
      runs_ = {runner_.record(examples_)};
    }
    add_run({}, other_data(examples_, acceptance()));
    if (!options_.fixed_sizes) find_sizes();
    General general = make_general();
    const bool has_training = record_training(general);
    adopt_constants();
    result_.data.graph = std::move(general.graph);
    check_ones();
    fill_dimensions();
    prove(result_.data, model_, proof_inputs(), state_, has_training);
    attribute_nodes(result_.data);
    return std::move(result_);
  }

 private:
  void describe_inputs() {
    for (std::size_t i = 0; i < model_.examples.size(); ++i) {
      const at::Tensor& example = model_.examples[i];
      const std::string name = model_.examples.size() == 1 ? "input" : "input_" + std::to_string(i);
      if (!example.defined()) {
        throw Error({.stage = Stage::kModel, .message = "example input " + name + " is undefined"});
      }
      InputSpec spec{name, "", example.scalar_type(), true, {}};
      for (const std::int64_t size : example.sizes())
        spec.dimensions.push_back({size, "", 0, -1, nullptr});
      result_.data.inputs.push_back(std::move(spec));
    }
  }

  // A size of one hides what the model does with others, unless that is something else.
  void enlarge_ones() {
    const bool has_one = std::ranges::any_of(examples_, [](const at::Tensor& example) {
      return std::ranges::count(example.sizes(), 1) > 0;
    });
    if (!has_one) return;
    for (const SizeGroup& group : probe_sizes(examples_, acceptance())) {
      if (group.size != 1) continue;
      const Recording one = runner_.record(examples_);
      const Tensors larger = resized(examples_, {{group, group.others.front()}});
      if (!runner_.accepts(larger)) continue;
      if (!parting_of_one_row(runner_.record(larger), one, result_.data.tensors))
        examples_ = larger;
    }
  }

  std::function<bool(const Tensors&)> acceptance() {
    return [this](const Tensors& inputs) { return runner_.accepts(inputs); };
  }

  // Runs on other sizes, for each dimension that the model lets vary, and all of them at once.
  void find_sizes() {
    groups_ = probe_sizes(examples_, acceptance());
    std::erase_if(groups_, [&](const SizeGroup& group) { return parts_alone(group); });
    for (const SizeGroup& group : groups_) {
      for (std::size_t i = 0; i < std::min<std::size_t>(group.others.size(), 2); ++i) {
        add_run({{group, group.others[i]}}, examples_);
      }
      for (const std::int64_t size : group.far) add_run({{group, size}}, examples_);
    }
    GroupSizes all;
    for (const SizeGroup& group : groups_) all.emplace_back(group, group.others.front());
    if (all.size() > 1 && runner_.accepts(resized(examples_, all))) add_run(all, examples_);
  }

  void add_run(const GroupSizes& sizes, const Tensors& inputs) {
    runs_.push_back(runner_.record(resized(inputs, sizes)));
    run_sizes_.push_back(sizes);
  }

  // Control flow that follows a dimension fixes it; if it follows the batch, that is refused.
  bool parts_alone(const SizeGroup& group) {
    const Recording other = runner_.record(resized(examples_, {{group, group.others.front()}}));
    const auto parting = align(runs_.front(), other, result_.data.tensors).parting;
    if (!parting) return false;
    if (group.is_batch || is_enlarged(group)) {
      refuse(place_and(parting->node, parting->what),
             "with another size of " + places_text(group, result_.data.inputs));
    }
    note_fixed(group, place_and(parting->node, parting->what));
    return true;
  }

  // A size of one may be a case of its own for the model, and is then not taken. No run had one: it
  // hides what other sizes do.
  void check_ones() {
    for (SizeGroup& group : groups_) {
      const Tensors inputs = resized(examples_, {{group, 1}});
      if (group.size == 1 || !runner_.accepts(inputs)) continue;
      std::string why;
      const Recording other = runner_.record(inputs);
      if (const auto parting = parting_of_one_row(runs_.front(), other, result_.data.tensors)) {
        why = place_and(parting->node, parting->what);
      } else {
        try {
          prove(result_.data, model_, inputs, state_, /*with_training=*/false);
          continue;
        } catch (const Error& error) {
          why = error.what();
        }
      }
      if (is_enlarged(group)) {
        refuse(why, "with more than one in " + places_text(group, result_.data.inputs));
      }
      group.smallest = 2;
      result_.notes.push_back(
          places_text(group, result_.data.inputs) +
          " must be 2 or more, because with 1 the model goes another way: " + why);
    }
  }

  // Then the model's own example has one there, at which it cannot be fixed any more.
  bool is_enlarged(const SizeGroup& group) const {
    const auto& [input, dimension] = group.places.front();
    return model_.examples[input].size(dimension) != group.size;
  }

  void note_fixed(const SizeGroup& group, const std::string& why) {
    result_.notes.push_back(places_text(group, result_.data.inputs) + " is fixed to " +
                            std::to_string(group.size) +
                            ", because the model's way follows it: " + why);
  }

  [[noreturn]] static void refuse(const std::string& what, const std::string& when) {
    throw Error({.stage = Stage::kModel,
                 .message = "the model's forward goes another way " + when + ": " + what,
                 .hint = "control flow that follows the data or the batch cannot be captured; keep "
                         "it outside the module, or fix the sizes (fixed_sizes)"});
  }

  // Of the example's run.
  std::string place_and(std::size_t node, const std::string& what) const {
    return place_text(runs_.front().graph, node) + ": " + what;
  }

  General make_general() {
    for (;;) {
      std::vector<SizeSymbol> symbols;
      for (const SizeGroup& group : groups_) {
        SizeSymbol symbol{group.places[0].first, group.places[0].second, {group.size}};
        for (const GroupSizes& sizes : run_sizes_) symbol.values.push_back(size_in(sizes, group));
        symbols.push_back(std::move(symbol));
      }
      auto outcome = generalise(runs_, symbols, result_.data.tensors);
      if (auto* general = std::get_if<General>(&outcome)) return std::move(*general);
      drop_cause(std::get<NotGeneral>(outcome));
    }
  }

  // Fixes the last dimension, not the batch, whose change brought the problem; else refuses.
  void drop_cause(const NotGeneral& problem) {
    for (std::size_t g = groups_.size(); g-- > 0;) {
      const SizeGroup group = groups_[g];
      const bool is_cause =
          std::any_of(problem.runs.begin(), problem.runs.end(), [&](std::size_t run) {
            return run > 0 && size_in(run_sizes_[run - 1], group) != group.size;
          });
      if (!is_cause || group.is_batch || is_enlarged(group)) continue;
      note_fixed(group, place_and(problem.node, problem.what));
      groups_.erase(groups_.begin() + static_cast<std::ptrdiff_t>(g));
      for (std::size_t run = run_sizes_.size(); run-- > 0;) {
        if (size_in(run_sizes_[run], group) == group.size) continue;
        run_sizes_.erase(run_sizes_.begin() + static_cast<std::ptrdiff_t>(run));
        runs_.erase(runs_.begin() + static_cast<std::ptrdiff_t>(run) + 1);
      }
      return;
    }
    constexpr std::size_t kOtherData = 1;  // the run on it
    const bool is_data = std::ranges::count(problem.runs, kOtherData) > 0;
    refuse(place_and(problem.node, problem.what),
           is_data ? "with other data" : "with another batch size");
  }

  // What training does beside evaluation. A model that cannot run in training here (BatchNorm on
  // one row) is captured for evaluation, with flags that follow the mode.
  bool record_training(General& general) {
    state_.set_training(true);
    std::optional<Recording> training;
    std::string why;
    try {
      training = runner_.record(examples_);
    } catch (const Error&) {
      throw;
    } catch (const std::exception& failure) {
      why = failure.what();
    }
    state_.set_training(false);
    if (!training) {
      result_.notes.push_back(
          "the model's forward fails on the example in training mode, so that only evaluation was "
          "captured: " +
          why.substr(0, why.find('\n')));
      return false;
    }
    const auto parting = add_training(general, runs_.front(), *training, result_.data.tensors);
    if (parting) refuse(place_and(parting->node, parting->what), "in training than in evaluation");
    return true;
  }

  // Tensors that the model keeps without registering them, and literals.
  void adopt_constants() {
    std::size_t number = 0;
    for (const Recording::Constant& constant : runs_.front().constants) {
      result_.data.tensors.push_back({"constant_" + std::to_string(number++),
                                      {},
                                      ValueKind::kConstant,
                                      false,
                                      constant.tensor,
                                      -1});
    }
  }

  void fill_dimensions() {
    for (std::size_t g = 0; g < groups_.size(); ++g) {
      for (const auto& [input, dimension] : groups_[g].places) {
        DimensionSpec& spec =
            result_.data.inputs[input].dimensions[static_cast<std::size_t>(dimension)];
        spec = {-1, "s" + std::to_string(g), groups_[g].smallest, -1, nullptr};
      }
    }
  }

  // Sizes that no run had, where the model takes such.
  Tensors proof_inputs() {
    GroupSizes sizes;
    for (const SizeGroup& group : groups_) sizes.emplace_back(group, group.others.back());
    Tensors inputs = resized(examples_, sizes);
    if (runner_.accepts(inputs)) return inputs;
    if (!groups_.empty() && groups_.front().is_batch) {
      return resized(examples_, {{groups_.front(), groups_.front().others.back()}});
    }
    return examples_;
  }

  const CallableModel& model_;
  Tensors examples_;  // the model's, or more rows of it
  CaptureOptions options_;
  WalkedModule walked_;
  ModuleState state_;
  CapturedModel result_;
  ModelRunner runner_;
  std::vector<SizeGroup> groups_;
  std::vector<Recording> runs_;        // the example's first
  std::vector<GroupSizes> run_sizes_;  // of the others
};

}  // namespace

CapturedModel capture_model(const CallableModel& model, const CaptureOptions& options) {
  if (model.module == nullptr) {
    throw Error({.stage = Stage::kModel,
                 .message = "there is no model: the pointer to the module is null",
                 .hint = "make it first (std::make_shared, or a module holder that is not empty)"});
  }
  const c10::InferenceMode normal(false);  // whatever the caller's own mode is
  CapturedModel captured = Capture(model, options).run();
  for (const ModelTensor& one : captured.data.tensors) captured.data.device = one.tensor.device();
  return captured;
}

}  // namespace tenon
