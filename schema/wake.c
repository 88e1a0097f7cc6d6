#include "schema/wake.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/sys.h"
#include "schema/journal_impl.h"
#include "schema/keen.h"
#include "schema/sessions.h"

/*
 * The watcher's ladder. The event of a commit comes before the commit is
 * visible, by the time of a sync. So it looks at once, and then again and
 * again, until the backstop takes over. A new event starts the ladder anew;
 * finding rows does not end it, for they may be those of the commit before.
 *
 * While a foreign commit is due it is *keen* (keen.h). Otherwise steps double:
 * 50 us, 100, 200. So it is once rows were found. When the event comes from a
 * publisher of ours, who will ring, the first step is so long that mostly there
 * is nothing left to find.
 */
#define KEEN_TURN_US    30  /* without sleep, in one turn of the loop */
#define KEEN_LOOK_US    200 /* in between, only glances */
#define LADDER_FIRST_US 50
#define LADDER_RUNG_US  2000
#define LADDER_LAST_US  (HF_WAKE_BACKSTOP_MS * 1000)

/* A commit that was begun longer ago is visible by now, mostly. */
#define LATELY_MS 1000

/* So many processes look at the same moment, see arm_backstop. */
#define BACKSTOP_GROUP  32
#define BACKSTOP_GROUPS (HF_BELL_SLOTS / BACKSTOP_GROUP + 1)

/* What the watcher reads at most to learn whom to ring; beyond it, all. */
#define RING_PAGE  512u
#define RING_PAGES 8u

#define REPEAT_LOG_MS 60000

/* The names that are waited for here. Beyond those that `hashes` holds they are
 * counted by bucket only, and `unlisted` says how many there are; with none the
 * list is whole. */
struct waited {
    size_t total;
    size_t in_bucket[64];
    size_t unlisted;
    uint32_t count;
    uint64_t hashes[HF_BELL_SLOT_NAMES];
};

enum source { BY_BELL, BY_EYE, BY_BACKSTOP };

struct hf_wake {
    struct hf_loop *loop;
    struct hf_dir dir; /* our own descriptor */
    struct hf_journal *journal;
    void (*grown)(void *ctx);
    void (*on_ring)(void *ctx); /* rung, and not grown; may be NULL */
    void *ctx;

    struct hf_bell *bell;
    struct waited waited;
    bool started; /* else all below is idle */
    bool has_slot;
    bool wordy;           /* sleep on a word while there is nothing else */
    struct hf_watch rung; /* the slot's socket; fd -1 = none */
    struct hf_word word;  /* the slot's; at NULL = none */
    struct hf_timer backstop;
    unsigned backstops; /* since the last thorough one */

    int watcher_fd;       /* file `watcher`, flocked by who is it; or -1 */
    bool nobody_watches;  /* there is no inotify to be had */
    struct hf_watch eyes; /* inotify; fd -1 = not the watcher */
    struct hf_timer ladder;
    int queue_fd;      /* file `writers`: is one of ours writing? Or -1 */
    int64_t event_us;  /* when the ladder began */
    int64_t first_us;  /* and its first step, unless keen */
    bool due;          /* a foreign commit; be keen */
    bool sleepless;    /* in this turn */
    int64_t looked_us; /* the whole way, for nothing but to know it */
    struct hf_keen keen;

    int64_t logged_ms;  /* last complaint about the journal */
    bool told_replaced; /* that its files were replaced */
    struct hf_wake_counts counts;
};

/* --- names --------------------------------------------------------------- */

static void waited_add(struct waited *waited, uint64_t hash)
{
    waited->total++;
    waited->in_bucket[hf_bell_bucket(hash)]++;
    if (waited->count < HF_BELL_SLOT_NAMES)
        waited->hashes[waited->count++] = hash;
    else
        waited->unlisted++;
}

static void waited_drop(struct waited *waited, uint64_t hash)
{
    uint32_t i;

    waited->total--;
    waited->in_bucket[hf_bell_bucket(hash)]--;
    for (i = 0; i < waited->count; i++) {
        if (waited->hashes[i] == hash) {
            waited->hashes[i] = waited->hashes[--waited->count];
            return;
        }
    }
    waited->unlisted--;
}

