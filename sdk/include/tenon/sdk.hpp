// Everything that a plugin in C++20 needs. Header-only: nothing to link, no LibTorch to install.
#pragma once

#include "tenon/cpp/arithmetic.hpp"
#include "tenon/cpp/autograd.hpp"
#include "tenon/cpp/call.hpp"
#include "tenon/cpp/generator.hpp"
#include "tenon/cpp/layer.hpp"
#include "tenon/cpp/log.hpp"
#include "tenon/cpp/method.hpp"
#include "tenon/cpp/numbers.hpp"
#include "tenon/cpp/operator.hpp"
#include "tenon/cpp/options.hpp"
#include "tenon/cpp/plugin.hpp"
#include "tenon/cpp/setup.hpp"
#include "tenon/cpp/start.hpp"
#include "tenon/cpp/tensor.hpp"
#include "tenon/tenon.h"
