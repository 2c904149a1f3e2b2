#pragma once

#ifdef __cplusplus
extern "C" {
#endif

// Calls of the C library that change files, of which the n-th fails or ends the process. Linked
// into a program, or preloaded: then the environment has the same in TENON_FAULT_ROOT, _AT, _CODE,
// _FLAGS, and the number of calls is written to the file TENON_FAULT_COUNT at the end.

enum {
  FAULT_KILL = -1,  // in place of an errno: the process ends, as by SIGKILL, before the call
};

enum {
  FAULT_NO_SYNC = 1,      // calls that only sync succeed without doing it: sweeps are many
  FAULT_NO_EXCHANGE = 2,  // of a file system that cannot exchange two names
  FAULT_NO_UNNAMED = 4,   // of one without unnamed files
  FAULT_READS = 8,        // calls that open, read and map files count too
};

// Counts calls on what lies in `root` from now on; the `at`-th (from 1) fails by `code`. 0: none.
void fault_arm(const char* root, long at, int code, int flags);
// How many calls there were.
long fault_disarm(void);

#ifdef __cplusplus
}
#endif
