// OSF: of the base's singular value decomposition the small end is trained, orthogonal to the large
// one, which keeps what the base has learned (Nayak et al. 2025, arXiv:2504.07097; PEFT:
// tuners/osf):
//   W' = W + U diag(S) V - U0 diag(S0) V0
// where U0, S0, V0 are all but the first `effective_rank` singular vectors and values of W. Before
// a step the gradients of U and V lose what lies along the first ones.
#include <algorithm>
#include <string>
#include <vector>

#include "common/operators.hpp"

namespace {

using tenon::Shape;
using tenon::Tensor;

constexpr std::uint32_t kU = 0;
constexpr std::uint32_t kS = 1;
constexpr std::uint32_t kV = 2;
constexpr std::uint32_t kStart = 3;       // kStart + kU is U0, and so on
constexpr std::uint32_t kFirstRight = 6;  // the first right vectors, (rank, in)
constexpr std::uint32_t kFirstLeft = 7;   // the first left vectors, (out, rank)

struct Sizes {
  std::int64_t out;
  std::int64_t in;
  std::int64_t kept;     // singular values that stay
  std::int64_t trained;  // the others
};

// A share of the smaller size, or a number; by default a half.
std::int64_t kept_of(const tenon::Setup& setup, std::int64_t smaller) {
  if (setup.option_tag("effective_rank") == TENON_VALUE_NONE) return smaller / 2;
  const auto wanted = setup.option<double>("effective_rank");
  const bool is_share = setup.option_tag("effective_rank") == TENON_VALUE_DOUBLE && wanted <= 1;
  const double kept = is_share ? wanted * static_cast<double>(smaller) : wanted;
  return std::min(smaller, static_cast<std::int64_t>(kept));
}

Sizes sizes_of(const tenon::Setup& setup) {
  const Shape weight = setup.base().weight("weight").shape;
  const std::int64_t smaller = std::min(weight[0], weight[1]);
  const std::int64_t kept = kept_of(setup, smaller);
  return {weight[0], weight[1], kept, smaller - kept};
}

Tensor product(const Tensor& u, const Tensor& s, const Tensor& v) { return matmul(u * s, v); }

void copy_into(const Tensor& to, const Tensor& from) {
  static const tenon::Operator copy("aten::copy_");
  copy(to, from);
}

struct Osf : tenon::Method<Osf> {
  static constexpr tenon::method_type kMethod{
      .name = "osf",
      .peft_type = "OSF",
      .doc = "Training of the small singular values, orthogonal to the large ones.",
      .max_active = 1};
  static constexpr tenon_option kKeys[] = {
      tenon::option::patterned(
          tenon::option::nullable(tenon::option::either(
              tenon::option::number("effective_rank", 0, {.minimum = 0},
                                    "How many singular values stay: a number, or as 0.5 a share of "
                                    "all; by default half of them."),
              tenon::option::integer("effective_rank", 0, {.minimum = 0}, ""))),
          "rank_pattern"),
      tenon::option::boolean("init_weights", true, "Start as the base, else at random."),
      tenon::option::unused(tenon::option::nullable(
          tenon::option::text("target_svd_config", "", "PEFT's; has no effect.")))};

  // The gradients of U and V without their part along the vectors that stay.
  static void before_step(tenon::TrainingRun& run) {
    for (std::uint32_t i = 0; i < run.n_layers(); ++i) {
      const tenon::TrainingLayer layer = run.layer(i);
      const Tensor first_u = layer.parameter(kFirstLeft);
      const Tensor first_v = layer.parameter(kFirstRight);
      if (const Tensor u = layer.gradient(kU)) {
        copy_into(u, u - matmul(first_u, matmul(transpose(first_u, 0, 1), u)));
      }
      if (const Tensor v = layer.gradient(kV)) {
        copy_into(v, v - matmul(matmul(v, transpose(first_v, 0, 1)), first_v));
      }
    }
  }
};

struct OsfLinear : tenon::Layer<OsfLinear> {
  static constexpr tenon::layer_type kType{.id = "tenon.osf",
                                           .method = "osf",
                                           .base = "torch.nn.Linear",
                                           .title = "osf.Linear",
                                           .doc = "The small end of the weight's singular values."};

  static void validate(const Setup& setup) {
    const Sizes sizes = sizes_of(setup);
    if (sizes.kept > 0 && sizes.trained > 0) return;
    throw tenon::Failure(TENON_UNSUPPORTED,
                         "effective_rank keeps " + std::to_string(sizes.kept) + " of its " +
                             std::to_string(sizes.kept + sizes.trained) +
                             " singular values; it must keep some, and leave some to train");
  }

  static void add_adapter(Setup& setup) {
    const Sizes sizes = sizes_of(setup);
    const Shape shapes[] = {{sizes.out, sizes.trained}, {sizes.trained}, {sizes.trained, sizes.in}};
    // By the number of the parameter.
    const char* const names[] = {"U_low", "S_low", "V_low"};
    for (const std::uint32_t i : {kU, kS, kV}) {
      setup.parameter("osf_svd_params." + std::string(names[i]), shapes[i],
                      tenon::Init::normal(0, 1));
    }
    constexpr tenon_parameter_flags kMadeAgain = TENON_PARAMETER_BUFFER | TENON_PARAMETER_NOT_SAVED;
    for (const std::uint32_t i : {kU, kS, kV}) {
      setup.parameter("osf_start." + std::string(names[i]), shapes[i], tenon::Init::zeros(),
                      kMadeAgain);
    }
    setup.parameter("osf_first.V", {sizes.kept, sizes.in}, tenon::Init::zeros(), kMadeAgain);
    setup.parameter("osf_first.U", {sizes.out, sizes.kept}, tenon::Init::zeros(), kMadeAgain);
  }

  static void initialise(const Setup& setup, Start& start) {
    static const tenon::Operator svd("aten::linalg_svd");
    const Sizes sizes = sizes_of(setup);
    const Tensor weight = methods::with_dtype(start.weight("weight"), start.parameter(kU).dtype());
    const std::vector<Tensor> parts = svd.results(3, weight, false);
    const auto last = [&](std::uint32_t part, std::int64_t dimension) {
      return methods::narrow(parts[part], dimension, sizes.kept, sizes.trained);
    };
    const Tensor ends[] = {last(kU, 1), last(kS, 0), last(kV, 0)};
    for (const std::uint32_t i : {kU, kS, kV}) {
      if (setup.option<bool>("init_weights")) start.set_parameter(i, ends[i]);
      start.set_parameter(kStart + i, ends[i]);
    }
    start.set_parameter(kFirstRight, methods::narrow(parts[kV], 0, 0, sizes.kept));
    start.set_parameter(kFirstLeft, methods::narrow(parts[kU], 1, 0, sizes.kept));
  }

  static Tensor merged_weight(Call& call, const Weight& weight) {
    if (weight.name != "weight") return {};
    const tenon::Adapter adapter = call.adapter(0);
    const auto part = [&](std::uint32_t i) { return adapter.parameter(i); };
    const Tensor update = product(part(kU), part(kS), part(kV)) -
                          product(part(kStart + kU), part(kStart + kS), part(kStart + kV));
    return call.weight(weight) + methods::with_dtype(update, weight.dtype);
  }
};

}  // namespace

TENON_PLUGIN("tenon.osf", "1.0.0", Osf, OsfLinear)
