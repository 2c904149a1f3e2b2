#include "operations/combine_adapters.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <utility>

#include "adapter/factor_pairs.h"
#include "adapter/tied_tensors.h"
#include "base/error.h"
#include "base/suggest.h"
#include "graph/parameter_init.h"
#include "operations/combined_config.h"
#include "operations/task_arithmetic.h"
#include "plan/factor_keys.h"
#include "targets/name_patterns.h"

namespace tenon {
namespace {

using Pairs = std::map<std::string, FactorPair>;

// One layer with the adapters that have it.
struct Sources {
  std::vector<const FactorPair*> pairs;
  std::vector<double> weights;
};

bool is_svd(const CombineOptions& options) { return options.combination_type.ends_with("svd"); }

// What becomes of the product, or of each factor: "svd" itself is linear.
std::string arithmetic_of(const std::string& type) {
  if (type == "svd") return "linear";
  return type.ends_with("_svd") ? type.substr(0, type.size() - 4) : type;
}

at::Tensor widened(const at::Tensor& tensor) {
  return tensor.scalar_type() == at::kDouble ? tensor : tensor.to(at::kFloat);
}

FactorMatrices concatenated(const Sources& sources, std::int64_t rank) {
  std::vector<at::Tensor> as;
  std::vector<at::Tensor> bs;
  for (std::size_t i = 0; i < sources.pairs.size(); ++i) {
    as.push_back(sources.pairs[i]->a * sources.weights[i] * sources.pairs[i]->scaling);
    bs.push_back(sources.pairs[i]->b);
  }
  FactorMatrices joined{at::cat(as, 0), at::cat(bs, 1)};
  // The rank of the whole is the sum of all, also where an adapter lacks the layer.
  const std::int64_t missing = rank - joined.a.size(0);
  if (missing <= 0) return joined;
  std::vector<std::int64_t> a_shape = joined.a.sizes().vec();
  std::vector<std::int64_t> b_shape = joined.b.sizes().vec();
  a_shape[0] = missing;
  b_shape[1] = missing;
  return {at::cat({joined.a, at::zeros(a_shape, joined.a.options())}, 0),
          at::cat({joined.b, at::zeros(b_shape, joined.b.options())}, 1)};
}

FactorMatrices each_factor(const Sources& sources, const TaskArithmetic& how) {
  std::vector<at::Tensor> as;
  std::vector<at::Tensor> bs;
  std::vector<double> a_weights;
  std::vector<double> b_weights;
  for (std::size_t i = 0; i < sources.pairs.size(); ++i) {
    const double weight = sources.weights[i] * sources.pairs[i]->scaling;
    const double root = std::sqrt(std::abs(weight));
    // The sign on one side only, since two would cancel.
    a_weights.push_back(weight >= 0 ? root : -root);
    b_weights.push_back(root);
    as.push_back(widened(sources.pairs[i]->a));
    bs.push_back(widened(sources.pairs[i]->b));
  }
  // A first: both draw from one generator.
  at::Tensor a = combine_tensors(how, std::move(as), a_weights);
  at::Tensor b = combine_tensors(how, std::move(bs), b_weights);
  return {std::move(a), std::move(b)};
}

FactorMatrices decomposed(const Sources& sources, const TaskArithmetic& how, std::int64_t rank,
                          std::optional<double> clamp) {
  std::vector<at::Tensor> products;
  products.reserve(sources.pairs.size());
  for (const FactorPair* pair : sources.pairs) products.push_back(pair->product());
  auto [u, s, v] =
      at::linalg_svd(combine_tensors(how, std::move(products), sources.weights), false);
  rank = std::min(rank, s.size(0));
  at::Tensor b = u.narrow(1, 0, rank) * s.narrow(0, 0, rank);
  at::Tensor a = v.narrow(0, 0, rank);
  if (clamp) {
    const at::Tensor high = at::quantile(at::cat({b.flatten(), a.flatten()}), *clamp);
    b = b.clamp(-high, high);
    a = a.clamp(-high, high);
  }
  std::vector<std::int64_t> a_shape = sources.pairs[0]->a.sizes().vec();
  std::vector<std::int64_t> b_shape = sources.pairs[0]->b.sizes().vec();
  a_shape[0] = rank;
  b_shape[1] = rank;
  return {a.reshape(a_shape), b.reshape(b_shape)};
}

void check_layers(const std::map<std::string, Sources>& layers, const CombineOptions& options,
                  std::vector<std::string>& problems) {
  for (const auto& [module, sources] : layers) {
    const FactorPair& first = *sources.pairs.front();
    for (const FactorPair* pair : sources.pairs) {
      const bool same_base = first.a.sizes().slice(1) == pair->a.sizes().slice(1) &&
                             first.b.size(0) == pair->b.size(0);
      if (!same_base) {
        problems.push_back("`" + module +
                           "` is of another size in each adapter: they are not of "
                           "one base");
        break;
      }
      const bool needs_rank = options.combination_type != "cat" && !is_svd(options);
      if (needs_rank && pair->rank() != first.rank()) {
        problems.push_back("`" + module + "` has another rank in each adapter, which " +
                           options.combination_type + " cannot combine");
        break;
      }
      if (pair->is_grouped() && (is_svd(options) || options.combination_type == "cat")) {
        problems.push_back("`" + module + "` is a grouped convolution, whose factors " +
                           options.combination_type + " cannot combine");
        break;
      }
    }
  }
}

// The term's constant part, exact where the whole is.
at::Tensor combined_bias(const Sources& sources) {
  at::Tensor bias;
  for (std::size_t i = 0; i < sources.pairs.size(); ++i) {
    const FactorPair& pair = *sources.pairs[i];
    if (!pair.bias.defined()) continue;
    const at::Tensor term = widened(pair.bias) * (sources.weights[i] * pair.scaling);
    bias = bias.defined() ? bias + term : term;
  }
  return bias;
}

// What is no factor: modules saved whole, which one adapter alone may have.
void add_saved(const std::vector<AdapterFiles>& adapters, const Factors& factors,
               AdapterFiles& result, std::vector<std::string>& problems) {
  std::set<std::string> keys;
  std::set<std::string> twice;
  for (const AdapterFiles& adapter : adapters) {
    for (const AdapterTensor& tensor : adapter.tensors) {
      const TensorPlace place = place_of(adapter, &factors, tensor.key);
      if (place.kind == TensorPlace::Kind::kLayer) {
        if (factors.find(tensor.key)) continue;
        problems.push_back(adapter.config.name + ": its `" + tensor.key +
                           "` is no factor, so it cannot be combined with others");
        continue;
      }
      if (!keys.insert(tensor.key).second) twice.insert(place.module);
      result.tensors.push_back(tensor);
    }
  }
  for (const std::string& module : twice) {
    problems.push_back(
        "Cannot add weighted adapters if they target the same module with "
        "modules_to_save: `" +
        module + "`");
  }
}

}  // namespace

const std::vector<std::string>& combination_types() {
  static const std::vector<std::string> types = {"svd",
                                                 "linear",
                                                 "cat",
                                                 "ties",
                                                 "ties_svd",
                                                 "dare_ties",
                                                 "dare_linear",
                                                 "dare_ties_svd",
                                                 "dare_linear_svd",
                                                 "magnitude_prune",
                                                 "magnitude_prune_svd"};
  return types;
}

AdapterFiles combine_adapters(const std::vector<AdapterFiles>& adapters, const MethodTable& methods,
                              const CombineOptions& given) {
  CombineOptions options = given;
  if (adapters.size() == 1) options.combination_type = "linear";
  std::vector<std::string> problems = combination_problems(adapters, methods, options);
  throw_combination_problems(problems);
  const Method& method = *methods.of(adapters.front().config);
  const Factors& factors = *method.factors();
  std::vector<Pairs> pairs;
  pairs.reserve(adapters.size());
  for (const AdapterFiles& adapter : adapters) pairs.push_back(factor_pairs(adapter, method));
  std::map<std::string, Sources> layers;
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    for (const auto& [module, pair] : pairs[i]) {
      layers[module].pairs.push_back(&pair);
      layers[module].weights.push_back(options.weights[i]);
    }
  }
  check_layers(layers, options, problems);
  AdapterFiles result = combined_header(adapters, method, options);
  add_saved(adapters, factors, result, problems);
  const std::map<std::string, std::string> owners = common_ties(adapters, pairs, factors, problems);
  if (!owners.empty()) result.config.ensure_weight_tying = true;
  throw_combination_problems(problems);

