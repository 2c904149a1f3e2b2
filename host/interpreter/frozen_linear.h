#pragma once

#include "interpreter/instructions.h"

namespace tenon {

// aten::linear. LibTorch's own, but where its weight is not trained, is in a half dtype and the
// processor has no instructions for that (quantize/frozen_product.h).
class LinearInstruction : public OperatorInstruction {
 public:
  using OperatorInstruction::OperatorInstruction;
  void run(Frame& frame) const override;
};

}  // namespace tenon
