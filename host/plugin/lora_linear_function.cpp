#include "plugin/lora_linear_function.h"

#include <ATen/ATen.h>
#include <ATen/ScalarOps.h>
#include <ATen/core/LegacyTypeDispatch.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>

#include "plugin/autocast_operands.h"
#include "plugin/dropout_mask.h"
#include "quantize/frozen_product.h"

namespace tenon {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// The numbers of a group, and where its tensors stand among the function's arguments: x, then all
// weights, all a, all b, then the biases that there are.
class Group {
 public:
  explicit Group(const LoraLinears& layers) : scaling_(layers.scaling), dropout_(layers.dropout) {
    for (const at::Tensor& bias : layers.bias) has_bias_.push_back(bias.defined() ? 1 : 0);
    for (std::size_t i = 0; i < size() && dropout_ > 0; ++i) {
      seeds_.push_back(DropoutMask::draw(dropout_).seed());
    }
  }
  // As autograd keeps it between forward and backward.
  explicit Group(const c10::IValue& saved) {
    const auto& parts = saved.toTupleRef().elements();
    scaling_ = parts[0].toDoubleVector();
    has_bias_ = parts[1].toIntVector();
    seeds_ = parts[2].toIntVector();
    dropout_ = parts[3].toDouble();
  }
  c10::IValue saved() const {
    return c10::ivalue::Tuple::create({scaling_, has_bias_, seeds_, dropout_});
  }

  std::size_t size() const { return scaling_.size(); }
  double scaling(std::size_t i) const { return scaling_[i]; }
  bool has_bias(std::size_t i) const { return has_bias_[i] != 0; }
  bool drops() const { return !seeds_.empty(); }
  DropoutMask mask(std::size_t i) const { return {seeds_[i], dropout_}; }

  std::size_t weight(std::size_t i) const { return 1 + i; }
  std::size_t a(std::size_t i) const { return 1 + size() + i; }
  std::size_t b(std::size_t i) const { return 1 + 2 * size() + i; }
  std::size_t bias(std::size_t i) const {
    const auto end = has_bias_.begin() + static_cast<std::ptrdiff_t>(i);
    return 1 + 3 * size() + static_cast<std::size_t>(std::count(has_bias_.begin(), end, 1));
  }
  std::size_t argument_count() const { return bias(size()); }

 private:
  std::vector<double> scaling_;
  std::vector<std::int64_t> has_bias_;
  std::vector<std::int64_t> seeds_;  // of the dropout masks; empty without dropout
  double dropout_ = 0;
};

// Columns of the stacked rank-r products that belong to layer i.
struct Columns {
  std::vector<std::int64_t> first{0};
  Columns(const variable_list& arguments, const Group& group) {
    for (std::size_t i = 0; i < group.size(); ++i) {
      first.push_back(first.back() + arguments[group.a(i)].size(0));
    }
  }
  std::int64_t total() const { return first.back(); }
  at::Tensor of(const at::Tensor& stacked, std::size_t i) const {
    return first.size() == 2 ? stacked : stacked.narrow(1, first[i], first[i + 1] - first[i]);
  }
};

at::Tensor stacked_a(const variable_list& saved, const Group& group) {
  if (group.size() == 1) return saved[group.a(0)];
  return at::cat(at::TensorList(saved).slice(group.a(0), group.size()));
}

// The gradients by plain operators, so that they can be differentiated again.
void differentiable_gradients(const variable_list& saved, const Group& group,
                              const variable_list& gradients, variable_list& out) {
  const at::Tensor& x = saved[0];
  for (std::size_t i = 0; i < group.size(); ++i) {
    const at::Tensor& g = gradients[i];
    if (!g.defined()) continue;
    const at::Tensor& a = saved[group.a(i)];
    const at::Tensor& b = saved[group.b(i)];
    const bool drops = group.drops();
    const at::Tensor mask = drops ? group.mask(i).tensor_like(x) : at::Tensor();
    const at::Tensor dropped = drops ? x * mask : x;
    const at::Tensor g_low = at::mm(g, b) * group.scaling(i);
    const at::Tensor term = at::mm(g_low, a);
    const at::Tensor dx = at::mm(g, saved[group.weight(i)]) + (drops ? term * mask : term);
    out[0] = out[0].defined() ? out[0] + dx : dx;
    out[group.weight(i)] = at::mm(g.t(), x);
    out[group.a(i)] = at::mm(g_low.t(), dropped);
    out[group.b(i)] = at::mm(g.t(), at::mm(dropped, a.t())) * group.scaling(i);
    if (group.has_bias(i)) out[group.bias(i)] = g.sum(0);
  }
}

// The same in as few passes over the large tensors as there can be. `low` are the saved products
// drop(x) A^T, side by side.
class FastLinearGradients {
 public:
  FastLinearGradients(const AutogradContext& context, const variable_list& saved,
                      const Group& group, const variable_list& gradients, const at::Tensor& low)
      : context_(context),
        saved_(saved),
        group_(group),
        gradients_(gradients),
        low_(low),
        columns_(saved, group) {}

