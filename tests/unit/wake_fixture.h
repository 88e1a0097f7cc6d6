/*
 * wake_fixture.h - who waits for the journal: in this process, several in one
 * loop, and in processes of their own
 */
#ifndef HF_TESTS_WAKE_FIXTURE_H
#define HF_TESTS_WAKE_FIXTURE_H

#include "schema_fixture.h"

#include <poll.h>
#include <signal.h>
#include <string.h>

#include "schema/wake.h"

/* A process that waits, in small. */
struct waiter {
    struct hf_journal *journal;
    struct hf_wake *wake;
    uint64_t head; /* seen by the last call */
    unsigned calls;
};

static struct hf_loop *loop;

static inline void grown(void *ctx)
{
    struct waiter *waiter = ctx;

    waiter->head = head_of(waiter->journal);
    waiter->calls++;
}

static inline void waiter_open(struct waiter *waiter, const char *topic)
{
    *waiter = (struct waiter){.journal = open_journal(HF_JOURNAL_READ)};
    assert_int_equal(hf_wake_new(loop, &f.dir, waiter->journal, grown, waiter,
                                 &waiter->wake),
                     0);
    if (topic)
        hf_wake_add(waiter->wake, hf_str_of(topic));
}

static inline void waiter_close(struct waiter *waiter)
{
    hf_wake_free(waiter->wake);
    hf_journal_close(waiter->journal);
}

static inline void run_for(int64_t ms)
{
    int64_t end_ms = hf_boot_ms() + ms;

    while (hf_boot_ms() < end_ms)
        assert_int_equal(hf_loop_turn(loop, 5), 0);
}

/* To a moment with time before the next backstop of all: who counts bells does
 * not want one that came a little later than the backstop found the rows. */
static inline void run_past_backstop(void)
{
    int64_t past_ms = hf_boot_ms() % HF_WAKE_BACKSTOP_MS;

    if (past_ms > HF_WAKE_BACKSTOP_MS / 2)
        run_for(HF_WAKE_BACKSTOP_MS - past_ms);
    run_for(20);
}

/* Milliseconds until the waiter saw this head; fails after 2 s. */
static inline int64_t time_until(const struct waiter *waiter, uint64_t head)
{
    int64_t start_ms = hf_boot_ms();

    while (waiter->head < head) {
        if (hf_boot_ms() - start_ms > 2000)
            fail_msg("not woken for %llu", (unsigned long long)head);
        assert_int_equal(hf_loop_turn(loop, 5), 0);
    }
    return hf_boot_ms() - start_ms;
}

static inline void insert(const char *topic)
{
    char sql[256];

    (void)snprintf(sql, sizeof(sql),
                   "INSERT INTO messages (topic, event, payload)"
                   " VALUES ('%s', 'b', '1')",
                   topic);
    foreign_ok(sql);
}

/* What a process tells of each thing that happens to it. */
struct report {
    uint64_t head;
    bool watching;
    struct hf_wake_counts counts;
};

static int report_fd;

static inline void report(struct waiter *waiter)
{
    struct report report = {.head = waiter->head,
                            .watching = hf_wake_watching(waiter->wake),
                            .counts = hf_wake_counts(waiter->wake)};

    (void)!write(report_fd, &report, sizeof(report));
}

static inline void grown_in_child(void *ctx)
{
    grown(ctx);
    report(ctx);
}

static inline void rung_in_child(void *ctx)
{
    report(ctx);
}

/*
 * As holdfast-gateway waits as a CGI program: this program started anew, for
 * neither a lock nor a connection bears being forked. Ends after 20 s at most.
 */
static inline int be_sleeper(const char *dir, const char *topic)
{
    struct waiter waiter = {0};
    struct hf_why why = {""};

    (void)alarm(20);
    report_fd = STDOUT_FILENO;
    hf_settings_default(&f.settings);
    if (hf_dir_open(&f.dir, dir, &why) || hf_loop_new(&loop) ||
        hf_journal_open(&f.dir, &f.settings, HF_JOURNAL_READ, &waiter.journal,
                        &why) ||
        hf_wake_new(loop, &f.dir, waiter.journal, grown_in_child, &waiter,
                    &waiter.wake))
        return 1;
    hf_wake_without_descriptors(waiter.wake);
    hf_wake_on_ring(waiter.wake, rung_in_child);
    hf_wake_add(waiter.wake, hf_str_of(topic));
    report(&waiter);
    return hf_loop_run(loop);
}

static inline pid_t start_sleeper(const char *topic, const char *mode,
                                  int *out_fd, struct report *first)
{
    int told[2];
    pid_t pid;

    assert_int_equal(pipe(told), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)dup2(told[1], STDOUT_FILENO);
        (void)close(told[0]);
        (void)close(told[1]);
        (void)execl("/proc/self/exe", "test_wake", "sleeper", f.path, topic,
                    mode, (char *)NULL);
        _exit(1);
    }
    assert_int_equal(close(told[1]), 0);
    *out_fd = told[0];
    assert_int_equal(read(told[0], first, sizeof(*first)), sizeof(*first));
    return pid;
}

static inline void reap(pid_t pid, int fd)
{
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_int_equal(close(fd), 0);
}

/* Reads reports until one names this head; false after `ms`. */
static inline bool reports(int fd, uint64_t head, int ms, struct report *out)
{
    int64_t end_ms = hf_boot_ms() + ms;
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};

    while (hf_boot_ms() < end_ms) {
        /* our own loop too, where a waiter of ours may be the watcher */
        assert_int_equal(hf_loop_turn(loop, 1), 0);
        if (poll(&poll_fd, 1, 1) == 1 &&
            read(fd, out, sizeof(*out)) == sizeof(*out) && out->head >= head)
            return true;
    }
    return false;
}

static inline int wake_set_up(void **state)
{
    return fixture_set_up(state) || hf_loop_new(&loop);
}

static inline int wake_tear_down(void **state)
{
    hf_loop_free(loop);
    return fixture_tear_down(state);
}

#endif
