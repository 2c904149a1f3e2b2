#pragma once

// The files of `tenon plugin new`, with @NAMES@ to be filled in.
namespace tenon::new_plugin {

extern const char* const kLowRankSource;  // method lora
extern const char* const kOffsetSource;   // any other method
extern const char* const kMethodStruct;   // in it, of a method that no plugin has
extern const char* const kCmakeLists;
extern const char* const kReadme;
extern const char* const kTryDeclared;  // of a config: a model that needs no Python
extern const char* const kTryExported;
extern const char* const kExportScript;

}  // namespace tenon::new_plugin