  void write(variable_list& out) const {
    const at::Tensor g_low = gradients_of_low();
    if (needs(0)) out[0] = gradient_of_x(g_low);
    at::Tensor stacked_da;
    if (!group_.drops()) stacked_da = at::mm(g_low.t(), saved_[0]);
    for (std::size_t i = 0; i < group_.size(); ++i) {
      const at::Tensor& g = gradients_[i];
      if (!g.defined()) continue;
      const std::int64_t first = columns_.first[i];
      out[group_.a(i)] = !group_.drops()
                             ? stacked_da.narrow(0, first, columns_.first[i + 1] - first)
                             : at::mm(columns_.of(g_low, i).t(), group_.mask(i).apply(saved_[0]));
      out[group_.b(i)] = gradient_of_b(g, i);
      if (needs(group_.weight(i))) out[group_.weight(i)] = at::mm(g.t(), saved_[0]);
      if (group_.has_bias(i) && needs(group_.bias(i))) out[group_.bias(i)] = g.sum(0);
    }
  }

 private:
  bool needs(std::size_t argument) const { return context_.needs_input_grad(argument); }

  // s_i g_i B_i, side by side; zeros where an output was not used.
  at::Tensor gradients_of_low() const {
    at::Tensor g_low = at::empty({saved_[0].size(0), columns_.total()}, saved_[0].options());
    for (std::size_t i = 0; i < group_.size(); ++i) {
      at::Tensor own = columns_.of(g_low, i);
      if (!gradients_[i].defined()) {
        own.zero_();
      } else {
        at::addmm_out(own, own, gradients_[i], saved_[group_.b(i)], 0, group_.scaling(i));
      }
    }
    return g_low;
  }

  // With the long side of g as the product's rows the kernel would be slower by half or more. Laid
  // out as B is, so that autograd keeps it without a copy.
  at::Tensor gradient_of_b(const at::Tensor& g, std::size_t i) const {
    const at::Tensor product = at::mm(columns_.of(low_, i).t(), g);
    at::Tensor db = at::empty({product.size(1), product.size(0)}, product.options());
    at::mul_out(db, product.t(), c10::scalar_to_tensor(group_.scaling(i)));
    return db;
  }

  at::Tensor gradient_of_x(const at::Tensor& g_low) const {
    at::Tensor dx;
    for (std::size_t i = 0; i < group_.size(); ++i) {
      const at::Tensor& g = gradients_[i];
      if (!g.defined()) continue;
      const at::Tensor& weight = saved_[group_.weight(i)];
      if (dx.defined()) {
        dx = is_slow_product(g, weight) ? dx.add_(frozen_product(g, weight)) : dx.addmm_(g, weight);
      } else {
        dx = frozen_product(g, weight);
      }
    }
    if (!group_.drops()) return dx.addmm_(g_low, stacked_a(saved_, group_));
    for (std::size_t i = 0; i < group_.size(); ++i) {
      if (!gradients_[i].defined()) continue;
      group_.mask(i).add_masked(dx, at::mm(columns_.of(g_low, i), saved_[group_.a(i)]));
    }
    return dx;
  }