  const TaskArithmetic how{arithmetic_of(options.combination_type), options.density.value_or(1),
                           options.majority_sign_method == "frequency",
                           make_generator(options.seed)};
  FactorKeysEditor keys(method, result.config.method_keys);
  const std::int64_t rank = keys.rank();
  auto ranks = keys.rank_pattern();
  auto alphas = keys.alpha_pattern();
  std::map<std::string, FactorMatrices> combined;
  for (const auto& [module, sources] : layers) {
    combined[module] = options.combination_type == "cat" ? concatenated(sources, rank)
                       : is_svd(options) ? decomposed(sources, how, rank, options.svd_clamp)
                                         : each_factor(sources, how);
  }
  for (const auto& [follower, owner] : owners) {
    const bool across = layers.at(owner).pairs.front()->form->transposed !=
                        layers.at(follower).pairs.front()->form->transposed;
    combined[follower] = tied_factors(combined.at(owner), across);
  }
  for (const auto& layer : layers) {
    const std::string& module = layer.first;
    const Sources& sources = layer.second;
    const FactorPair& first = *sources.pairs.front();
    const FactorMatrices& matrices = combined.at(module);
    const at::ScalarType type = first.a.scalar_type();
    const auto add = [&](const std::string& name, const at::Tensor& tensor) {
      result.tensors.push_back(
          {std::string(module).append(".").append(name), tensor.to(type).contiguous()});
    };
    add(first.form->down, matrices.a);
    add(first.form->up, matrices.b);
    const at::Tensor bias = combined_bias(sources);
    if (keys.has_bias()) {
      add(first.form->bias,
          bias.defined() ? bias : at::zeros({first.b.size(0)}, first.b.options()));
    }
    const std::int64_t own = matrices.a.size(0);
    if (own == rank) continue;
    ranks.emplace_back(exact_pattern(pattern_path(module)), own);
    alphas.emplace_back(exact_pattern(pattern_path(module)), static_cast<double>(own));
  }
  keys.set_rank_pattern(ranks);
  keys.set_alpha_pattern(alphas);
  return result;
}

}  // namespace tenon
