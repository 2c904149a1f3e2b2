#pragma once

#include <string>
#include <vector>

#include "adapter/adapter_store.h"
#include "graph/graph.h"
#include "inject/adapter_instance.h"

// Modules that PEFT takes by an entry of modules_to_save although nobody means them: it wraps every
// module whose path ends with the entry, `aux_classifier` by "classifier", and wants the tensors of
// each in the file.
namespace tenon {

// Those of a placed adapter: not saved by it, and no name of what it saves is without them.
std::vector<std::string> twin_modules(const ModelData& model, const AdapterInstance& adapter);

// Their tensors as the base has them, with which PEFT computes the same as without.
std::vector<AdapterTensor> twin_tensors(const ModelData& model,
                                        const std::vector<std::string>& twins);

// What PEFT cannot load of such an adapter, whatever is written; one sentence each.
std::vector<std::string> twin_notes(const ModelData& model, const AdapterInstance& adapter);

// Of an adapter that was read: takes the tensors of twins out that are as the base has them, and
// names the twins in its config's `not_saved`.
void leave_out_twins(const ModelData& model, AdapterFiles& files);

}  // namespace tenon
