#pragma once

#include <tenon/host.h>

namespace tenon {

// What every plugin is handed: the functions of tenon/host.h, filled in once, valid until exit.
const tenon_host& host_table();

}  // namespace tenon
