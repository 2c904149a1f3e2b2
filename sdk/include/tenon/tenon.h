/* Everything that a plugin in C needs. For C++20 see tenon/sdk.hpp. */
#pragma once

#include "tenon/autograd.h"
#include "tenon/host.h"
#include "tenon/layer.h"
#include "tenon/mergeable.h"
#include "tenon/method.h"
#include "tenon/option.h"
#include "tenon/plugin.h"
#include "tenon/siblings.h"
#include "tenon/types.h"
#include "tenon/version.h"
