#pragma once

#include <string>
#include <vector>

#include "config/run_config.h"
#include "config/section_reader.h"

namespace tenon {

// The host's own losses; a plugin's has a dot in its name.
const std::vector<std::string>& loss_names();
// What [train] and an entry of [[train.losses]] say of a loss. Names and meaning are torch.nn's.
void read_loss_term(SectionReader& section, LossTerm& term);
// An entry of [[train.losses]].
void read_term_of_several(SectionReader& section, LossTerm& term);
// The losses of [train]: one that its own keys say, or several.
void read_losses(SectionReader& section, TrainConfig& train);

}  // namespace tenon
