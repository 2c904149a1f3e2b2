// no-static-constructors: a global object that is made when the library is opened.
#include <string>

#include "additive.h"

static std::string name = std::string(TENON_SDK_VERSION) + "!";
