#pragma once

#include <tenon/draft/generators.h>

namespace tenon {

// What tenon_host.extension(TENON_GENERATORS) answers.
const tenon_generators& plugin_generators();

}  // namespace tenon