static void listen_to(struct hf_wake *wake)
{
    const struct waited *waited = &wake->waited;
    struct hf_bell_names names = {.more = waited->unlisted > 0};
    unsigned n;

    for (n = 0; n < 64; n++) {
        if (waited->in_bucket[n] > 0)
            names.buckets |= UINT64_C(1) << n;
    }
    for (; names.count < waited->count; names.count++)
        names.hashes[names.count] = waited->hashes[names.count];
    hf_bell_listen(wake->bell, &names);
}

/* --- whom the watcher rings ---------------------------------------------- */

static int add_topic(void *ctx, const struct hf_row *row)
{
    hf_bell_names_add(ctx, row->topic);
    return 0;
}

static int add_session(void *ctx, uint64_t id, struct hf_str session)
{
    (void)id;
    hf_bell_names_add(ctx, session);
    return 0;
}

static int collect_topics(struct hf_wake *wake, uint64_t after,
                          struct hf_bell_names *names)
{
    bool more = true;
    unsigned page;
    int err = 0;

    for (page = 0; !err && more && page < RING_PAGES; page++)
        err = hf_journal_read_topics(wake->journal, after, RING_PAGE, add_topic,
                                     names, &after, &more);
    if (more)
        hf_bell_names_all(names);
    return err;
}

static int collect_sessions(struct hf_wake *wake, uint64_t after,
                            struct hf_bell_names *names)
{
    bool more = true;
    unsigned page;
    int err = 0;

    for (page = 0; !err && more && page < RING_PAGES; page++)
        err = hf_frames_owners(wake->journal, after, RING_PAGE, add_session,
                               names, &after, &more);
    if (more)
        hf_bell_names_all(names);
    return err;
}

/* In a snapshot: the names of what nobody has rung for, and its end. */
static int collect(struct hf_wake *wake, struct hf_bell_names *names,
                   uint64_t *out_head)
{
    uint64_t rung = hf_bell_rung_through(wake->bell);
    int err;

    err = hf_journal_head(wake->journal, out_head);
    if (err || rung == *out_head)
        return err;
    if (rung > *out_head) { /* another epoch */
        hf_bell_names_all(names);
        return 0;
    }
    err = collect_topics(wake, rung, names);
    if (!err)
        err = collect_sessions(wake, rung, names);
    return err;
}

/* Foreign commits, and those of ours that were killed before they rang. */
static void ring_others(struct hf_wake *wake)
{
    struct hf_bell_names names = {0};
    uint64_t head;
    int err;

    err = hf_journal_snapshot(wake->journal);
    if (err)
        return; /* the look that follows meets the same and reports it */
    err = collect(wake, &names, &head);
    hf_journal_snapshot_end(wake->journal);
    if (err)
        return;
    if (names.buckets)
        hf_bell_ring(wake->bell, &names);
    if (hf_bell_rung_through(wake->bell) != head)
        hf_bell_set_rung(wake->bell, head);
}

/* --- looking ------------------------------------------------------------- */

static void complain(struct hf_wake *wake, int err)
{
    int64_t now_ms = hf_boot_ms();

    if (wake->logged_ms && now_ms - wake->logged_ms < REPEAT_LOG_MS)
        return;
    wake->logged_ms = now_ms;
    HF_LOG(HF_LOG_ERROR, "journal_unreadable",
           hf_field("error", hf_strerror(err)),
           hf_field("hint", "messages are not delivered until it is; "
                            "see earlier lines"));
}

static void count(struct hf_wake *wake, enum source source, bool changed)
{
    switch (source) {
    case BY_BELL:
        if (changed)
            wake->counts.rung++;
        else
            wake->counts.needless++;
        break;
    case BY_EYE: /* a ladder looks in vain by design */
        if (changed)
            wake->counts.noticed++;
        break;
    case BY_BACKSTOP:
        if (changed)
            wake->counts.backstop++;
        break;
    }
}

/* For good: whoever waits must not believe that all is quiet, and who does not
 * watch looks for it seldom. */
static void tell_replaced(struct hf_wake *wake)
{
    struct hf_bell_names names = {0};

    if (wake->told_replaced)
        return;
    wake->told_replaced = true;
    if (hf_wake_watching(wake)) {
        hf_bell_names_all(&names);
        hf_bell_ring(wake->bell, &names);
    }
    wake->grown(wake->ctx);
}

static void cannot_look(struct hf_wake *wake, int err)
{
    /* BUSY passes by itself and is looked at again. */
    if (err != HF_EBUSY)
        complain(wake, err);
    if (err == HF_EREPLACED)
        tell_replaced(wake);
}

