/* The version of the boundary between Tenon and its plugins, and when two sides fit together.
 *
 * MAJOR is part of the entry symbol's name (tenon_plugin_v0): a host never sees an entry of another
 * major by mistake. MINOR grows by appending only: nothing is reordered, retyped or reused.
 * A host of MAJOR.h loads a plugin of MAJOR.p if the plugin's `min_host_minor` <= h.
 *
 * Major 0 is the draft: it may still change. 1 is the promise. */
#pragma once

#define TENON_ABI_MAJOR 0u
#define TENON_ABI_MINOR 3u

/* The version of these headers, for messages. */
#define TENON_SDK_VERSION "0.3.0"
