/* Disturbs one of the calls by which a program changes files. Loaded by LD_PRELOAD; tools/kills.py compiles and drives it.
 *
 * KILLS_COUNTER=FILE  a file of at least 8 bytes; its first 8 are the number of calls so far, of a process and its children
 * KILLS_AT=N          the call with this number is disturbed; 0: none, the calls are only counted
 * KILLS_HOW           "before", "half" (of the bytes of a write) or "after": SIGKILL to the process group at this point;
 *                     "short": the write writes half of its bytes; a number: the call fails, and errno is this number
 * KILLS_CLOCK=1       the time of day jumps: each second call sees it a year later
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static uint64_t nowhere;
static uint64_t* counter = &nowhere;
static uint64_t at;
static const char* how = "";
static int clock_jumps;

__attribute__((constructor)) static void start(void) {
  const char* path = getenv("KILLS_COUNTER");
  const char* number = getenv("KILLS_AT");
  if (getenv("KILLS_HOW")) how = getenv("KILLS_HOW");
  clock_jumps = getenv("KILLS_CLOCK") != NULL;
  const int file = path ? (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0) : -1;
  if (file < 0) return;
  void* const memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  syscall(SYS_close, file);
  if (memory == MAP_FAILED) return;
  counter = memory;
  if (number) at = strtoull(number, NULL, 10);
}

/* Counts a call. Returns whether it is the one to disturb. */
static int chosen(void) { return counter != &nowhere && __atomic_add_fetch(counter, 1, __ATOMIC_SEQ_CST) == at; }

static int is(const char* name) { return strcmp(how, name) == 0; }

static void die(void) { kill(0, SIGKILL); }

/* Returns whether a chosen call must fail. errno is set. */
static int fails(void) {
  if (is("before")) die();
  errno = atoi(how);
  return errno != 0;
}

static int done(int chosen_one, int result) {
  if (chosen_one && is("after")) die();
  return result;
}

#define DISTURBED(type, name, parameters, arguments) \
  type name parameters {                             \
    const int mine = chosen();                       \
    if (mine && fails()) return -1;                  \
    return done(mine, REAL(name) arguments);         \
  }

DISTURBED(int, fsync, (int file), (file))
DISTURBED(int, rename, (const char* from, const char* to), (from, to))
DISTURBED(int, link, (const char* from, const char* to), (from, to))
DISTURBED(int, mkdir, (const char* path, mode_t mode), (path, mode))
DISTURBED(int, unlink, (const char* path), (path))
DISTURBED(int, ftruncate, (int file, off_t size), (file, size))

/* Returns whether an open may change a file of the disk. */
static int writes(const char* path, int flags) {
  return (flags & O_ACCMODE) != O_RDONLY && strncmp(path, "/dev/", 5) != 0 && strncmp(path, "/proc/", 6) != 0;
}

#define DISTURBED_OPEN(name, arguments)                      \
  {                                                                       \
    mode_t mode = 0;                                                      \
    if (flags & (O_CREAT | O_TMPFILE)) {                                  \
      va_list rest;                                                       \
      va_start(rest, flags);                                              \
      mode = (mode_t)va_arg(rest, int);                                   \
      va_end(rest);                                                       \
    }                                                                     \
    const int mine = writes(path, flags) && chosen();                     \
    if (mine && fails()) return -1;                                       \
    return done(mine, REAL(name) arguments);                              \
  }

int open(const char* path, int flags, ...) DISTURBED_OPEN(open, (path, flags, mode))
int open64(const char* path, int flags, ...) DISTURBED_OPEN(open64, (path, flags, mode))
int openat(int folder, const char* path, int flags, ...) DISTURBED_OPEN(openat, (folder, path, flags, mode))
int openat64(int folder, const char* path, int flags, ...) DISTURBED_OPEN(openat64, (folder, path, flags, mode))

static int is_file(int file) {
  struct stat about;
  return fstat(file, &about) == 0 && S_ISREG(about.st_mode);
}

ssize_t write(int file, const void* bytes, size_t size) {
  const int mine = is_file(file) && chosen();
  if (mine && fails()) return -1;
  if (mine && size > 1 && (is("half") || is("short"))) size /= 2;
  const ssize_t written = REAL(write)(file, bytes, size);
  if (mine && (is("half") || is("after"))) die();
  return written;
}

int clock_gettime(clockid_t clock, struct timespec* now) {
  static unsigned count;
  const int result = (int)syscall(SYS_clock_gettime, clock, now);
  if (clock_jumps && clock == CLOCK_REALTIME && __atomic_add_fetch(&count, 1, __ATOMIC_SEQ_CST) % 2 == 0)
    now->tv_sec += 365L * 24 * 3600;
  return result;
}