  const AutogradContext& context_;
  const variable_list& saved_;
  const Group& group_;
  const variable_list& gradients_;
  const at::Tensor& low_;
  Columns columns_;
};

struct LoraLinearsFunction : torch::autograd::Function<LoraLinearsFunction> {
  // x (rows, in); `tensors` as in Group.
  static variable_list forward(AutogradContext* context, const at::Tensor& x,
                               const at::TensorList& tensors, const Group& group) {
    const at::AutoDispatchBelowADInplaceOrView no_gradients;  // none of these is recorded
    variable_list arguments{x};
    arguments.insert(arguments.end(), tensors.begin(), tensors.end());
    const Columns columns(arguments, group);
    at::Tensor low;
    if (!group.drops()) {
      low = at::mm(x, stacked_a(arguments, group).t());
    } else {
      low = at::empty({x.size(0), columns.total()}, x.options());
      for (std::size_t i = 0; i < group.size(); ++i) {
        at::Tensor own = columns.of(low, i);
        at::mm_out(own, group.mask(i).apply(x), arguments[group.a(i)].t());
      }
    }
    variable_list outputs;
    for (std::size_t i = 0; i < group.size(); ++i) {
      const at::Tensor weight = arguments[group.weight(i)].t();
      at::Tensor y =
          frozen_product(x, weight, group.has_bias(i) ? arguments[group.bias(i)] : at::Tensor());
      y.addmm_(columns.of(low, i), arguments[group.b(i)].t(), 1, group.scaling(i));
      outputs.push_back(std::move(y));
    }
    arguments.resize(group.bias(0));  // the biases are not needed again
    arguments.push_back(std::move(low));
    context->save_for_backward(std::move(arguments));
    context->set_materialize_grads(false);
    context->saved_data["group"] = group.saved();
    return outputs;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const Group group(context->saved_data["group"]);
    variable_list saved = context->get_saved_variables();
    const at::Tensor low = std::move(saved.back());
    saved.pop_back();
    variable_list out(group.argument_count() + 1);  // none for the group itself
    const bool any_used = std::any_of(gradients.begin(), gradients.end(),
                                      [](const at::Tensor& g) { return g.defined(); });
    if (!any_used) return out;
    if (at::GradMode::is_enabled()) {
      differentiable_gradients(saved, group, gradients, out);
    } else {
      const at::AutoDispatchBelowADInplaceOrView no_gradients;  // none of these is recorded
      FastLinearGradients(*context, saved, group, gradients, low).write(out);
    }
    return out;
  }
};

LoraLinears all_as_autocast_wants(LoraLinears layers, const at::Tensor& input) {
  for (auto* tensors : {&layers.weight, &layers.bias, &layers.a, &layers.b}) {
    for (at::Tensor& tensor : *tensors) tensor = as_autocast_wants(tensor, input);
  }
  return layers;
}

at::Tensor flat(const at::Tensor& x) { return x.dim() == 2 ? x : x.reshape({-1, x.size(-1)}); }

}  // namespace

std::vector<at::Tensor> lora_linears(const at::Tensor& input, const LoraLinears& given) {
  const LoraLinears layers = all_as_autocast_wants(given, input);
  const at::Tensor x = as_autocast_wants(input, input);
  Group group(layers);
  variable_list tensors = layers.weight;
  tensors.insert(tensors.end(), layers.a.begin(), layers.a.end());
  tensors.insert(tensors.end(), layers.b.begin(), layers.b.end());
  for (const at::Tensor& bias : layers.bias) {
    if (bias.defined()) tensors.push_back(bias);
  }
  variable_list outputs = LoraLinearsFunction::apply(flat(x), at::TensorList(tensors), group);
  if (x.dim() == 2) return outputs;
  std::vector<std::int64_t> shape = x.sizes().vec();
  for (at::Tensor& y : outputs) {
    shape.back() = y.size(1);
    y = y.view(shape);
  }
  return outputs;
}

}  // namespace tenon
