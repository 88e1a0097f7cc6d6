#include "base/sys.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"

/* Linked with --wrap: time passes before the wait, if a test says so, and it
 * is known what was synced last. */
int __real_timer_settime(timer_t timer, int flags,
                         const struct itimerspec *when,
                         struct itimerspec *before);
int __wrap_timer_settime(timer_t timer, int flags,
                         const struct itimerspec *when,
                         struct itimerspec *before);
int __real_fsync(int fd);
int __wrap_fsync(int fd);

static int64_t pause_ms;
static unsigned syncs;
static ino_t last_synced;

int __wrap_timer_settime(timer_t timer, int flags,
                         const struct itimerspec *when,
                         struct itimerspec *before)
{
    int result = __real_timer_settime(timer, flags, when, before);
    int64_t until_ms = hf_boot_ms() + pause_ms;

    while (hf_boot_ms() < until_ms)
        (void)usleep(1000);
    return result;
}

int __wrap_fsync(int fd)
{
    struct stat info;

    assert_int_equal(fstat(fd, &info), 0);
    last_synced = info.st_ino;
    syncs++;
    return __real_fsync(fd);
}

static char dir[] = "test-sys-XXXXXX";
static int dir_fd = -1;

static int make_dir(void **state)
{
    (void)state;
    if (!mkdtemp(dir))
        return -1;
    dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return dir_fd < 0 ? -1 : 0;
}

static int remove_dir(void **state)
{
    (void)state;
    (void)unlinkat(dir_fd, "lock", 0);
    hf_close(&dir_fd);
    return rmdir(dir);
}

static ino_t inode_of(const char *name)
{
    struct stat info;

    assert_int_equal(fstatat(dir_fd, name, &info, 0), 0);
    return info.st_ino;
}

/* Files but for the one of the locks. */
static unsigned count_files(void)
{
    DIR *listing = opendir(dir);
    const struct dirent *entry;
    unsigned count = 0;

    assert_non_null(listing);
    while ((entry = readdir(listing)))
        count += entry->d_name[0] != '.' && strcmp(entry->d_name, "lock") != 0;
    (void)closedir(listing);
    return count;
}

/* --- descriptors --------------------------------------------------------- */

static void nonblocking_can_be_set_and_cleared(void **state)
{
    int ends[2];

    (void)state;
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(hf_set_nonblocking(ends[0], true), 0);
    assert_true(fcntl(ends[0], F_GETFL) & O_NONBLOCK);
    assert_int_equal(hf_set_nonblocking(ends[0], true), 0);
    assert_true(fcntl(ends[0], F_GETFL) & O_NONBLOCK);
    assert_int_equal(hf_set_nonblocking(ends[0], false), 0);
    assert_false(fcntl(ends[0], F_GETFL) & O_NONBLOCK);
    assert_int_equal(hf_set_cloexec(ends[1]), 0);
    assert_true(fcntl(ends[1], F_GETFD) & FD_CLOEXEC);
    hf_close(&ends[0]);
    hf_close(&ends[1]);
}

static void flags_of_no_descriptor_are_an_error(void **state)
{
    (void)state;
    assert_int_equal(hf_set_nonblocking(-1, true), HF_EIO);
    assert_int_equal(hf_set_cloexec(-1), HF_EIO);
    assert_int_equal(errno, EBADF);
}

static void closing_forgets_the_number_and_keeps_errno(void **state)
{
    int fd = open("/dev/null", O_RDONLY), closed = fd;

    (void)state;
    errno = ENOSPC;
    hf_close(&fd);
    assert_int_equal(fd, -1);
    hf_close(&fd);
    assert_int_equal(errno, ENOSPC);
    assert_int_equal(fcntl(closed, F_GETFD), -1);
    fd = closed; /* not open any more */
    errno = ENOSPC;
    hf_close(&fd);
    assert_int_equal(errno, ENOSPC);
}

/* --- locks --------------------------------------------------------------- */

