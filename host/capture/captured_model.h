#pragma once

#include <tenon/callable_model.h>

#include <string>
#include <vector>

#include "graph/graph.h"

namespace tenon {

struct CaptureOptions {
  // Only for inputs of the example's sizes; else every dimension that the model lets vary may vary.
  bool fixed_sizes = false;
};

// A C++ module as the one representation, and what a user should know about it.
struct CapturedModel {
  ModelData data;
  std::vector<std::string> notes;
};

// Captures a C++ module by running its forward under LibTorch's observer of operators: on the
// example, on examples of other sizes, in evaluation and in training. The graph that comes of it is
// then proved against the module itself on sizes that it was not made from: outputs, in evaluation
// and in training, and gradients. The tensors of the result are the module's own. The module is
// left as it was: mode, buffers and the state of the random generator.
//
// Throws Error{kModel} with the operator where the runs part if control flow depends on data or on
// the batch; where it depends on another dimension, that dimension is fixed and a note says so.
CapturedModel capture_model(const CallableModel& model, const CaptureOptions& options = {});

}  // namespace tenon
