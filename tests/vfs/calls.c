#include "tests/vfs/calls.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static _Atomic bool on, failed;
static _Atomic unsigned long counts[CALLS_KINDS];
static _Atomic unsigned which_fails = CALLS_KINDS;
static _Atomic unsigned long fails_at; /* its count then */

/* Of AddressSanitizer: whoever looks for the reason knows the place. */
void __sanitizer_print_stack_trace(void) __attribute__((weak));

/* One more call; must it fail? */
static bool due(enum calls which)
{
    unsigned long number;

    if (!on)
        return false;
    number = atomic_fetch_add(&counts[which], 1) + 1;
    if (which != which_fails || number != fails_at)
        return false;
    failed = true;
    on = false; /* to print allocates */
    if (__sanitizer_print_stack_trace)
        __sanitizer_print_stack_trace();
    on = true;
    return true;
}

static bool due_with(enum calls which, int error)
{
    if (!due(which))
        return false;
    errno = error;
    return true;
}

int __real_fstatat(int fd, const char *name, struct stat *out, int flags);

static bool is_plain(int fd)
{
    struct stat st;

    return __real_fstatat(fd, "", &st, AT_EMPTY_PATH) == 0 &&
           S_ISREG(st.st_mode);
}

/* --- memory --------------------------------------------------------------- */

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *at, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *at, size_t size);

void *__wrap_malloc(size_t size)
{
    return due_with(CALLS_MEMORY, ENOMEM) ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return due_with(CALLS_MEMORY, ENOMEM) ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *at, size_t size)
{
    return due_with(CALLS_MEMORY, ENOMEM) ? NULL : __real_realloc(at, size);
}

static sqlite3_mem_methods below;

static void *sqlite_malloc(int size)
{
    return due(CALLS_SQLITE_MEMORY) ? NULL : below.xMalloc(size);
}

static void *sqlite_realloc(void *at, int size)
{
    return due(CALLS_SQLITE_MEMORY) ? NULL : below.xRealloc(at, size);
}

void calls_install(void)
{
    sqlite3_mem_methods methods;

    if (sqlite3_config(SQLITE_CONFIG_GETMALLOC, &below))
        abort();
    methods = below;
    methods.xMalloc = sqlite_malloc;
    methods.xRealloc = sqlite_realloc;
    /* Each connection's own pool of small pieces would hide most of it. */
    if (sqlite3_config(SQLITE_CONFIG_MALLOC, &methods) ||
        sqlite3_config(SQLITE_CONFIG_LOOKASIDE, 0, 0))
        abort();
}

/* --- files ---------------------------------------------------------------- */

/* `fails`: when this holds and it is the call's turn; -1 with errno then. */
#define WRAP(result, name, parameters, arguments, which, error, fails)         \
    result __real_##name parameters;                                           \
    result __wrap_##name parameters;                                           \
    result __wrap_##name parameters                                            \
    {                                                                          \
        if ((fails) && due_with(which, error))                                 \
            return (result)-1;                                                 \
        return __real_##name arguments;                                        \
    }

