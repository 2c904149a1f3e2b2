// FourierFT: a few trained coefficients of the update's spectrum, at places that a seed draws (Gao
// et al. 2024, arXiv:2405.03003; PEFT: tuners/fourierft/layer.py):
//   W' = W + scaling * Re(ifft2(F)), F zero but for n_frequency places
// The places are not saved: they are drawn again, with PyTorch's numbers.
#include <vector>

#include "common/matrix.hpp"
#include "common/weight_layer.hpp"

namespace {

using tenon::Shape;

struct FourierFt : tenon::Method<FourierFt> {
  static constexpr tenon::method_type kMethod{
      .name = "fourierft",
      .peft_type = "FOURIERFT",
      .doc = "Trained coefficients of updates' spectra.",
      .flags = TENON_METHOD_EXCLUDES | TENON_METHOD_LAYERS | TENON_METHOD_BIASES};
  static constexpr tenon_option kKeys[] = {
      tenon::option::patterned(tenon::option::integer("n_frequency", 1000, {.minimum = 1},
                                                      "How many coefficients each layer has."),
                               "n_frequency_pattern"),
      tenon::option::number("scaling", 150, {}, "A factor on the update."),
      tenon::option::integer("random_loc_seed", 777, {.minimum = 0, .maximum = 4294967295},
                             "Draws where the coefficients lie."),
      tenon::option::boolean("fan_in_fan_out", false,
                             "PEFT's; has no effect: a layer's type says how its weight lies."),
      tenon::option::boolean("init_weights", false, "Start at zero, as the base; else at random.")};

  static double scaling(const Setup& setup) { return setup.option<double>("scaling"); }
};

// (out, in), whichever way the weight is stored.
Shape spectrum_shape(const tenon::Base& base) {
  const Shape weight = base.weight("weight").shape;
  if (methods::is_stored_transposed(base)) return {weight[1], weight[0]};
  return weight;
}

struct State {
  std::vector<std::int64_t> places;  // of the coefficients in the spectrum, row by row
  Shape shape;
  bool turns = false;
};

struct FourierFtLayer : methods::AdditiveLayer<FourierFtLayer> {
  static constexpr tenon::layer_type kType{
      .id = "tenon.fourierft",
      .method = "fourierft",
      .base = "torch.nn.Linear;transformers.pytorch_utils.Conv1D",
      .title = "fourierft.Linear",
      .doc = "Coefficients of the spectrum of an update."};

  static void validate(const Setup& setup) {
    const Shape shape = spectrum_shape(setup.base());
    if (setup.option<std::int64_t>("n_frequency") <= shape[0] * shape[1]) return;
    throw tenon::Failure(TENON_UNSUPPORTED, "n_frequency is more than the weight's " +
                                                std::to_string(shape[0] * shape[1]) + " elements");
  }

  static State prepare(const Setup& setup) {
    const Shape shape = spectrum_shape(setup.base());
    const auto seed = setup.option<std::int64_t>("random_loc_seed");
    std::vector<std::int64_t> places =
        tenon::numbers_of<std::int64_t>(methods::seeded_permutation(shape[0] * shape[1], seed));
    places.resize(static_cast<std::size_t>(setup.option<std::int64_t>("n_frequency")));
    return {std::move(places), shape, methods::is_stored_transposed(setup.base())};
  }

  static void add_adapter(Setup& setup) {
    setup.parameter(
        "fourierft_spectrum", {setup.option<std::int64_t>("n_frequency")},
        setup.option<bool>("init_weights") ? tenon::Init::zeros() : tenon::Init::normal(0, 1));
  }

  static Tensor delta(const methods::Change& change) {
    static const tenon::Operator index_copy("aten::index_copy");
    static const tenon::Operator ifft2("aten::fft_ifft2");
    static const tenon::Operator real("aten::real");
    const auto& state = change.adapter.state<State>();
    const Tensor given = change.adapter.parameter(0);
    const Tensor coefficients = methods::with_dtype(  // there is no transform in half precision
        given, given.dtype() == TENON_DTYPE_FLOAT64 ? TENON_DTYPE_FLOAT64 : TENON_DTYPE_FLOAT32);
    const Tensor flat = methods::zeros({state.shape[0] * state.shape[1]}, coefficients);
    const Tensor spectrum = reshape(
        index_copy(flat, std::int64_t{0}, methods::tensor_of(state.places, flat), coefficients),
        state.shape);
    const Tensor update = real(ifft2(spectrum)) * change.adapter.scaling();
    return methods::with_dtype(state.turns ? transpose(update, 0, 1) : update, given.dtype());
  }
};

}  // namespace

TENON_PLUGIN("tenon.fourierft", "1.0.0", FourierFt, FourierFtLayer)
