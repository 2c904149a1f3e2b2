#define _GNU_SOURCE
#include "faults.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

static char fault_root[PATH_MAX];
static long fault_at;
static int fault_code;
static int fault_flags;
static long fault_count;

void fault_arm(const char* root, long at, int code, int flags) {
  fault_at = at;
  fault_code = code;
  fault_flags = flags;
  fault_count = 0;
  snprintf(fault_root, sizeof fault_root, "%s", root);
}

long fault_disarm(void) {
  fault_root[0] = '\0';
  fault_flags = 0;
  return fault_count;
}

__attribute__((constructor)) static void fault_read_environment(void) {
  const char* root = getenv("TENON_FAULT_ROOT");
  const char* at = getenv("TENON_FAULT_AT");
  const char* code = getenv("TENON_FAULT_CODE");
  const char* flags = getenv("TENON_FAULT_FLAGS");
  if (root != NULL) {
    fault_arm(root, at ? atol(at) : 0, code ? atoi(code) : 0, flags ? atoi(flags) : 0);
  }
}

static int fault_is_inside(const char* path) {
  const size_t length = strlen(fault_root);
  return length > 0 && strncmp(path, fault_root, length) == 0;
}

static int fault_is_descriptor_inside(int number) {
  char name[64];
  char path[PATH_MAX];
  if (fault_root[0] == '\0') return 0;
  snprintf(name, sizeof name, "/proc/self/fd/%d", number);
  const ssize_t size = readlink(name, path, sizeof path - 1);
  if (size < 0) return 0;
  path[size] = '\0';
  return fault_is_inside(path);
}

static int fault_is_at_inside(int folder, const char* path) {
  return path[0] == '/' ? fault_is_inside(path) : fault_is_descriptor_inside(folder);
}

// The count goes to its file at each call, for a process may end in many ways.
static void fault_write_count(void) {
  const char* file = getenv("TENON_FAULT_COUNT");
  if (file == NULL) return;
  FILE* out = fopen(file, "w");
  if (out == NULL) return;
  fprintf(out, "%ld\n", fault_count);
  fclose(out);
}

// Whether this call is to fail; sets errno.
static int fault_now(int is_inside) {
  if (!is_inside) return 0;
  const int is_it = ++fault_count == fault_at;
  fault_write_count();
  if (!is_it) return 0;
  if (fault_code == FAULT_KILL) kill(getpid(), SIGKILL);
  errno = fault_code;
  return 1;
}

#define REAL(type, name, ...) ((type(*)(__VA_ARGS__))dlsym(RTLD_NEXT, name))

static int fault_writes(int flags) {
  return (flags & O_ACCMODE) != O_RDONLY || (flags & O_CREAT) != 0;
}

static int fault_open(const char* name, int is_inside, int folder, const char* path, int flags,
                      mode_t mode) {
  if (is_inside && (fault_flags & FAULT_NO_UNNAMED) != 0 && (flags & O_TMPFILE) == O_TMPFILE) {
    errno = EOPNOTSUPP;
    return -1;
  }
  const int counts = fault_writes(flags) || (fault_flags & FAULT_READS) != 0;
  if (fault_now(is_inside && counts)) return -1;
  if (folder == AT_FDCWD) return REAL(int, name, const char*, int, mode_t)(path, flags, mode);
  return REAL(int, "openat", int, const char*, int, mode_t)(folder, path, flags, mode);
}

static mode_t fault_mode(int flags, va_list arguments) {
  const int has_mode = (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE;
  return has_mode ? va_arg(arguments, mode_t) : 0;
}

int open(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = fault_mode(flags, arguments);
  va_end(arguments);
  return fault_open("open", fault_is_inside(path), AT_FDCWD, path, flags, mode);
}

int open64(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = fault_mode(flags, arguments);
  va_end(arguments);
  return fault_open("open64", fault_is_inside(path), AT_FDCWD, path, flags, mode);
}

ssize_t write(int number, const void* bytes, size_t size) {
  if (fault_now(fault_is_descriptor_inside(number))) return -1;
  return REAL(ssize_t, "write", int, const void*, size_t)(number, bytes, size);
}

static int fault_reads(int number) {
  return (fault_flags & FAULT_READS) != 0 && fault_is_descriptor_inside(number);
}

ssize_t read(int number, void* bytes, size_t size) {
  if (fault_now(fault_reads(number))) return -1;
  return REAL(ssize_t, "read", int, void*, size_t)(number, bytes, size);
}

void* mmap(void* address, size_t size, int protection, int flags, int number, off_t offset) {
  if (fault_now(fault_reads(number))) return MAP_FAILED;
  return REAL(void*, "mmap", void*, size_t, int, int, int, off_t)(address, size, protection, flags,
                                                                  number, offset);
}

static int fault_sync(const char* name, int number) {
  const int is_inside = fault_is_descriptor_inside(number);
  if (fault_now(is_inside)) return -1;
  if (is_inside && (fault_flags & FAULT_NO_SYNC) != 0) return 0;
  return REAL(int, name, int)(number);
}

int fsync(int number) { return fault_sync("fsync", number); }
int fdatasync(int number) { return fault_sync("fdatasync", number); }

int rename(const char* from, const char* to) {
  if (fault_now(fault_is_inside(from) || fault_is_inside(to))) return -1;
  return REAL(int, "rename", const char*, const char*)(from, to);
}

int renameat2(int from_folder, const char* from, int to_folder, const char* to,
              unsigned int flags) {
  const int is_inside = fault_is_at_inside(from_folder, from) || fault_is_at_inside(to_folder, to);
  if (is_inside && (fault_flags & FAULT_NO_EXCHANGE) != 0 && (flags & RENAME_EXCHANGE) != 0) {
    errno = EINVAL;
    return -1;
  }
  if (fault_now(is_inside)) return -1;
  return REAL(int, "renameat2", int, const char*, int, const char*, unsigned int)(
      from_folder, from, to_folder, to, flags);
}

int linkat(int from_folder, const char* from, int to_folder, const char* to, int flags) {
  if (fault_now(fault_is_at_inside(to_folder, to))) return -1;
  return REAL(int, "linkat", int, const char*, int, const char*, int)(from_folder, from, to_folder,
                                                                      to, flags);
}

int unlink(const char* path) {
  if (fault_now(fault_is_inside(path))) return -1;
  return REAL(int, "unlink", const char*)(path);
}

int unlinkat(int folder, const char* path, int flags) {
  if (fault_now(fault_is_at_inside(folder, path))) return -1;
  return REAL(int, "unlinkat", int, const char*, int)(folder, path, flags);
}

int rmdir(const char* path) {
  if (fault_now(fault_is_inside(path))) return -1;
  return REAL(int, "rmdir", const char*)(path);
}

int mkdir(const char* path, mode_t mode) {
  if (fault_now(fault_is_inside(path))) return -1;
  return REAL(int, "mkdir", const char*, mode_t)(path, mode);
}

int fchmod(int number, mode_t mode) {
  if (fault_now(fault_is_descriptor_inside(number))) return -1;
  return REAL(int, "fchmod", int, mode_t)(number, mode);
}

int chmod(const char* path, mode_t mode) {
  if (fault_now(fault_is_inside(path))) return -1;
  return REAL(int, "chmod", const char*, mode_t)(path, mode);
}
