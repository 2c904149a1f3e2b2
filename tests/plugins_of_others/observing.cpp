// A method whose adapters start from data (tenon/draft/data_start.h): an output is shifted by what
// the layer gave on average. `start` says how it starts, or how that fails.
#include <string>
#include <vector>

#include <tenon/sdk.hpp>

namespace {

using tenon::Tensor;

class Average : public tenon::DataStart {
 public:
  explicit Average(const tenon::DataRun& run)
      : start_(run.keys().option<std::string>("start")), sums_(run.n_layers()) {
    if (start_ == "refused") throw tenon::Failure(TENON_UNSUPPORTED, "not so\ndo otherwise");
  }
  void observe(const tenon::DataRun& run, const tenon::Observed& call) override {
    static const tenon::Operator mean("aten::mean", "dim");
    if (start_ == "fails") throw tenon::Failure(TENON_INTERNAL, "all is lost");
    const Tensor row = mean(call.output(), tenon::Shape{0});
    Tensor& sum = sums_[call.layer()];
    const double share = 1.0 / static_cast<double>(run.batches_per_epoch());
    sum = sum ? sum + row * share : row * share;
  }
  bool after_batch(const tenon::DataRun& run) override {
    return ++batches_ == run.batches_per_epoch();
  }
  void finish(const tenon::DataRun& run, tenon::Started& started) override {
    if (start_ == "out of range") started.leave_out(run.n_layers());
    if (start_ == "without patterns") started.set_key(0, "start", "");
    if (start_ == "no value") started.set_key(0, "times", -1.0);
    if (start_ == "a weight") started.set_weight(0, 0, run.layer(0).weight("weight"));
    for (std::uint32_t i = 0; i < run.n_layers(); ++i) {
      const char* name = start_ == "wrong name" ? "shifts" : "shift";
      started.set_parameter(i, name, start_ == "wrong shape" ? sums_[i] + one() : sums_[i]);
      if (start_ == "times") started.set_key(i, "times", static_cast<double>(i + 1));
    }
    if (start_ != "first only") return;
    for (std::uint32_t i = 1; i < run.n_layers(); ++i) started.leave_out(i);
    started.note("the others stay as they are");
  }

 private:
  static Tensor one() {
    static const tenon::Operator ones("aten::ones");
    return ones(tenon::Shape{1, 1});
  }

  std::string start_;
  std::vector<Tensor> sums_;
  std::int64_t batches_ = 0;
};

struct Observing : tenon::Method<Observing> {
  static constexpr tenon::method_type kMethod{.name = "observing"};
  static constexpr tenon_option kKeys[] = {
      tenon::option::patterned(tenon::option::number("times", 1, tenon::at_least(0), "Factor."),
                               "times_pattern"),
      tenon::option::text("start", "", "How it starts.")};
  static double scaling(const Setup& setup) { return setup.option<double>("times"); }

  static tenon_data_needs data_needs(const tenon::DataKeys& keys) {
    return keys.option<std::string>("start").empty() ? 0 : TENON_NEEDS_DATA;
  }
  static std::unique_ptr<tenon::DataStart> data_start(const tenon::DataRun& run) {
    return std::make_unique<Average>(run);
  }
};

struct Shift : tenon::Layer<Shift> {
  static constexpr tenon::layer_type kType{
      .id = "test.observing", .method = "observing", .base = "torch.nn.Linear"};
  static void add_adapter(Setup& setup) {
    setup.parameter("shift", {setup.base().weight("weight").shape[0]}, tenon::Init::zeros());
  }
  static Outputs forward(Call& call) {
    Tensor y = call.base()[0];
    for (const tenon::Adapter& adapter : call.adapters()) {
      y = add(y, adapter.parameter(0), adapter.scaling());
    }
    return y;
  }
};

}  // namespace

TENON_PLUGIN("test.observing", "0.1.0", Observing, Shift)