static int open_lock_file(void)
{
    int fd = openat(dir_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    return fd;
}

static void a_lock_excludes_other_descriptors_only(void **state)
{
    int a = open_lock_file(), b = open_lock_file();

    (void)state;
    assert_int_equal(hf_lock_try(a, 0, 1), 0);
    assert_int_equal(hf_lock_try(a, 0, 1), 0);
    assert_int_equal(hf_lock_try(b, 0, 1), HF_EBUSY);
    assert_true(hf_locked(b, 0, 1));
    assert_false(hf_locked(a, 0, 1));
    hf_unlock(a, 0, 1);
    assert_false(hf_locked(b, 0, 1));
    assert_int_equal(hf_lock_try(b, 0, 1), 0);
    hf_close(&b); /* frees it */
    assert_int_equal(hf_lock_try(a, 0, 1), 0);
    hf_close(&a);
}

static void locks_cover_their_bytes_only(void **state)
{
    int a = open_lock_file(), b = open_lock_file();

    (void)state;
    assert_int_equal(hf_lock_try(a, 10, 10), 0);
    assert_int_equal(hf_lock_try(b, 0, 10), 0);
    assert_int_equal(hf_lock_try(b, 20, 10), 0);
    assert_int_equal(hf_lock_try(b, 19, 1), HF_EBUSY);
    assert_true(hf_locked(b, 0, 100));
    assert_false(hf_locked(b, 0, 10));
    assert_int_equal(hf_lock_try(b, INT64_C(1) << 40, 1), 0);
    hf_close(&a);
    hf_close(&b);
}

static void locks_on_no_descriptor_are_an_error(void **state)
{
    (void)state;
    assert_int_equal(hf_lock_try(-1, 0, 1), HF_EIO);
    assert_int_equal(hf_lock_wait(-1, 0, 1, hf_boot_ms() + 1000), HF_EIO);
    assert_true(hf_locked(-1, 0, 1)); /* who cannot tell must not reap */
    hf_unlock(-1, 0, 1);
}

static void a_free_lock_is_taken_without_waiting(void **state)
{
    int a = open_lock_file();

    (void)state;
    assert_int_equal(hf_lock_wait(a, 0, 1, 0), 0); /* deadline long past */
    hf_close(&a);
}

static void waiting_ends_at_the_deadline(void **state)
{
    int a = open_lock_file(), b = open_lock_file();
    int64_t start_ms;

    (void)state;
    assert_int_equal(hf_lock_try(a, 0, 1), 0);
    start_ms = hf_boot_ms();
    assert_int_equal(hf_lock_wait(b, 0, 1, start_ms + 60), HF_EBUSY);
    assert_true(hf_boot_ms() - start_ms >= 60);
    assert_true(hf_boot_ms() - start_ms < 1000);
    start_ms = hf_boot_ms();
    assert_int_equal(hf_lock_wait(b, 0, 1, start_ms - 1), HF_EBUSY);
    assert_int_equal(hf_lock_wait(b, 0, 1, start_ms), HF_EBUSY);
    assert_true(hf_boot_ms() - start_ms < 1000);
    hf_close(&a);
    hf_close(&b);
}

static void short_deadlines_are_kept_too(void **state)
{
    int a = open_lock_file(), b = open_lock_file();
    int64_t start_ms = hf_boot_ms();
    int i;

    (void)state;
    assert_int_equal(hf_lock_try(a, 0, 1), 0);
    for (i = 0; i < 100; i++)
        assert_int_equal(hf_lock_wait(b, 0, 1, hf_boot_ms() + 1), HF_EBUSY);
    assert_true(hf_boot_ms() - start_ms < 10000);
    hf_close(&a);
    hf_close(&b);
}

static void a_signal_before_the_wait_begins_is_not_the_only_one(void **state)
{
    int a = open_lock_file(), b = open_lock_file();

    (void)state;
    assert_int_equal(hf_lock_try(a, 0, 1), 0);
    (void)alarm(20); /* rather die than wait for ever */
    pause_ms = 15;
    assert_int_equal(hf_lock_wait(b, 0, 1, hf_boot_ms() + 5), HF_EBUSY);
    pause_ms = 0;
    (void)alarm(0);
    hf_close(&a);
    hf_close(&b);
}

static void *release_soon(void *ctx)
{
    int *fd = ctx;

    (void)usleep(40000);
    hf_unlock(*fd, 0, 1);
    return NULL;
}

static void waiting_ends_when_the_lock_is_free(void **state)
{
    int a = open_lock_file(), b = open_lock_file();
    int64_t start_ms = hf_boot_ms();
    pthread_t thread;

    (void)state;
    assert_int_equal(hf_lock_try(a, 0, 1), 0);
    assert_int_equal(pthread_create(&thread, NULL, release_soon, &a), 0);
    assert_int_equal(hf_lock_wait(b, 0, 1, start_ms + 20000), 0);
    assert_true(hf_boot_ms() - start_ms < 10000);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(hf_lock_try(a, 0, 1), HF_EBUSY);
    hf_close(&a);
    hf_close(&b);
}

static void *wait_with_all_signals_blocked(void *ctx)
{
    int *fd = ctx;
    sigset_t all, before, after;
    int err, i;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, NULL);
    (void)pthread_sigmask(SIG_SETMASK, NULL, &before);
    err = hf_lock_wait(*fd, 0, 1, hf_boot_ms() + 40);
    (void)pthread_sigmask(SIG_SETMASK, NULL, &after);
    for (i = 1; i < SIGRTMAX; i++) {
        if (sigismember(&before, i) != sigismember(&after, i))
            err = 1;
    }
    *fd = err;
    return NULL;
}

