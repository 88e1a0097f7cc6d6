#include "base/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crypto.h"
#include "base/err.h"

/* What of the stack is given back at most. */
#define STACK_TRIMMED ((size_t)128 << 10)

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid /* glibc before 2.37 */
#endif

/* --- descriptors --------------------------------------------------------- */

static int set_flag(int fd, int get, int set, int flag, bool on)
{
    int flags = fcntl(fd, get);
    int wanted;

    if (flags < 0)
        return HF_EIO;
    wanted = on ? flags | flag : flags & ~flag;
    if (wanted != flags && fcntl(fd, set, wanted) < 0)
        return HF_EIO;
    return 0;
}

int hf_set_nonblocking(int fd, bool on)
{
    return set_flag(fd, F_GETFL, F_SETFL, O_NONBLOCK, on);
}

int hf_set_cloexec(int fd)
{
    return set_flag(fd, F_GETFD, F_SETFD, FD_CLOEXEC, true);
}

void hf_fill_standard_fds(void)
{
    int fd;

    do {
        fd = open("/dev/null", O_RDWR);
    } while (fd >= 0 && fd <= STDERR_FILENO);
    hf_close(&fd);
}

void hf_close(int *fd)
{
    int saved = errno;

    if (*fd >= 0)
        (void)close(*fd); /* Linux frees the number whatever it returns */
    *fd = -1;
    errno = saved;
}

/* --- locks --------------------------------------------------------------- */

static struct flock range(short type, int64_t at, int64_t len)
{
    return (struct flock){
        .l_type = type, .l_whence = SEEK_SET, .l_start = at, .l_len = len};
}

int hf_lock_try(int fd, int64_t at, int64_t len)
{
    struct flock lock = range(F_WRLCK, at, len);

    if (fcntl(fd, F_OFD_SETLK, &lock) == 0)
        return 0;
    return errno == EAGAIN || errno == EACCES ? HF_EBUSY : HF_EIO;
}

/*
 * fcntl has no deadline, so a timer interrupts it with a signal. Should the
 * signal arrive just before the thread sleeps it interrupts nothing; therefore
 * the timer repeats.
 */
#define ALARM_SIGNAL    (SIGRTMIN + 3) /* no library of ours uses it */
#define ALARM_REPEAT_MS 10

static pthread_once_t alarm_once = PTHREAD_ONCE_INIT;

static void on_alarm(int signal)
{
    (void)signal; /* to interrupt is all it is for */
}

static void install_alarm(void)
{
    struct sigaction action = {.sa_handler = on_alarm}; /* no SA_RESTART */

    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(ALARM_SIGNAL, &action, NULL); /* a valid number: works */
}

static struct timespec span(int64_t ms)
{
    return (struct timespec){.tv_sec = (time_t)(ms / 1000),
                             .tv_nsec = (long)(ms % 1000) * 1000000};
}

/* Send this thread ALARM_SIGNAL from after_ms on, until timer_delete. */
static int start_alarm(timer_t *out, int64_t after_ms)
{
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID,
                             .sigev_signo = ALARM_SIGNAL};
    struct itimerspec when = {.it_interval = span(ALARM_REPEAT_MS),
                              .it_value = span(after_ms)};

    (void)pthread_once(&alarm_once, install_alarm);
    event.sigev_notify_thread_id = gettid();
    if (timer_create(CLOCK_BOOTTIME, &event, out) < 0)
        return HF_EIO;
    if (timer_settime(*out, 0, &when, NULL) < 0) {
        (void)timer_delete(*out);
        return HF_EIO;
    }
    return 0;
}

static int wait_for_lock(int fd, struct flock *lock, int64_t deadline_ms)
{
    while (fcntl(fd, F_OFD_SETLKW, lock) < 0) {
        if (errno != EINTR)
            return HF_EIO;
        if (hf_boot_ms() >= deadline_ms)
            return HF_EBUSY;
    }
    return 0;
}