int __real_open(const char *path, int flags, ...);
int __real_openat(int fd, const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __wrap_openat(int fd, const char *path, int flags, ...);

int __wrap_open(const char *path, int flags, ...)
{
    va_list rest;
    mode_t mode;

    va_start(rest, flags);
    mode = flags & O_CREAT ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    return due_with(CALLS_OPEN, EMFILE) ? -1 : __real_open(path, flags, mode);
}

int __wrap_openat(int fd, const char *path, int flags, ...)
{
    va_list rest;
    mode_t mode;

    va_start(rest, flags);
    mode = flags & O_CREAT ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    return due_with(CALLS_OPEN, EMFILE) ? -1
                                        : __real_openat(fd, path, flags, mode);
}

WRAP(ssize_t, read, (int fd, void *out, size_t len), (fd, out, len), CALLS_READ,
     EIO, is_plain(fd))
WRAP(ssize_t, pread, (int fd, void *out, size_t len, off_t at),
     (fd, out, len, at), CALLS_READ, EIO, is_plain(fd))
WRAP(ssize_t, write, (int fd, const void *data, size_t len), (fd, data, len),
     CALLS_WRITE, ENOSPC, is_plain(fd) && fd > STDERR_FILENO)
WRAP(ssize_t, pwrite, (int fd, const void *data, size_t len, off_t at),
     (fd, data, len, at), CALLS_WRITE, ENOSPC, is_plain(fd))

int __real_fsync(int fd);
int __wrap_fsync(int fd);

/* Not done for real while we count: nobody here cuts the host's power. */
int __wrap_fsync(int fd)
{
    if (due_with(CALLS_FSYNC, EIO))
        return -1;
    return on ? 0 : __real_fsync(fd);
}

WRAP(int, renameat, (int from_fd, const char *from, int to_fd, const char *to),
     (from_fd, from, to_fd, to), CALLS_RENAME, ENOSPC, true)
WRAP(int, ftruncate, (int fd, off_t size), (fd, size), CALLS_TRUNCATE, ENOSPC,
     true)
WRAP(int, fstat, (int fd, struct stat *out), (fd, out), CALLS_STAT, EIO, true)
WRAP(int, fstatat, (int fd, const char *name, struct stat *out, int flags),
     (fd, name, out, flags), CALLS_STAT, EIO, !(flags & AT_EMPTY_PATH))
WRAP(void *, mmap,
     (void *at, size_t len, int prot, int flags, int fd, off_t offset),
     (at, len, prot, flags, fd, offset), CALLS_MAP, ENOMEM, true)

/* --- descriptors and threads ---------------------------------------------- */

WRAP(int, eventfd, (unsigned value, int flags), (value, flags),
     CALLS_DESCRIPTOR, EMFILE, true)
WRAP(int, epoll_create1, (int flags), (flags), CALLS_DESCRIPTOR, EMFILE, true)
WRAP(int, socket, (int family, int type, int protocol),
     (family, type, protocol), CALLS_DESCRIPTOR, EMFILE, true)
WRAP(int, inotify_init1, (int flags), (flags), CALLS_DESCRIPTOR, EMFILE, true)
WRAP(int, epoll_ctl, (int fd, int op, int what, struct epoll_event *event),
     (fd, op, what, event), CALLS_EPOLL, ENOSPC, op == EPOLL_CTL_ADD)

int __real_fcntl(int fd, int command, ...);
int __wrap_fcntl(int fd, int command, ...);

int __wrap_fcntl(int fd, int command, ...)
{
    va_list rest;
    void *argument; /* an int comes through as well, on the hosts we know */

    va_start(rest, command);
    argument = va_arg(rest, void *);
    va_end(rest);
    if ((command == F_OFD_SETLK || command == F_OFD_SETLKW) &&
        ((struct flock *)argument)->l_type != F_UNLCK &&
        due_with(CALLS_LOCK, ENOLCK))
        return -1;
    if (command == F_DUPFD_CLOEXEC && due_with(CALLS_DESCRIPTOR, EMFILE))
        return -1;
    return __real_fcntl(fd, command, argument);
}

int __real_pthread_create(pthread_t *out, const pthread_attr_t *attributes,
                          void *(*run)(void *), void *argument);
int __wrap_pthread_create(pthread_t *out, const pthread_attr_t *attributes,
                          void *(*run)(void *), void *argument);

int __wrap_pthread_create(pthread_t *out, const pthread_attr_t *attributes,
                          void *(*run)(void *), void *argument)
{
    return due(CALLS_THREAD)
               ? EAGAIN
               : __real_pthread_create(out, attributes, run, argument);
}

/* --- what tests call ------------------------------------------------------ */

void calls_on(bool wanted)
{
    on = wanted;
}

void calls_fail(enum calls which, unsigned long nth)
{
    fails_at = counts[which] + nth;
    which_fails = nth ? (unsigned)which : CALLS_KINDS;
}

unsigned long calls_count(enum calls which)
{
    return counts[which];
}

bool calls_failed(void)
{
    return failed;
}
