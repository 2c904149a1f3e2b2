#include "check/rules.h"

#include <algorithm>
#include <stdexcept>

namespace tenon {
namespace {

constexpr Rule kRules[] = {
    {"library", "It is a shared library for this machine.", "Nothing else can be opened.",
     RuleScope::kFile},
    {"stamp", "It carries a sound stamp.",
     "The host reads the stamp, to tell versions and ids, before any of the file's code runs.",
     RuleScope::kFile},
    {"abi-version", "This host offers the plugin ABI that it needs.",
     "A host refuses what it cannot serve before opening it.", RuleScope::kFile},
    {"exports", "It exports the entry table and the stamp, and nothing else of its own.",
     "A symbol that two plugins export may be taken from the wrong one.", RuleScope::kFile},
    {"no-libtorch", "It needs no symbol of LibTorch, unless its stamp names the exact version.",
     "LibTorch's C++ symbols change with each release, so the plugin would run in one only.",
     RuleScope::kFile},
    {"no-static-constructors", "No code runs when it is opened.",
     "Code that runs before the host has looked at the table can neither be refused nor reported.",
     RuleScope::kFile},
    {"trust", "Nobody but its owner, root and you can change it.",
     "A plugin is code that runs with your rights; the host refuses it otherwise.",
     RuleScope::kFile},
    {"loads", "Every symbol that it needs is found, and opening it returns.",
     "A plugin that cannot be opened serves nobody.", RuleScope::kFile},
    {"table", "Its table is complete, well-formed, and agrees with its stamp.",
     "The host decides by the stamp and calls by the table.", RuleScope::kFile},
    {"init", "Its init succeeds.", "A failing init refuses the whole plugin.", RuleScope::kFile},
    {"declares-alike", "It accepts the base and declares the same parameters each time.",
     "A saved adapter is found again by the names and shapes of its parameters.",
     RuleScope::kLayer},
    {"runs", "It runs on its base.", "A layer that cannot run adapts nothing.", RuleScope::kLayer},
    {"starts-as-base", "A fresh adapter whose parameters start at a constant changes nothing.",
     "Training starts from the model that was trained, and a constant start promises that.",
     RuleScope::kLayer},
    {"repeatable", "In evaluation the same inputs give the same outputs, with dropout too.",
     "A layer keeps no state between calls, and dropout is for training.", RuleScope::kLayer},
    {"gradients", "Its gradients agree with finite differences in double precision.",
     "A wrong gradient trains, slowly, towards something else.", RuleScope::kLayer},
    {"parameters-train", "Every trainable parameter receives a gradient.",
     "A parameter without a gradient is counted, saved and never trained.", RuleScope::kLayer},
    {"merge", "The base with its merged weights gives what the layer gives.",
     "A merged model must be the adapted one.", RuleScope::kLayer},
    {"factors", "Where it says that its change is a product of two factors, it is.",
     "By that the host lets layers share one pair, and one weight when they are merged.",
     RuleScope::kLayer},
    {"rows", "With TENON_LAYER_ROWS, an adapter works on its own rows of a batch and no others.",
     "Other rows of the batch belong to other adapters, or to none.", RuleScope::kLayer},
    {"no-grad", "It gives the same without gradients, and leaves their recording as it was.",
     "A switch that is not restored silently stops the training of everything after it.",
     RuleScope::kLayer},
    {"threads", "Several threads at once get what one alone gets.",
     "Functions of a layer are called from any thread.", RuleScope::kLayer},
    {"forced-errors", "A host function that fails makes it fail in turn.",
     "An error that is swallowed becomes a wrong result.", RuleScope::kLayer},
    {"says-why", "When it fails, it says why.",
     "Without a text the user learns only that something is wrong.", RuleScope::kLayer},
    {"outputs", "It writes owned handles for all outputs on success, and none on failure.",
     "The host takes what it is given; a borrowed handle would be freed twice.", RuleScope::kLayer},
    {"handles", "It gives back or gives away every handle that it owns, once.",
     "A handle that is kept holds its tensor's memory until exit.", RuleScope::kLayer},
    {"borrowed", "It uses nothing borrowed after the call that lent it.",
     "The host frees what it lent as soon as the call returns.", RuleScope::kLayer},
    {"read-only", "It writes to no input, weight or parameter.",
     "Others use the same tensors, and gradients need their values.", RuleScope::kLayer},
    {"no-exceptions", "No exception leaves it.",
     "The boundary is C; an exception that crosses it ends the program.", RuleScope::kLayer},
    {"no-threads", "It starts no threads and no processes.",
     "The host has its own, and a thread may not outlive the call that it serves.",
     RuleScope::kLayer},
    {"quiet", "It writes nothing to standard output.",
     "With --json the answer is there and nothing else; a plugin logs through the host.",
     RuleScope::kLayer},
    {"leaves-process", "It leaves the working folder and the standard streams as they were.",
     "The program and all other plugins use the same ones.", RuleScope::kLayer},
    {"no-crash", "It does not end the program.",
     "One faulty layer must not lose an hour's training.", RuleScope::kLayer},
    {"in-time", "It returns.", "A call that does not return stops everything.", RuleScope::kLayer},
    {"loss-value", "It gives one finite floating number.", "Training minimises one number.",
     RuleScope::kLoss},
    {"loss-gradient", "Its gradient agrees with finite differences in double precision.",
     "A wrong gradient trains, slowly, towards something else.", RuleScope::kLoss},
    {"loss-mean", "It is the mean over the rows: of two halves, the mean of their losses.",
     "Batches are put together, and evaluated, by how much is judged in each.", RuleScope::kLoss},
    {"loss-weights", "A row of weight 0 does not count, and equal weights change nothing.",
     "[data] sample_weight means nothing otherwise.", RuleScope::kLoss},
    {"loss-repeatable", "It gives the same for the same batch, and changes no tensor of it.",
     "A loss keeps no state between calls.", RuleScope::kLoss},
    {"loss-returns", "It neither crashes, nor ends the program, nor runs for ever.",
     "One faulty loss must not lose an hour's training.", RuleScope::kLoss},
    {"metric-batches", "Its value does not depend on how the rows are cut into batches.",
     "It is of the whole set, and eval_batch_size only says how much is looked at at once.",
     RuleScope::kMetric},
    {"metric-apart", "Two evaluations at once know nothing of each other.",
     "What one evaluation counts in is its own.", RuleScope::kMetric},
    {"metric-returns", "It neither crashes, nor ends the program, nor runs for ever.",
     "One faulty metric must not lose an hour's training.", RuleScope::kMetric},
};

}  // namespace

std::span<const Rule> all_rules() { return kRules; }

const Rule& find_rule(std::string_view id) {
  const auto* found = std::find_if(std::begin(kRules), std::end(kRules),
                                   [&](const Rule& rule) { return id == rule.id; });
  if (found == std::end(kRules)) throw std::logic_error("no rule " + std::string(id));
  return *found;
}

bool has_failed(const Findings& findings) {
  return std::any_of(findings.begin(), findings.end(),
                     [](const Finding& finding) { return finding.status == RuleStatus::kFailed; });
}

Finding judge(const char* rule, const std::string& fault) {
  return {rule, fault.empty() ? RuleStatus::kPassed : RuleStatus::kFailed, fault};
}

void complete(Findings& findings, RuleScope scope, const std::string& reason) {
  for (const Rule& rule : all_rules()) {
    if (rule.scope != scope) continue;
    if (std::ranges::none_of(findings,
                             [&](const Finding& finding) { return finding.rule == rule.id; })) {
      findings.push_back({rule.id, RuleStatus::kNotTried, reason});
    }
  }
}

}  // namespace tenon