static void a_thread_that_blocks_all_signals_is_woken_too(void **state)
{
    int a = open_lock_file(), b = open_lock_file(), result = b;
    pthread_t thread;

    (void)state;
    assert_int_equal(hf_lock_try(a, 0, 1), 0);
    assert_int_equal(
        pthread_create(&thread, NULL, wait_with_all_signals_blocked, &result),
        0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(result, HF_EBUSY);
    hf_close(&a);
    hf_close(&b);
}

static void on_usr1(int signal)
{
    (void)signal;
}

static void *send_signals(void *ctx)
{
    const pthread_t *target = ctx;
    int i;

    for (i = 0; i < 5; i++) {
        (void)usleep(5000);
        (void)pthread_kill(*target, SIGUSR1);
    }
    return NULL;
}

static void other_signals_do_not_end_the_wait(void **state)
{
    int a = open_lock_file(), b = open_lock_file();
    struct sigaction action = {.sa_handler = on_usr1}, before;
    pthread_t thread, self = pthread_self();
    int64_t start_ms = hf_boot_ms();

    (void)state;
    assert_int_equal(sigaction(SIGUSR1, &action, &before), 0);
    assert_int_equal(hf_lock_try(a, 0, 1), 0);
    assert_int_equal(pthread_create(&thread, NULL, send_signals, &self), 0);
    assert_int_equal(hf_lock_wait(b, 0, 1, start_ms + 80), HF_EBUSY);
    assert_true(hf_boot_ms() - start_ms >= 80);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(sigaction(SIGUSR1, &before, NULL), 0);
    hf_close(&a);
    hf_close(&b);
}

static void a_killed_holder_loses_its_lock(void **state)
{
    int ends[2], a = open_lock_file();
    char byte;
    pid_t child;

    (void)state;
    assert_int_equal(pipe(ends), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        int own = openat(dir_fd, "lock", O_RDWR);

        if (hf_lock_try(own, 0, 1) != 0 || write(ends[1], "x", 1) != 1)
            _exit(1);
        (void)sleep(20);
        _exit(0);
    }
    hf_close(&ends[1]);
    assert_int_equal(read(ends[0], &byte, 1), 1);
    assert_true(hf_locked(a, 0, 1));
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(hf_lock_wait(a, 0, 1, hf_boot_ms() + 10000), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    hf_close(&ends[0]);
    hf_close(&a);
}

/* --- files --------------------------------------------------------------- */

static void assert_file(const char *name, const char *contents)
{
    char bytes[64];
    size_t len;

    assert_int_equal(hf_file_read(dir_fd, name, bytes, sizeof(bytes), &len), 0);
    assert_int_equal(len, strlen(contents));
    assert_memory_equal(bytes, contents, len);
}

static void a_file_is_replaced_whole(void **state)
{
    struct stat info;
    mode_t mask = umask(077);

    (void)state;
    assert_int_equal(
        hf_file_replace(dir_fd, "f", 0640, HF_STR("first one"), true), 0);
    assert_file("f", "first one");
    assert_int_equal(fstatat(dir_fd, "f", &info, 0), 0);
    assert_int_equal(info.st_mode & 07777, 0640); /* whatever the umask */
    assert_int_equal(hf_file_replace(dir_fd, "f", 0600, HF_STR("2"), false), 0);
    assert_file("f", "2");
    assert_int_equal(hf_file_replace(dir_fd, "f", 0600, HF_STR(""), true), 0);
    assert_file("f", "");
    assert_int_equal(unlinkat(dir_fd, "f", 0), 0);
    (void)umask(mask);
}

static void an_open_reader_keeps_the_old_file(void **state)
{
    char old[4];
    int fd;

    (void)state;
    assert_int_equal(hf_file_replace(dir_fd, "f", 0600, HF_STR("old"), false),
                     0);
    fd = openat(dir_fd, "f", O_RDONLY);
    assert_int_equal(hf_file_replace(dir_fd, "f", 0600, HF_STR("new"), false),
                     0);
    assert_int_equal(read(fd, old, 3), 3);
    assert_memory_equal(old, "old", 3);
    assert_file("f", "new");
    hf_close(&fd);
    assert_int_equal(unlinkat(dir_fd, "f", 0), 0);
}

static void files_may_be_in_a_folder_below(void **state)
{
    char path[64], bytes[8];
    size_t len;

    (void)state;
    assert_int_equal(mkdirat(dir_fd, "sub", 0700), 0);
    assert_int_equal(hf_file_replace(dir_fd, "sub/f", 0600, HF_STR("x"), true),
                     0);
    assert_file("sub/f", "x");
    (void)snprintf(path, sizeof(path), "%s/sub/f", dir);
    assert_int_equal(hf_file_replace(AT_FDCWD, path, 0600, HF_STR("y"), true),
                     0);
    assert_int_equal(hf_file_read(AT_FDCWD, path, bytes, 8, &len), 0);
    assert_int_equal(bytes[0], 'y');
    assert_int_equal(unlinkat(dir_fd, "sub/f", 0), 0);
    assert_int_equal(unlinkat(dir_fd, "sub", AT_REMOVEDIR), 0);
}

static void only_a_synced_replacement_syncs_file_and_folder(void **state)
{
    (void)state;
    assert_int_equal(mkdirat(dir_fd, "sub", 0700), 0);
    syncs = 0;
    assert_int_equal(hf_file_replace(dir_fd, "sub/f", 0600, HF_STR("x"), false),
                     0);
    assert_int_equal(syncs, 0);
    assert_int_equal(hf_file_replace(dir_fd, "sub/f", 0600, HF_STR("x"), true),
                     0);
    assert_int_equal(syncs, 2);
    assert_true(last_synced == inode_of("sub"));
    assert_int_equal(hf_file_replace(dir_fd, "f", 0600, HF_STR("x"), true), 0);
    assert_int_equal(syncs, 4);
    assert_true(last_synced == inode_of("."));
    assert_int_equal(unlinkat(dir_fd, "f", 0), 0);
    assert_int_equal(unlinkat(dir_fd, "sub/f", 0), 0);
    assert_int_equal(unlinkat(dir_fd, "sub", AT_REMOVEDIR), 0);
}

static void a_replacement_that_fails_leaves_no_trace(void **state)
{
    char name[5000];

    (void)state;
    assert_int_equal(mkdirat(dir_fd, "d", 0700), 0);
    assert_int_equal(hf_file_replace(dir_fd, "d", 0600, HF_STR("x"), true),
                     HF_EIO);
    assert_int_equal(errno, EISDIR);
    assert_int_equal(unlinkat(dir_fd, "d", AT_REMOVEDIR), 0);
    assert_int_equal(hf_file_replace(dir_fd, "no/f", 0600, HF_STR("x"), true),
                     HF_EIO);
    assert_int_equal(errno, ENOENT);
    memset(name, 'n', sizeof(name));
    name[sizeof(name) - 1] = '\0';
    assert_int_equal(hf_file_replace(dir_fd, name, 0600, HF_STR("x"), true),
                     HF_EIO);
    assert_int_equal(errno, ENAMETOOLONG);
    assert_int_equal(count_files(), 0);
}

static void a_disk_that_is_full_leaves_the_old_file(void **state)
{
    struct rlimit before, small;

    (void)state;
    assert_int_equal(hf_file_replace(dir_fd, "f", 0600, HF_STR("old"), false),
                     0);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = before;
    small.rlim_cur = 4;
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    assert_int_equal(
        hf_file_replace(dir_fd, "f", 0600, HF_STR("longer"), false), HF_EIO);
    assert_int_equal(errno, EFBIG);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_file("f", "old");
    assert_int_equal(count_files(), 1);
    assert_int_equal(unlinkat(dir_fd, "f", 0), 0);
}

static void a_file_longer_than_the_room_is_refused(void **state)
{
    char bytes[8];
    size_t len = 99;

    (void)state;
    assert_int_equal(hf_file_replace(dir_fd, "f", 0600, HF_STR("12345"), false),
                     0);
    assert_int_equal(hf_file_read(dir_fd, "f", bytes, 5, &len), 0);
    assert_int_equal(len, 5);
    len = 99;
    assert_int_equal(hf_file_read(dir_fd, "f", bytes, 4, &len), HF_ELIMIT);
    assert_int_equal(hf_file_read(dir_fd, "f", bytes, 0, &len), HF_ELIMIT);
    assert_int_equal(len, 99);
    assert_int_equal(unlinkat(dir_fd, "f", 0), 0);
}

static void what_cannot_be_read_is_told_apart(void **state)
{
    char bytes[8];
    size_t len;

    (void)state;
    assert_int_equal(hf_file_read(dir_fd, "none", bytes, 8, &len),
                     HF_ENOTFOUND);
    assert_int_equal(hf_file_read(dir_fd, ".", bytes, 8, &len), HF_EIO);
    assert_int_equal(mkfifoat(dir_fd, "fifo", 0600), 0);
    assert_int_equal(hf_file_read(dir_fd, "fifo", bytes, 8, &len), 0);
    assert_int_equal(len, 0); /* and it did not wait for a writer */
    assert_int_equal(unlinkat(dir_fd, "fifo", 0), 0);
}

/* --- host and process ---------------------------------------------------- */

static void the_boot_id_has_36_characters(void **state)
{
    char a[40], b[40];

    (void)state;
    assert_int_equal(hf_boot_id(a), 0);
    assert_int_equal(strlen(a), 36);
    assert_int_equal(a[8], '-');
    assert_int_equal(hf_boot_id(b), 0);
    assert_string_equal(a, b);
}

static void the_descriptor_limit_goes_up_to_the_hard_one(void **state)
{
    struct rlimit limit;

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = 64;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_int_equal(hf_raise_fd_limit(), limit.rlim_max);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_int_equal(limit.rlim_cur, limit.rlim_max);
    assert_int_equal(hf_raise_fd_limit(), limit.rlim_max);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nonblocking_can_be_set_and_cleared),
        cmocka_unit_test(flags_of_no_descriptor_are_an_error),
        cmocka_unit_test(closing_forgets_the_number_and_keeps_errno),
        cmocka_unit_test(a_lock_excludes_other_descriptors_only),
        cmocka_unit_test(locks_cover_their_bytes_only),
        cmocka_unit_test(locks_on_no_descriptor_are_an_error),
        cmocka_unit_test(a_free_lock_is_taken_without_waiting),
        cmocka_unit_test(waiting_ends_at_the_deadline),
        cmocka_unit_test(short_deadlines_are_kept_too),
        cmocka_unit_test(a_signal_before_the_wait_begins_is_not_the_only_one),
        cmocka_unit_test(waiting_ends_when_the_lock_is_free),
        cmocka_unit_test(a_thread_that_blocks_all_signals_is_woken_too),
        cmocka_unit_test(other_signals_do_not_end_the_wait),
        cmocka_unit_test(a_killed_holder_loses_its_lock),
        cmocka_unit_test(a_file_is_replaced_whole),
        cmocka_unit_test(an_open_reader_keeps_the_old_file),
        cmocka_unit_test(files_may_be_in_a_folder_below),
        cmocka_unit_test(only_a_synced_replacement_syncs_file_and_folder),
        cmocka_unit_test(a_replacement_that_fails_leaves_no_trace),
        cmocka_unit_test(a_disk_that_is_full_leaves_the_old_file),
        cmocka_unit_test(a_file_longer_than_the_room_is_refused),
        cmocka_unit_test(what_cannot_be_read_is_told_apart),
        cmocka_unit_test(the_boot_id_has_36_characters),
        cmocka_unit_test(the_descriptor_limit_goes_up_to_the_hard_one),
    };

    return cmocka_run_group_tests_name("sys", tests, make_dir, remove_dir);
}
