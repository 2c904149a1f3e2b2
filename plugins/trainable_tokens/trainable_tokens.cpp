// Rows of an embedding trained as they are (PEFT: tuners/trainable_tokens): the method of PEFT's
// TRAINABLE_TOKENS, and what trainable_token_indices is beside LoRA. The weight under the adapter
// is W with row token_indices[i] replaced by row i of the parameter.
#include <algorithm>
#include <string>
#include <vector>

#include <tenon/sdk.hpp>

namespace {

using tenon::Shape;
using tenon::Tensor;

constexpr const char* kTokens = "token_indices";
constexpr const char* kStart = "init_weights";

struct Method : tenon::Method<Method> {
  static constexpr tenon::method_type kMethod{
      .name = "trainable_tokens",
      .peft_type = "TRAINABLE_TOKENS",
      .doc = "Chosen rows of an embedding, trained as they are."};
  static constexpr tenon_option kKeys[] = {
      tenon::option::integers(kTokens, {.minimum = 0}, "The rows to train."),
      tenon::option::boolean(kStart, true, "Start from the base's rows, else at random.")};
};

struct State {
  std::vector<std::int64_t> tokens;
};

// The rows as the tensor that index operators take, beside `rows`; runs of numbers are made at
// once.
Tensor index_of(const std::vector<std::int64_t>& tokens, const Tensor& rows) {
  static const tenon::Operator arange("aten::arange", "start");
  static const tenon::Operator cat("aten::cat");
  std::vector<Tensor> runs;
  for (std::size_t i = 0; i < tokens.size();) {
    std::size_t end = i + 1;
    while (end < tokens.size() && tokens[end] == tokens[end - 1] + 1) ++end;
    runs.push_back(arange(tokens[i], tokens[end - 1] + 1, tenon::Dtype{TENON_DTYPE_INT64}));
    i = end;
  }
  if (runs.size() == 1) return tenon::on_device_of(rows, runs[0]);
  std::vector<tenon_tensor> handles;
  handles.reserve(runs.size());
  for (const Tensor& run : runs) handles.push_back(run.handle());
  return tenon::on_device_of(rows, cat(handles));
}

void check_tokens(const std::vector<std::int64_t>& tokens, std::int64_t rows) {
  if (tokens.empty()) throw tenon::Failure(TENON_UNSUPPORTED, "no token is named");
  std::vector<std::int64_t> sorted = tokens;
  std::sort(sorted.begin(), sorted.end());
  const auto twice = std::adjacent_find(sorted.begin(), sorted.end());
  if (twice != sorted.end()) {
    throw tenon::Failure(TENON_UNSUPPORTED, "token " + std::to_string(*twice) + " is named twice");
  }
  if (sorted.back() >= rows) {
    throw tenon::Failure(TENON_UNSUPPORTED, "there is no token " + std::to_string(sorted.back()) +
                                                ": the embedding has " + std::to_string(rows) +
                                                " rows");
  }
}

struct TrainableTokens : tenon::Layer<TrainableTokens> {
  static constexpr tenon::layer_type kType{.id = "tenon.trainable-tokens",
                                           .method = "trainable_tokens",
                                           .base = "torch.nn.Embedding",
                                           .title = "TrainableTokens",
                                           .doc = "Chosen rows of an embedding.",
                                           .flags = TENON_LAYER_BESIDE};
  // Beside LoRA, PEFT's names have "token_adapter." before them.
  static constexpr tenon_option kOptions[] = {
      tenon::option::text("prefix", "", "What stands before the parameter's name in the file.")};

  static void validate(const Setup& setup) {
    check_tokens(setup.option<std::vector<std::int64_t>>(kTokens),
                 setup.base().weight("weight").shape[0]);
  }

  static void add_adapter(Setup& setup) {
    const auto rows =
        static_cast<std::int64_t>(setup.option<std::vector<std::int64_t>>(kTokens).size());
    setup.parameter(setup.option<std::string>("prefix") + "trainable_tokens_delta",
                    {rows, setup.base().weight("weight").shape[1]}, tenon::Init::normal(0, 1));
  }

  static State prepare(const Setup& setup) {
    return {setup.option<std::vector<std::int64_t>>(kTokens)};
  }

  static void initialise(const Setup& setup, Start& start) {
    if (!setup.option<bool>(kStart)) return;
    static const tenon::Operator index_select("aten::index_select");
    const Tensor weight = start.weight("weight");
    start.set_parameter(0, index_select(weight, 0, index_of(start.state<State>().tokens, weight)));
  }

  static Tensor merged_weight(Call& call, const Weight& weight) {
    if (weight.name != "weight") return {};  // an output layer's bias
    static const tenon::Operator index_copy("aten::index_copy");
    if (call.adapters().size() > 1) check_apart(call);
    Tensor merged = call.weight(weight);
    for (const tenon::Adapter& adapter : call.adapters()) {
      const Tensor rows = tenon::to_dtype(adapter.parameter(0), merged.dtype());
      merged = index_copy(merged, 0, index_of(adapter.state<State>().tokens, rows), rows);
    }
    return merged;
  }

 private:
  // Rows that are replaced have no sum.
  static void check_apart(Call& call) {
    std::vector<std::int64_t> all;
    for (const tenon::Adapter& adapter : call.adapters()) {
      const std::vector<std::int64_t>& tokens = adapter.state<State>().tokens;
      all.insert(all.end(), tokens.begin(), tokens.end());
    }
    std::sort(all.begin(), all.end());
    const auto twice = std::adjacent_find(all.begin(), all.end());
    if (twice == all.end()) return;
    throw tenon::Failure(TENON_UNSUPPORTED, "two of the active adapters replace the row of token " +
                                                std::to_string(*twice) +
                                                "; set one of them active at a time");
  }
};

}  // namespace

TENON_PLUGIN("tenon.trainable-tokens", "0.1.0", Method, TrainableTokens)
