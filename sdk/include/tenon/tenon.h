/* Everything that a plugin in C needs; extensions are included one by one (tenon/ext, tenon/draft).
 * For C++20 see tenon/sdk.hpp. */
#pragma once

#include "tenon/base.h"
#include "tenon/call.h"
#include "tenon/host.h"
#include "tenon/layer_type.h"
#include "tenon/method.h"
#include "tenon/option.h"
#include "tenon/parameter.h"
#include "tenon/platform.h"
#include "tenon/plugin.h"
#include "tenon/stamp.h"
#include "tenon/start.h"
#include "tenon/status.h"
#include "tenon/tensor.h"
#include "tenon/value.h"
#include "tenon/version.h"
