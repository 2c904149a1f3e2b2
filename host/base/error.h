#pragma once

// Thrown where the fault is found, caught in main and at the C fence of the plugin boundary.
#include <tenon/error.h>
