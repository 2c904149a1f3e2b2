#include "check/rules.h"

#include <algorithm>
#include <stdexcept>

namespace tenon {
namespace {

constexpr Rule kRules[] = {
    {"library", "It is a shared library for this machine.", "Nothing else can be opened.", false},
    {"stamp", "It carries a sound stamp.",
     "The host reads the stamp, to tell versions and ids, before any of the file's code runs.",
     false},
    {"abi-version", "This host offers the plugin ABI that it needs.",
     "A host refuses what it cannot serve before opening it.", false},
    {"exports", "It exports the entry table and the stamp, and nothing else of its own.",
     "A symbol that two plugins export may be taken from the wrong one.", false},
    {"no-libtorch", "It needs no symbol of LibTorch, unless its stamp names the exact version.",
     "LibTorch's C++ symbols change with each release, so the plugin would run in one only.",
     false},
    {"no-static-constructors", "No code runs when it is opened.",
     "Code that runs before the host has looked at the table can neither be refused nor reported.",
     false},
    {"trust", "Nobody but its owner, root and you can change it.",
     "A plugin is code that runs with your rights; the host refuses it otherwise.", false},
    {"loads", "Every symbol that it needs is found, and opening it returns.",
     "A plugin that cannot be opened serves nobody.", false},
    {"table", "Its table is complete, well-formed, and agrees with its stamp.",
     "The host decides by the stamp and calls by the table.", false},
    {"init", "Its init succeeds.", "A failing init refuses the whole plugin.", false},
    {"declares-alike", "It accepts the base and declares the same parameters each time.",
     "A saved adapter is found again by the names and shapes of its parameters.", true},
    {"runs", "It runs on its base.", "A layer that cannot run adapts nothing.", true},
    {"starts-as-base", "A fresh adapter whose parameters start at a constant changes nothing.",
     "Training starts from the model that was trained, and a constant start promises that.", true},
    {"repeatable", "In evaluation the same inputs give the same outputs, with lora_dropout too.",
     "A layer keeps no state between calls, and dropout is for training.", true},
    {"gradients", "Its gradients agree with finite differences in double precision.",
     "A wrong gradient trains, slowly, towards something else.", true},
    {"parameters-train", "Every trainable parameter receives a gradient.",
     "A parameter without a gradient is counted, saved and never trained.", true},
    {"merge", "The base with its merged weights gives what the layer gives.",
     "A merged model must be the adapted one.", true},
    {"factors", "Where it says that its change is a product of two factors, it is.",
     "By that the host lets layers share one pair, and one weight when they are merged.", true},
    {"rows", "With TENON_LAYER_ROWS, an adapter works on its own rows of a batch and no others.",
     "Other rows of the batch belong to other adapters, or to none.", true},
    {"no-grad", "It gives the same without gradients, and leaves their recording as it was.",
     "A switch that is not restored silently stops the training of everything after it.", true},
    {"threads", "Several threads at once get what one alone gets.",
     "Functions of a layer are called from any thread.", true},
    {"forced-errors", "A host function that fails makes it fail in turn.",
     "An error that is swallowed becomes a wrong result.", true},
    {"says-why", "When it fails, it says why.",
     "Without a text the user learns only that something is wrong.", true},
    {"outputs", "It writes owned handles for all outputs on success, and none on failure.",
     "The host takes what it is given; a borrowed handle would be freed twice.", true},
    {"handles", "It gives back or gives away every handle that it owns, once.",
     "A handle that is kept holds its tensor's memory until exit.", true},
    {"borrowed", "It uses nothing borrowed after the call that lent it.",
     "The host frees what it lent as soon as the call returns.", true},
    {"read-only", "It writes to no input, weight or parameter.",
     "Others use the same tensors, and gradients need their values.", true},
    {"no-exceptions", "No exception leaves it.",
     "The boundary is C; an exception that crosses it ends the program.", true},
    {"no-threads", "It starts no threads and no processes.",
     "The host has its own, and a thread may not outlive the call that it serves.", true},
    {"quiet", "It writes nothing to standard output.",
     "With --json the answer is there and nothing else; a plugin logs through the host.", true},
    {"no-crash", "It does not end the program.",
     "One faulty layer must not lose an hour's training.", true},
    {"in-time", "It returns.", "A call that does not return stops everything.", true},
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

}  // namespace tenon