/* Are these still the files? What `look` does not ask each time. */
static void look_at_files(struct hf_wake *wake)
{
    int err = hf_journal_check_files(wake->journal);

    if (err)
        cannot_look(wake, err);
}

/* Inside the snapshot that has found it. `grown` may change what we listen to. */
static void tell(struct hf_wake *wake)
{
    /* Others first, who have a way to go; but to find out whom costs as much
     * as to read, and there may be nobody. */
    bool alone = hf_bell_alone(wake->bell);

    if (!alone && hf_wake_watching(wake))
        ring_others(wake);
    if (wake->waited.total > 0)
        wake->grown(wake->ctx);
    if (alone && hf_wake_watching(wake))
        ring_others(wake);
}

/* True if the journal had grown. */
static bool look(struct hf_wake *wake, enum source source)
{
    bool changed = false;
    int err;

    wake->counts.looks++;
    err = hf_journal_snapshot_if_new(wake->journal, &changed);
    if (err) {
        cannot_look(wake, err);
        return false;
    }
    count(wake, source, changed);
    if (!changed)
        return false;
    tell(wake);
    hf_journal_snapshot_end(wake->journal);
    if (hf_wake_watching(wake))
        hf_journal_save_head(wake->journal);
    return true;
}

static bool glance(struct hf_wake *wake)
{
    wake->counts.glances++;
    return hf_journal_stirred(wake->journal) && look(wake, BY_EYE);
}

/* While a commit is due. Glances alone would do, but for this: caches that have
 * lost what a look needs make it twice as long, just when it finds something. So
 * now and then it goes the whole way in vain. */
static bool look_keenly(struct hf_wake *wake)
{
    int64_t now_us = hf_boot_us();

    if (now_us - wake->looked_us >= KEEN_LOOK_US) {
        wake->looked_us = now_us;
        hf_journal_rest(wake->journal); /* a commit takes the pages, too */
    } else if (wake->sleepless) {
        return glance(wake);
    }
    return look(wake, BY_EYE);
}

/* --- the watcher --------------------------------------------------------- */

bool hf_wake_watching(const struct hf_wake *wake)
{
    return wake->eyes.fd >= 0;
}

static int64_t next_step_us(struct hf_wake *wake, int64_t now_us)
{
    int64_t since_us = now_us - wake->event_us;

    if (wake->due)
        return hf_keen_step(&wake->keen, wake->event_us, now_us);
    hf_keen_rest(&wake->keen, now_us);
    return since_us > wake->first_us ? since_us : wake->first_us;
}

static void arm_ladder(struct hf_wake *wake)
{
    int64_t now_us = hf_boot_us();
    int64_t step_us;

    wake->sleepless = false;
    if (now_us - wake->event_us >= LADDER_LAST_US)
        return;
    step_us = next_step_us(wake, now_us);
    wake->sleepless = step_us == 0;
    /* Without memory for a timer the backstop is what is left. */
    (void)hf_loop_arm(wake->loop, &wake->ladder, step_us);
}

static void climb(struct hf_timer *timer)
{
    struct hf_wake *wake = HF_ITEM(timer, struct hf_wake, ladder);
    int64_t until_us = hf_boot_us() + KEEN_TURN_US;
    bool found;

    /* Armed before the look, whose callback may stop all of it. */
    arm_ladder(wake);
    found = wake->due ? look_keenly(wake) : look(wake, BY_EYE);
    while (!found && wake->sleepless && hf_boot_us() < until_us)
        found = glance(wake);
    if (found && wake->due) {
        hf_keen_seen(&wake->keen, wake->event_us, hf_boot_us());
        wake->due = false;
    }
}

static void start_ladder(struct hf_wake *wake, bool due, int64_t first_us)
{
    wake->event_us = hf_boot_us();
    wake->first_us = first_us;
    wake->due = due;
#ifndef HF_BROKEN_REACT_ONCE
    arm_ladder(wake);
#endif
}

/* What an event says. Ours to the neighbours of the journal say nothing. */
struct seen {
    bool written;  /* perhaps a commit */
    bool replaced; /* perhaps: files came or went */
};

static void note_event(const struct inotify_event *event, struct seen *seen)
{
    if (event->mask & IN_Q_OVERFLOW)
        seen->written = seen->replaced = true;
    else if (event->len == 0)
        seen->replaced |= (event->mask & (IN_DELETE_SELF | IN_MOVE_SELF)) != 0;
    else if (event->mask & IN_MODIFY) /* the other: by checkpoints only */
        seen->written |= strcmp(event->name, HF_FILE_JOURNAL "-wal") == 0;
    else
        seen->replaced |= strcmp(event->name, HF_FILE_JOURNAL "-wal") == 0 ||
                          strcmp(event->name, HF_FILE_JOURNAL) == 0;
}

