/* What differs between platforms: how functions that cross the boundary are called, and how a
 * library exports a symbol. */
#pragma once

/* The calling convention, between the type and the name of each function that crosses. */
#if defined(_WIN32)
#define TENON_ABI __cdecl
#else
#define TENON_ABI
#endif

#if defined(_WIN32)
#define TENON_EXPORT __declspec(dllexport)
#else
#define TENON_EXPORT __attribute__((visibility("default")))
#endif