int hf_lock_wait(int fd, int64_t at, int64_t len, int64_t deadline_ms)
{
    struct flock lock = range(F_WRLCK, at, len);
    sigset_t alarm_only, before;
    timer_t alarm;
    int64_t left_ms;
    int err;

    err = hf_lock_try(fd, at, len);
    if (err != HF_EBUSY)
        return err;
    left_ms = deadline_ms - hf_boot_ms();
    if (left_ms <= 0)
        return HF_EBUSY;
    err = start_alarm(&alarm, left_ms);
    if (err)
        return err;

    /* Threads of ours block all signals but those they are there for. */
    (void)sigemptyset(&alarm_only);
    (void)sigaddset(&alarm_only, ALARM_SIGNAL);
    (void)pthread_sigmask(SIG_UNBLOCK, &alarm_only, &before);
    err = wait_for_lock(fd, &lock, deadline_ms);
    (void)timer_delete(alarm);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return err;
}

void hf_unlock(int fd, int64_t at, int64_t len)
{
    struct flock lock = range(F_UNLCK, at, len);

    (void)fcntl(fd, F_OFD_SETLK, &lock); /* fails for a bad fd only */
}

bool hf_locked(int fd, int64_t at, int64_t len)
{
    struct flock lock = range(F_WRLCK, at, len);

    /* Who cannot find out had better believe that it is held. */
    return fcntl(fd, F_OFD_GETLK, &lock) < 0 || lock.l_type != F_UNLCK;
}

/* --- files --------------------------------------------------------------- */

static ssize_t read_some(int fd, char *out, size_t len)
{
    ssize_t got;

    do {
        got = read(fd, out, len);
    } while (got < 0 && errno == EINTR);
    return got;
}

static int read_all(int fd, char *out, size_t cap, size_t *out_len)
{
    size_t len = 0;
    char more;
    ssize_t got;

    do {
        got = len < cap ? read_some(fd, out + len, cap - len)
                        : read_some(fd, &more, 1);
        if (got < 0)
            return HF_EIO;
        if (got > 0 && len == cap)
            return HF_ELIMIT;
        len += (size_t)got;
    } while (got > 0);
    *out_len = len;
    return 0;
}

int hf_file_read(int dirfd, const char *name, void *out, size_t cap,
                 size_t *out_len)
{
    /* O_NONBLOCK: to open a FIFO must not wait for who would write to it. */
    int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    int err;

    if (fd < 0)
        return errno == ENOENT ? HF_ENOTFOUND : HF_EIO;
    err = read_all(fd, out, cap, out_len);
    hf_close(&fd);
    return err;
}

static int write_all(int fd, struct hf_str bytes)
{
    while (bytes.len > 0) {
        ssize_t wrote = write(fd, bytes.at, bytes.len);

        if (wrote < 0 && errno != EINTR)
            return HF_EIO;
        if (wrote > 0)
            bytes = hf_str_from(bytes, (size_t)wrote);
    }
    return 0;
}

