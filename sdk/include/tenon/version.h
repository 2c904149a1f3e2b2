/* The version of the boundary between Tenon and its plugins, and when two sides fit together.
 *
 * MAJOR is part of the entry symbol's name (tenon_plugin_v1): a host never sees an entry of another
 * major by mistake. MINOR grows by appending only: nothing is reordered, retyped or reused.
 * A host of MAJOR.h loads a plugin of MAJOR.p if the plugin's `min_host_minor` <= h.
 *
 * What a struct has beyond the `struct_size` that its writer knew is not read. What a host does not
 * know of a plugin's flags it refuses: a plugin that sets a flag of a later minor says so in
 * `min_host_minor`. */
#pragma once

#define TENON_ABI_MAJOR 1u
#define TENON_ABI_MINOR 0u

/* The version of these headers, for messages. */
#define TENON_SDK_VERSION "1.0.0-rc.1"
