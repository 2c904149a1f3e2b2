#include "capture/captured_model.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "base/error.h"
#include "base/suggest.h"
#include "capture/attribution.h"
#include "capture/generalise.h"
#include "capture/module_state.h"
#include "capture/probe_sizes.h"
#include "capture/proof.h"

namespace tenon {
namespace {

using Tensors = std::vector<at::Tensor>;
using Sizes = std::vector<std::pair<SizeGroup, std::int64_t>>;

std::string place_name(const std::pair<std::size_t, std::int64_t>& place, const ModelData& data) {
  return "dimension " + std::to_string(place.second) + " of `" + data.inputs[place.first].name +
         "`";
}

std::string places_text(const SizeGroup& group, const ModelData& data) {
  std::vector<std::string> names;
  for (const auto& place : group.places) names.push_back(place_name(place, data));
  return join(names);
}

class Capture {
 public:
  Capture(const CallableModel& model, const CaptureOptions& options)
      : model_(model), options_(options), walked_(walk_module(*model.module)), state_(walked_) {
    result_.data.tree = walked_.tree;
    result_.data.tensors = walked_.tensors;
    result_.data.source = walked_.tree.modules.front().type;
  }

  CapturedModel run() {
    describe_inputs();
    state_.set_training(false);
    record_run(model_.examples);
    if (!options_.fixed_sizes) find_sizes();
    General general = make_general();
    const bool has_training = record_training(general);
    adopt_constants();
    result_.data.graph = std::move(general.graph);
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

  // Inputs of a run are copies: the model may write into them.
  static Tensors copies(const Tensors& inputs) {
    Tensors result;
    for (const at::Tensor& input : inputs) result.push_back(input.detach().clone());
    return result;
  }

  void record_run(const Tensors& inputs) {
    state_.reset();
    runs_.push_back(record(model_.forward, copies(inputs), result_.data.tensors));
  }

  bool accepts(const Tensors& inputs) {
    state_.reset();
    try {
      model_.forward(copies(inputs));
      return true;
    } catch (const std::exception&) {
      return false;
    }
  }

  // Runs on other sizes, for each dimension that the model lets vary, and all of them at once.
  void find_sizes() {
    groups_ = probe_sizes(model_.examples, [&](const Tensors& inputs) { return accepts(inputs); });
    std::erase_if(groups_, [&](const SizeGroup& group) { return parts_alone(group); });
    for (const SizeGroup& group : groups_) {
      for (std::size_t i = 0; i < std::min<std::size_t>(group.others.size(), 2); ++i) {
        add_run({{group, group.others[i]}}, /*other_data=*/i == 1);
      }
    }
    Sizes all;
    for (const SizeGroup& group : groups_) all.emplace_back(group, group.others.front());
    if (all.size() > 1 && accepts(resized(model_.examples, all))) add_run(all, false);
  }

  void add_run(const Sizes& sizes, bool other_data) {
    Tensors inputs = resized(model_.examples, sizes);
    if (other_data) {
      Tensors negated = inputs;
      for (at::Tensor& input : negated) {
        if (input.is_floating_point()) input = input.neg();
      }
      if (accepts(negated)) inputs = negated;
    }
    record_run(inputs);
    run_sizes_.push_back(sizes);
  }

  // Control flow that follows a dimension fixes it; if it follows the batch, that is refused.
  bool parts_alone(const SizeGroup& group) {
    std::vector<Recording> two{runs_.front()};
    state_.reset();
    const Tensors inputs = resized(model_.examples, {{group, group.others.front()}});
    two.push_back(record(model_.forward, copies(inputs), result_.data.tensors));
    const Alignment alignment = align(two[0], two[1], result_.data.tensors);
    if (!alignment.parting) return false;
    const std::string where = place_text(two[0].graph, alignment.parting->node);
    if (group.is_batch) {
      refuse(alignment.parting->node, alignment.parting->what,
             "with another size of " + places_text(group, result_.data));
    }
    note_fixed(group, where + ": " + alignment.parting->what);
    return true;
  }

  void note_fixed(const SizeGroup& group, const std::string& why) {
    result_.notes.push_back(places_text(group, result_.data) + " is fixed to " +
                            std::to_string(group.size) +
                            ", because the model's way follows it: " + why);
  }

  [[noreturn]] void refuse(std::size_t node, const std::string& what, const std::string& when) {
    throw Error({.stage = Stage::kModel,
                 .message = "the model's forward goes another way " + when + ": " +
                            place_text(runs_.front().graph, node) + ": " + what,
                 .hint = "control flow that follows the data or the batch cannot be captured; keep "
                         "it outside the module, or fix the sizes (fixed_sizes)"});
  }

  General make_general() {
    for (;;) {
      std::vector<SizeSymbol> symbols;
      for (const SizeGroup& group : groups_) {
        SizeSymbol symbol{group.places[0].first, group.places[0].second, {group.size}};
        for (const Sizes& sizes : run_sizes_) symbol.values.push_back(size_in(sizes, group));
        symbols.push_back(std::move(symbol));
      }
      auto outcome = generalise(runs_, symbols, result_.data.tensors);
      if (auto* general = std::get_if<General>(&outcome)) return std::move(*general);
      drop_cause(std::get<NotGeneral>(outcome));
    }
  }

  static std::int64_t size_in(const Sizes& sizes, const SizeGroup& group) {
    for (const auto& [other, size] : sizes) {
      if (other.places == group.places) return size;
    }
    return group.size;
  }

  // Fixes the last dimension, not the batch, whose change brought the problem; else refuses.
  void drop_cause(const NotGeneral& problem) {
    for (std::size_t g = groups_.size(); g-- > 0;) {
      const SizeGroup group = groups_[g];
      const bool is_cause =
          std::any_of(problem.runs.begin(), problem.runs.end(), [&](std::size_t run) {
            return run > 0 && size_in(run_sizes_[run - 1], group) != group.size;
          });
      if (!is_cause || group.is_batch) continue;
      note_fixed(group, place_text(runs_.front().graph, problem.node) + ": " + problem.what);
      groups_.erase(groups_.begin() + static_cast<std::ptrdiff_t>(g));
      for (std::size_t run = run_sizes_.size(); run-- > 0;) {
        if (size_in(run_sizes_[run], group) == group.size) continue;
        run_sizes_.erase(run_sizes_.begin() + static_cast<std::ptrdiff_t>(run));
        runs_.erase(runs_.begin() + static_cast<std::ptrdiff_t>(run) + 1);
      }
      return;
    }
    refuse(problem.node, problem.what, "with other data or another batch size");
  }

  // What training does beside evaluation. A model that cannot run in training here (BatchNorm on
  // one row) is captured for evaluation, with flags that follow the mode.
  bool record_training(General& general) {
    state_.set_training(true);
    state_.reset();
    std::optional<Recording> training;
    std::string why;
    try {
      training = record(model_.forward, copies(model_.examples), result_.data.tensors);
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
    if (parting) refuse(parting->node, parting->what, "in training than in evaluation");
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
        spec = {-1, "s" + std::to_string(g), 1, -1, nullptr};
      }
    }
  }

  // Sizes that no run had, where the model takes such.
  Tensors proof_inputs() {
    Sizes sizes;
    for (const SizeGroup& group : groups_) sizes.emplace_back(group, group.others.back());
    Tensors inputs = resized(model_.examples, sizes);
    if (accepts(inputs)) return inputs;
    if (!groups_.empty() && groups_.front().is_batch) {
      return resized(model_.examples, {{groups_.front(), groups_.front().others.back()}});
    }
    return model_.examples;
  }

  const CallableModel& model_;
  CaptureOptions options_;
  WalkedModule walked_;
  ModuleState state_;
  CapturedModel result_;
  std::vector<SizeGroup> groups_;
  std::vector<Recording> runs_;   // the example's first
  std::vector<Sizes> run_sizes_;  // of the others
};

}  // namespace

CapturedModel capture_model(const CallableModel& model, const CaptureOptions& options) {
  // Whatever the caller's own mode is.
  const c10::InferenceMode normal(false);
  return Capture(model, options).run();
}

}  // namespace tenon
