// The focal loss (Lin et al. 2017, https://arxiv.org/abs/1708.02002, equation 5), over softmax:
//   -alpha_y (1 - p_y)^gamma log p_y
// With gamma 0 and no alpha it is the cross entropy.
#include <tenon/sdk.hpp>

namespace {

using tenon::Operator;
using tenon::Tensor;

struct Focal : tenon::Loss<Focal> {
  static constexpr tenon::loss_type kLoss{
      .name = "tenon.focal",
      .judged = TENON_JUDGED_CLASSES,
      .doc = "Cross entropy in which what is judged well already counts less."};
  static constexpr tenon_option kOptions[] = {
      tenon::option::number("gamma", 2, tenon::at_least(0),
                            "How much less what is judged well counts; 0: cross entropy."),
      tenon::option::numbers("alpha", tenon::at_least(0), "A weight for each class; none: 1.")};

  // (n), of each row.
  static Tensor losses(const tenon::LossBatch& batch) {
    static const Operator log_softmax("aten::log_softmax", "int");
    static const Operator gather("aten::gather");
    static const Operator exp("aten::exp");
    static const Operator expm1("aten::expm1");
    static const Operator pow("aten::pow", "Tensor_Scalar");
    static const Operator neg("aten::neg");
    const Tensor rows = tenon::reshape(batch.target(), {-1, 1});
    const Tensor log_p = tenon::reshape(gather(log_softmax(batch.prediction(), 1), 1, rows), {-1});
    const double gamma = batch.option<double>("gamma");
    Tensor each = neg(log_p);
    // 1 - p = -expm1(log p), which keeps its digits where p is near 1.
    if (gamma != 0) each = each * pow(neg(expm1(log_p)), gamma);
    return each;
  }

  // (n), how much each row counts by its class; empty: all alike.
  static Tensor alphas(const tenon::LossBatch& batch) {
    const auto alpha = batch.option<std::vector<double>>("alpha");
    if (alpha.empty()) return {};
    const tenon::Shape scores = batch.prediction().shape();
    if (scores[1] != static_cast<std::int64_t>(alpha.size())) {
      throw tenon::Failure(TENON_INVALID_ARGUMENT, "`alpha` has " + std::to_string(alpha.size()) +
                                                       " numbers; the model's output has " +
                                                       std::to_string(scores[1]) + " classes");
    }
    static const Operator take("aten::index_select");
    return take(tenon::on_device_of(batch.target(), tenon::tensor_from(alpha, {scores[1]})), 0,
                batch.target());
  }

  static Tensor loss(const tenon::LossBatch& batch) {
    static const Operator sum("aten::sum");
    static const Operator mean("aten::mean");
    Tensor each = losses(batch);
    const std::int32_t dtype = each.dtype();
    if (const Tensor alpha = alphas(batch)) each = each * tenon::to_dtype(alpha, dtype);
    const Tensor weights = batch.weights();
    if (!weights) return mean(each);
    return sum(each * tenon::to_dtype(weights, dtype)) / tenon::to_dtype(sum(weights), dtype);
  }
};

}  // namespace

TENON_PLUGIN("tenon.focal", "0.1.0", Focal)