static struct seen read_events(int fd)
{
    char events[4096]
        __attribute__((aligned(__alignof__(struct inotify_event))));
    struct seen seen = {false, false};
    ssize_t len;

    while ((len = read(fd, events, sizeof(events))) > 0) {
        const char *at = events;

        while (at < events + len) {
            const struct inotify_event *event = (const void *)at;

            note_event(event, &seen);
            at += sizeof(*event) + event->len;
        }
    }
    return seen;
}

static void on_event(struct hf_watch *watch, uint32_t events)
{
    struct hf_wake *wake = HF_ITEM(watch, struct hf_wake, eyes);
    struct seen seen = read_events(watch->fd);

    (void)events; /* readable: that is all it can be */
    if (seen.replaced)
        look_at_files(wake);
    if (!seen.written || !hf_wake_watching(wake)) /* the callback left */
        return;
    if (hf_locked(wake->queue_fd, HF_WRITERS_QUEUE, 1)) /* by one of ours */
        start_ladder(wake, false, LADDER_RUNG_US);
    else
        start_ladder(wake, true, LADDER_FIRST_US);
    (void)look(wake, BY_EYE);
}

/* A watch on the directory, not on the WAL, which is made anew at times. No
 * events of opening and closing: each reader that exits would wake us. */
static int open_eyes(const struct hf_dir *dir)
{
    int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);

    if (fd < 0)
        return -1;
    if (inotify_add_watch(fd, dir->path,
                          IN_MODIFY | IN_CREATE | IN_DELETE | IN_MOVED_TO |
                              IN_MOVED_FROM | IN_DELETE_SELF | IN_MOVE_SELF |
                              IN_ONLYDIR) < 0)
        hf_close(&fd);
    return fd;
}

/* The kernel lets each sleep last 50 us longer, so that one wake-up may serve
 * several; steps as short as ours would be twice as long. Of this thread only;
 * SQLite's own short waits are among what it makes exact. */
static void sleep_exactly(bool exactly)
{
    (void)prctl(PR_SET_TIMERSLACK, exactly ? 1UL : 0UL); /* 0: as it was */
}

static void close_eyes(struct hf_wake *wake)
{
    if (wake->eyes.fd >= 0)
        sleep_exactly(false);
    hf_loop_disarm(wake->loop, &wake->ladder);
    if (wake->eyes.fd >= 0)
        hf_loop_unwatch(wake->loop, &wake->eyes);
    hf_close(&wake->eyes.fd);
    hf_close(&wake->queue_fd);
    if (wake->watcher_fd >= 0)
        (void)flock(wake->watcher_fd, LOCK_UN);
}

/* The loop now sleeps on a descriptor, so we have to be rung by one. What came
 * by the word until then is seen in the turn that the ladder makes. */
static void change_to_socket(struct hf_wake *wake)
{
    if (!wake->word.at || wake->rung.fd >= 0 ||
        hf_bell_use_socket(wake->bell, &wake->rung.fd))
        return;
    /* Else bells are heard when something else wakes us. */
    (void)hf_loop_watch(wake->loop, &wake->rung, EPOLLIN);
}

/* Might a commit have begun to be written before we watched? One that takes
 * longer to become visible is found by the backstop. */
