#pragma once

#include <c10/util/Exception.h>

#include <cstdint>
#include <utility>

namespace tenon {

// What LibTorch threw in a node of the outermost graph.
struct NodeFailure : c10::Error {
  NodeFailure(c10::Error cause, std::int32_t failed) : c10::Error(std::move(cause)), node(failed) {}
  std::int32_t node;
};

}  // namespace tenon
