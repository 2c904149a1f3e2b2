#pragma once

#include <functional>
#include <map>
#include <string>

#include "config/run_config.h"
#include "declared/declared_arguments.h"
#include "declared/layer_builder.h"

namespace tenon {

// Reads a layer's arguments, then adds its operators.
using DeclaredBuilder = std::function<void(DeclaredArguments&, LayerBuilder&)>;
using DeclaredBuilders = std::map<std::string, DeclaredBuilder>;  // by type: "Linear"

// Parts of the table, one for each kind of layer.
DeclaredBuilders activation_builders();
DeclaredBuilders convolution_builders();
DeclaredBuilders recurrent_builders();

// "Linear" and "torch.nn.Linear" are "torch.nn.Linear".
std::string declared_type(const DeclaredLayer& layer);
// Whether the layer's input is int64.
bool takes_ids(const DeclaredLayer& layer);

// Throws Error{kConfig} naming the layer: an unknown type (with the nearest), an argument that the
// constructor does not have, one that is missing or of the wrong type.
void build_declared_layer(const DeclaredLayer& layer, LayerBuilder& builder);

}  // namespace tenon
