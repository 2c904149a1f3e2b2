// The contrastive loss of CLIP (Radford et al. 2021, https://arxiv.org/abs/2103.00020, figure 3;
// transformers: image_text_contrastive_loss): of two outputs (n, size), row i of the one is to be
// nearest to row i of the other, among the rows of the batch.
#include <tenon/sdk.hpp>

namespace {

using tenon::Operator;
using tenon::Tensor;

struct Contrastive : tenon::Loss<Contrastive> {
  static constexpr tenon::loss_type kLoss{
      .name = "tenon.contrastive",
      .judged = TENON_JUDGED_NONE,
      .doc = "Brings the rows of two outputs together that belong together."};
  static constexpr tenon_option kOptions[] = {tenon::option::number(
      "temperature", 0.07, {.minimum = 1e-6}, "What the cosines of two rows are divided by.")};

  static Tensor normalised(const Tensor& rows) {
    static const Operator norm("aten::linalg_vector_norm");
    return rows / norm(rows, 2, tenon::Shape{1}, true);
  }

  // (n), of each row: how far its own is from being the likeliest of the others'.
  static Tensor losses(const Tensor& logits) {
    static const Operator log_softmax("aten::log_softmax", "int");
    static const Operator diagonal("aten::diagonal");
    static const Operator neg("aten::neg");
    return neg(diagonal(log_softmax(logits, 1)));
  }

  static Tensor loss(const tenon::LossBatch& batch) {
    static const Operator sum("aten::sum");
    static const Operator mean("aten::mean");
    const Tensor first = batch.output(0);
    const Tensor second = batch.output(1);
    if (first.shape().size() != 2 || first.shape() != second.shape()) {
      throw tenon::Failure(TENON_BAD_SHAPE,
                           "the model's first two outputs must be of one shape, (rows, size)");
    }
    const Tensor cosines =
        tenon::matmul(normalised(first), tenon::transpose(normalised(second), 0, 1));
    const Tensor logits = cosines * (1 / batch.option<double>("temperature"));
    const Tensor each = (losses(logits) + losses(tenon::transpose(logits, 0, 1))) * 0.5;
    const Tensor weights = batch.weights();
    if (!weights) return mean(each);
    const Tensor counted = tenon::to_dtype(weights, each.dtype());
    return sum(each * counted) / sum(counted);
  }
};

}  // namespace

TENON_PLUGIN("tenon.contrastive", "0.1.0", Contrastive)
