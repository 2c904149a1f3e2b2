#pragma once

namespace tenon {

// Keeps freed memory in the process, for a program of its own to call at its start. A step frees
// and allocates the same activations again and again; the C library would hand the larger ones back
// to the system each time, which clears their pages anew: a twentieth of a step.
void keep_freed_memory();

}  // namespace tenon