/* A new file with these contents; nothing stays behind after an error. */
static int write_new(int dirfd, const char *name, mode_t mode,
                     struct hf_str contents, bool sync)
{
    int fd = openat(dirfd, name,
                    O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
    int err;

    if (fd < 0)
        return HF_EIO;
    err = write_all(fd, contents);
    if (!err && fchmod(fd, mode) < 0) /* openat heeds the umask */
        err = HF_EIO;
    if (!err && sync && fsync(fd) < 0)
        err = HF_EIO;
    hf_close(&fd);
    if (err) {
        int saved = errno;

        (void)unlinkat(dirfd, name, 0);
        errno = saved;
    }
    return err;
}

/* Make the new name survive a power cut. */
static int sync_directory_of(int dirfd, const char *name)
{
    const char *slash = strrchr(name, '/');
    char dir[PATH_MAX] = ".";
    int fd, err;

    if (slash) /* up to and with the slash, so that "/x" gives "/" */
        (void)snprintf(dir, sizeof(dir), "%.*s", (int)(slash - name) + 1, name);
    fd = openat(dirfd, dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return HF_EIO;
    err = fsync(fd) < 0 ? HF_EIO : 0;
    hf_close(&fd);
    return err;
}

/* "name.0123456789abcdef.tmp": in the same directory, and nobody else's. */
static int temporary_name(const char *name, char *out, size_t size)
{
    uint64_t random;
    int err, len;

    err = hf_random(&random, sizeof(random));
    if (err)
        return err;
    len =
        snprintf(out, size, "%s.%016llx.tmp", name, (unsigned long long)random);
    if (len < 0 || (size_t)len >= size) {
        errno = ENAMETOOLONG;
        return HF_EIO;
    }
    return 0;
}

int hf_file_replace(int dirfd, const char *name, mode_t mode,
                    struct hf_str contents, bool sync)
{
    char temporary[PATH_MAX];
    int err, saved;

    err = temporary_name(name, temporary, sizeof(temporary));
    if (err)
        return err;
    err = write_new(dirfd, temporary, mode, contents, sync);
    if (err)
        return err;
    if (renameat(dirfd, temporary, dirfd, name) < 0) {
        saved = errno;
        (void)unlinkat(dirfd, temporary, 0);
        errno = saved;
        return HF_EIO;
    }
    return sync ? sync_directory_of(dirfd, name) : 0;
}

static int write_from(int fd, int64_t at, int64_t len, bool dense)
{
    char chunk[16384] = {0};

    while (at < len) {
        int64_t rest = len - at;
        ssize_t wrote;

        if (dense && hf_random(chunk, sizeof(chunk))) {
            errno = EIO;
            return HF_EIO;
        }
        wrote = pwrite(
            fd, chunk,
            rest < (int64_t)sizeof(chunk) ? (size_t)rest : sizeof(chunk), at);
        if (wrote < 0 && errno != EINTR)
            return HF_EIO;
        if (wrote > 0)
            at += wrote;
    }
    return 0;
}

int hf_allocate(int fd, int64_t len, bool dense)
{
    struct stat st;
    int done;

    do {
        done = fallocate(fd, 0, 0, len);
    } while (done < 0 && errno == EINTR);
    if (done == 0)
        return 0;
    if ((errno != EOPNOTSUPP && errno != ENOSYS) || fstat(fd, &st) < 0)
        return HF_EIO;
    return write_from(fd, st.st_size, len, dense);
}

/* --- host and process ---------------------------------------------------- */

int hf_boot_id(char out[40])
{
    char text[40];
    size_t len;
    int err;

    err = hf_file_read(AT_FDCWD, "/proc/sys/kernel/random/boot_id", text,
                       sizeof(text), &len);
    if (err || len < 36)
        return HF_EIO;
    memcpy(out, text, 36);
    out[36] = '\0';
    return 0;
}

void hf_process_name(pid_t pid, char out[17])
{
    char path[40];
    size_t len = 0;

    (void)snprintf(path, sizeof(path), "/proc/%ld/comm", (long)pid);
    if (hf_file_read(AT_FDCWD, path, out, 16, &len))
        len = 0;
    out[len] = '\0';
    out[strcspn(out, "\n")] = '\0';
}

size_t hf_raise_fd_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return 0; /* not possible: known resource, good pointer */
    if (limit.rlim_cur < limit.rlim_max) {
        rlim_t before = limit.rlim_cur;

        limit.rlim_cur = limit.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
            limit.rlim_cur = before;
    }
    return limit.rlim_cur > SIZE_MAX ? SIZE_MAX : (size_t)limit.rlim_cur;
}

/* Below us is nothing that anybody reads again. The kernel maps nothing else so
 * near below the main thread's stack; where that has not grown so far, it says
 * ENOMEM and does the rest. */
static void trim_stack(void)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t here = (uintptr_t)__builtin_frame_address(0);
    uintptr_t end = (here & ~(page - 1)) - page; /* and what we call */

    if (getpid() == gettid())
        (void)madvise((void *)(end - STACK_TRIMMED), STACK_TRIMMED,
                      MADV_DONTNEED);
}

void hf_trim_memory(void)
{
    trim_stack();
#ifdef HAVE_MALLOC_TRIM
    (void)malloc_trim(0); /* whether there was any */
#endif
}