static bool written_lately(const struct hf_wake *wake)
{
    int64_t written_ms, now_ms = hf_wall_ms();
    struct stat st;

    if (fstatat(wake->dir.fd, HF_FILE_JOURNAL "-wal", &st,
                AT_SYMLINK_NOFOLLOW) != 0)
        return true;
    written_ms =
        (int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000;
    return written_ms > now_ms - LATELY_MS;
}

/* Become the watcher if there is none. Failing is no error: without inotify
 * (128 instances per user) or with another watcher the backstop remains. */
static void stand_for_election(struct hf_wake *wake)
{
    if (hf_wake_watching(wake))
        return;
    if (wake->watcher_fd < 0)
        wake->watcher_fd = hf_dir_open_file(&wake->dir, HF_FILE_WATCHER);
    if (wake->watcher_fd < 0) {
        wake->watcher_fd = -1;
        return;
    }
    if (flock(wake->watcher_fd, LOCK_EX | LOCK_NB) < 0) {
        wake->nobody_watches = !hf_bell_watched(wake->bell);
        return;
    }
    wake->eyes.fd = open_eyes(&wake->dir);
    wake->nobody_watches = wake->eyes.fd < 0 ||
                           hf_loop_watch(wake->loop, &wake->eyes, EPOLLIN) < 0;
    hf_bell_set_watched(wake->bell, !wake->nobody_watches);
    if (wake->nobody_watches) {
        close_eyes(wake);
        return;
    }
    HF_LOG(HF_LOG_DEBUG, "watching", hf_field("directory", wake->dir.path));
    sleep_exactly(true);
    change_to_socket(wake);
    wake->queue_fd = hf_dir_open_file(&wake->dir, HF_FILE_WRITERS);
    /* What the last watcher left: its events are gone, its commits are not. */
    ring_others(wake);
    hf_journal_save_head(wake->journal);
    /* Looks soon, not now: the caller may be in `grown`. Not at all where nobody
     * writes, for in plain CGI there is a new watcher with every poll. */
    if (written_lately(wake))
        start_ladder(wake, false, LADDER_FIRST_US);
}

/* One successor is enough: should it die on the way, the others find out at
 * their backstop. */
static void resign(struct hf_wake *wake)
{
    if (!hf_wake_watching(wake))
        return;
    hf_bell_set_watched(wake->bell, false);
    close_eyes(wake);
    (void)hf_bell_ring_one(wake->bell);
}

/* --- bell and backstop --------------------------------------------------- */

static void tell_of_ring(struct hf_wake *wake)
{
    if (wake->on_ring && wake->waited.total > 0)
        wake->on_ring(wake->ctx);
}

static void was_rung(struct hf_wake *wake)
{
    /* For nothing? So it may say that the files were replaced. */
    if (!look(wake, BY_BELL))
        look_at_files(wake);
    /* Found or not: rings merge, and this one may be all of it. */
    if (wake->started && !hf_bell_watched(wake->bell))
        stand_for_election(wake);
    tell_of_ring(wake);
}

static void on_bell(struct hf_watch *watch, uint32_t events)
{
    struct hf_wake *wake = HF_ITEM(watch, struct hf_wake, rung);

    (void)events; /* readable: that is all it can be */
    hf_bell_drain(wake->bell);
    was_rung(wake);
}

static void on_word(struct hf_word *word)
{
    was_rung(HF_ITEM(word, struct hf_wake, word));
}

/*
 * By the clock, so that processes look one right behind the other: the first
 * finds cold caches, and the next need less than half of its time. Groups of
 * slots have moments of their own: hundreds at once would delay others.
 */
static void arm_backstop(struct hf_wake *wake)
{
    bool bare = !wake->has_slot || wake->nobody_watches;
    int64_t every_us =
        (bare ? HF_WAKE_BACKSTOP_BARE_MS : HF_WAKE_BACKSTOP_MS) * 1000;
    int64_t group = hf_bell_slot(wake->bell) / BACKSTOP_GROUP;
    int64_t earlier_us = every_us - group * every_us / BACKSTOP_GROUPS;
    int64_t past_us = (hf_boot_us() + earlier_us) % every_us;

    (void)hf_loop_arm(wake->loop, &wake->backstop, every_us - past_us);
}

static void stop(struct hf_wake *wake);

/* Waiting costs what its backstop does, so most of them ask for the data
 * version and nothing else. Now and then also: is the watcher there that said
 * it watches, are these the files, was a bell without rows lost? */
static bool thoroughly(struct hf_wake *wake)
{
    if (++wake->backstops < HF_WAKE_THOROUGH_MS / HF_WAKE_BACKSTOP_MS)
        return false;
    wake->backstops = 0;
    return true;
}

static void on_backstop(struct hf_timer *timer)
{
    struct hf_wake *wake = HF_ITEM(timer, struct hf_wake, backstop);
    bool thorough, missed;

    if (wake->waited.total == 0) {
        stop(wake);
        return;
    }
    arm_backstop(wake);
    thorough = thoroughly(wake);
    if (thorough)
        look_at_files(wake);
    missed = look(wake, BY_BACKSTOP);
    /* Who should have rung is dead, perhaps. */
    if (thorough || missed || !hf_bell_watched(wake->bell))
        stand_for_election(wake);
    if (thorough || missed || !wake->has_slot)
        tell_of_ring(wake);
}

/* --- waiting or not ------------------------------------------------------ */

static bool take_slot(struct hf_wake *wake)
{
    if (wake->wordy) {
        if (hf_bell_claim_word(wake->bell, &wake->word.at))
            return false;
        hf_loop_heed(wake->loop, &wake->word);
        return true;
    }
    if (hf_bell_claim(wake->bell, &wake->rung.fd))
        return false;
    if (hf_loop_watch(wake->loop, &wake->rung, EPOLLIN) == 0)
        return true;
    hf_bell_disclaim(wake->bell);
    wake->rung.fd = -1;
    return false;
}

static void leave_slot(struct hf_wake *wake)
{
    if (!wake->has_slot)
        return;
    if (wake->word.at)
        hf_loop_heed(wake->loop, NULL);
    wake->word.at = NULL;
    if (wake->rung.fd >= 0)
        hf_loop_unwatch(wake->loop, &wake->rung);
    wake->rung.fd = -1;
    hf_bell_disclaim(wake->bell);
    wake->has_slot = false;
}

static void start(struct hf_wake *wake)
{
    bool changed;

    wake->started = true;
    wake->has_slot = take_slot(wake);
    listen_to(wake);
    /* From this state on we tell; an error here comes back at the next look. */
    (void)hf_journal_changed(wake->journal, &changed);
    stand_for_election(wake);
    arm_backstop(wake);
}

static void stop(struct hf_wake *wake)
{
    if (!wake->started)
        return;
    wake->started = false;
    hf_loop_disarm(wake->loop, &wake->backstop);
    leave_slot(wake);
    resign(wake);
    hf_close(&wake->watcher_fd);
}

void hf_wake_without_descriptors(struct hf_wake *wake)
{
    assert(!wake->started);
    wake->wordy = true;
}

void hf_wake_start(struct hf_wake *wake)
{
    if (!wake->started)
        start(wake);
}

void hf_wake_add(struct hf_wake *wake, struct hf_str name)
{
    waited_add(&wake->waited, hf_bell_hash(name));
    if (wake->started)
        listen_to(wake);
    else
        start(wake);
}

void hf_wake_drop(struct hf_wake *wake, struct hf_str name)
{
    waited_drop(&wake->waited, hf_bell_hash(name));
    listen_to(wake);
}

void hf_wake_ring(struct hf_wake *wake, struct hf_str name)
{
    struct hf_bell_names names = {0};

    hf_bell_names_add(&names, name);
    hf_bell_ring(wake->bell, &names);
}

void hf_wake_on_ring(struct hf_wake *wake, void (*rung)(void *ctx))
{
    wake->on_ring = rung;
}

struct hf_wake_counts hf_wake_counts(const struct hf_wake *wake)
{
    return wake->counts;
}

int hf_wake_new(struct hf_loop *loop, const struct hf_dir *dir,
                struct hf_journal *journal, void (*grown)(void *ctx), void *ctx,
                struct hf_wake **out)
{
    struct hf_wake *wake = calloc(1, sizeof(*wake));
    int err;

    if (!wake)
        return HF_ENOMEM;
    wake->loop = loop;
    wake->journal = journal;
    wake->grown = grown;
    wake->ctx = ctx;
    wake->watcher_fd = wake->eyes.fd = wake->rung.fd = wake->queue_fd = -1;
    wake->eyes.ready = on_event;
    wake->rung.ready = on_bell;
    wake->word.changed = on_word;
    wake->ladder.fire = climb;
    wake->backstop.fire = on_backstop;
    err = hf_dir_copy(dir, &wake->dir);
    if (!err)
        err = hf_bell_open(dir, &wake->bell);
    if (err) {
        hf_wake_free(wake);
        return err;
    }
    *out = wake;
    return 0;
}

static void tell_counts(const struct hf_wake *wake)
{
    const struct hf_wake_counts *counts = &wake->counts;

    HF_LOG(HF_LOG_DEBUG, "waited",
           hf_field_i("looks", (long long)counts->looks),
           hf_field_i("rung", (long long)counts->rung),
           hf_field_i("noticed", (long long)counts->noticed),
           hf_field_i("backstop", (long long)counts->backstop),
           hf_field_i("needless", (long long)counts->needless));
}

void hf_wake_free(struct hf_wake *wake)
{
    if (!wake)
        return;
    if (wake->started)
        tell_counts(wake);
    stop(wake);
    hf_bell_close(wake->bell);
    hf_dir_close(&wake->dir);
    free(wake);
}
