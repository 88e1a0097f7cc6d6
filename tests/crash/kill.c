/*
 * kill - a writer is killed with -9 again and again; what was acknowledged?
 *
 *     kill [ROUNDS]      default 25
 *
 * One process publishes through the writer thread, each message with a key and,
 * in the same job, a frame of a session; it tells us what was acknowledged. It
 * is killed at a random moment and started again, and then first repeats what
 * it had no answer for. A second process follows the journal all the time. At
 * the end, of all rounds together:
 *
 *   - every acknowledged message is in the journal, under the id it was told
 *   - no message is there twice, though each was sent until it was acknowledged
 *   - a message and its frame are both there or neither
 *   - the follower saw exactly the rows that are there, in order
 *   - the file is sound, the epoch is the same, and the next id is a new one
 */
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crypto.h"
#include "schema/sessions.h"
#include "schema/wake.h"
#include "schema/writer.h"

#define TOPICS 7u
#define MAX_MESSAGES 400000u
#define UNDER_WAY    20u

/* Survives the killed, because we hold it too. */
struct shared {
    _Atomic uint32_t next;        /* first message never sent */
    _Atomic uint32_t ready;       /* the writer of this round is at work */
    uint64_t id_of[MAX_MESSAGES]; /* as acknowledged; 0 = not */
    _Atomic uint64_t followed;    /* rows seen by the follower */
    uint64_t seen[MAX_MESSAGES];  /* their ids, in the order of arrival */
    _Atomic uint64_t cursor;
    _Atomic bool last_round; /* the writer ends by itself */
    _Atomic bool stop;
    uint64_t epoch;
};

static struct shared *shared;
static char path[] = "/tmp/holdfast-crash.XXXXXX";
static struct hf_dir dir;
static struct hf_settings settings;
static struct hf_loop *loop;

static _Noreturn void die(const char *what, const struct hf_why *why)
{
    printf("Bail out! %s: %s\n", what, why ? why->text : "failed");
    (void)fflush(stdout);
    _exit(1);
}

static void open_dir(void)
{
    struct hf_why why = {""};

    hf_settings_default(&settings);
    if (hf_dir_open(&dir, path, &why) || hf_loop_new(&loop))
        die("open", &why);
}

/* --- the writer that is killed ------------------------------------------- */

struct push {
    struct hf_job job;
    uint32_t number;
    uint64_t id;
};

static struct hf_writer *writer;
static unsigned under_way;
static uint32_t again; /* from here on: what had no answer, then new ones */

static int run(struct hf_job *job, struct hf_journal *journal)
{
    struct push *push = HF_ITEM(job, struct push, job);
    char topic[16], key[16], payload[32];
    struct hf_publish message = {.event = HF_STR("e"),
                                 .publisher = HF_STR("crash")};
    uint64_t frame;
    bool repeated;
    int err;

    (void)snprintf(topic, sizeof(topic), "t%u", push->number % TOPICS);
    (void)snprintf(key, sizeof(key), "%u", push->number);
    (void)snprintf(payload, sizeof(payload), "{\"n\":%u}", push->number);
    message.topic = hf_str_of(topic);
    message.key = hf_str_of(key);
    message.payload = hf_str_of(payload);
    err = hf_journal_append(journal, &message, &push->id, &repeated);
    if (err || repeated)
        return err;
    err = hf_journal_draw(journal, &frame);
    if (!err)
        err = hf_frame_add(journal, HF_STR("session"), frame, message.payload);
    return err;
}

static bool next_number(uint32_t *out)
{
    while (again < shared->next && shared->id_of[again] != 0)
        again++;
    if (again < shared->next) {
        *out = again++;
        return true;
    }
    *out = shared->next++;
    again = shared->next;
    return *out < MAX_MESSAGES;
}

static void send(struct push *push)
{
    if (!next_number(&push->number))
        return;
    if (hf_writer_submit(writer, &push->job))
        die("submit", NULL);
    under_way++;
}

static void done(struct hf_job *job, int err)
{
    struct push *push = HF_ITEM(job, struct push, job);

    if (err)
        die("a push failed", NULL);
    shared->id_of[push->number] = push->id;
    under_way--;
    if (!shared->last_round)
        send(push);
    else if (under_way == 0)
        _exit(0);
}

static void write_on(void)
{
    static struct push pushes[UNDER_WAY];
    struct hf_why why = {""};
    unsigned i;

    open_dir();
    if (hf_writer_open(loop, &dir, &settings, &writer, &why))
        die("writer", &why);
    shared->ready = 1;
    for (i = 0; i < UNDER_WAY; i++) {
        pushes[i].job = (struct hf_job){.run = run, .done = done};
        send(&pushes[i]);
    }
    (void)hf_loop_run(loop);
    _exit(1);
}

/* --- the follower -------------------------------------------------------- */

static struct hf_journal *journal;

static int note(void *ctx, const struct hf_row *row)
{
    (void)ctx;
    if (shared->followed < MAX_MESSAGES)
        shared->seen[shared->followed++] = row->id;
    return 0;
}

static void grown(void *ctx)
{
    uint64_t last;
    bool more = true;

    (void)ctx;
    while (more) {
        if (hf_journal_read(journal, shared->cursor, 500, 1 << 20, note, NULL,
                            &last, &more))
            die("read", NULL);
        shared->cursor = last;
    }
}

static void follow(void)
{
    struct hf_why why = {""};
    struct hf_wake *wake;
    char topic[16];
    unsigned i;

    open_dir();
    if (hf_journal_open(&dir, &settings, HF_JOURNAL_READ, &journal, &why) ||
        hf_wake_new(loop, &dir, journal, grown, NULL, &wake))
        die("follower", &why);
    for (i = 0; i < TOPICS; i++) {
        (void)snprintf(topic, sizeof(topic), "t%u", i);
        hf_wake_add(wake, hf_str_of(topic));
    }
    shared->ready = 1;
    while (!shared->stop)
        (void)hf_loop_turn(loop, 100);
    grown(NULL);
    hf_wake_free(wake);
    hf_journal_close(journal);
    _exit(0);
}

/* --- rounds -------------------------------------------------------------- */

static pid_t start(void (*program)(void))
{
    pid_t pid;

    (void)fflush(stdout);
    shared->ready = 0;
    pid = fork();
    if (pid < 0)
        die("fork", NULL);
    if (pid == 0)
        program();
    while (!shared->ready)
        (void)usleep(500);
    return pid;
}

static void one_round(void)
{
    pid_t pid = start(write_on);
    unsigned short random;
    int status;

    if (hf_random(&random, sizeof(random)))
        die("random", NULL);
    (void)usleep(1000 + random % 50000);
    if (kill(pid, SIGKILL) < 0 || waitpid(pid, &status, 0) != pid ||
        !WIFSIGNALED(status))
        die("the writer ended by itself", NULL);
}

/*
 * A writer killed between its last write to the WAL and making it visible
 * leaves a transaction that nobody was told of. The next commit writes over
 * it, or, when the file is opened with nobody else there, it comes to light:
 * both are right, but then the follower must still be there to see it. So the
 * last writer is not killed.
 */
static void last_round(void)
{
    pid_t pid;
    int status;

    shared->last_round = true;
    pid = start(write_on);
    if (waitpid(pid, &status, 0) != pid || status != 0)
        die("the last writer failed", NULL);
}

/* --- what is left -------------------------------------------------------- */

static sqlite3 *db;
static unsigned tests, failed;

static void test(bool passed, const char *sentence)
{
    printf("%sok %u - %s\n", passed ? "" : "not ", ++tests, sentence);
    failed += !passed;
}

static int64_t number(const char *sql)
{
    sqlite3_stmt *stmt;
    int64_t value;

    if (sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) ||
        sqlite3_step(stmt) != SQLITE_ROW)
        die(sqlite3_errmsg(db), NULL);
    value = sqlite3_column_int64(stmt, 0);
    (void)sqlite3_finalize(stmt);
    return value;
}

/* Acknowledged messages that are not where they were said to be. */
static unsigned count_lost(unsigned *out_acknowledged)
{
    sqlite3_stmt *stmt;
    unsigned i, lost = 0;

    *out_acknowledged = 0;
    if (sqlite3_prepare_v2(db,
                           "SELECT 1 FROM messages WHERE id = ?1 AND"
                           " key = CAST(?2 AS TEXT) AND"
                           " payload = '{\"n\":' || ?2 || '}'",
                           -1, &stmt, NULL))
        die(sqlite3_errmsg(db), NULL);
    for (i = 0; i < shared->next && i < MAX_MESSAGES; i++) {
        if (shared->id_of[i] == 0)
            continue;
        (*out_acknowledged)++;
        (void)sqlite3_bind_int64(stmt, 1, (sqlite3_int64)shared->id_of[i]);
        (void)sqlite3_bind_int64(stmt, 2, i);
        lost += sqlite3_step(stmt) != SQLITE_ROW;
        (void)sqlite3_reset(stmt);
    }
    (void)sqlite3_finalize(stmt);
    return lost;
}

/* Rows that the follower saw otherwise than they stand in the journal. */
static unsigned count_unlike(void)
{
    sqlite3_stmt *stmt;
    unsigned unlike = 0;
    uint64_t at = 0;

    if (sqlite3_prepare_v2(db, "SELECT id FROM messages ORDER BY id", -1, &stmt,
                           NULL))
        die(sqlite3_errmsg(db), NULL);
    while (sqlite3_step(stmt) == SQLITE_ROW) {
        uint64_t id = (uint64_t)sqlite3_column_int64(stmt, 0);

        unlike += at >= shared->followed || shared->seen[at] != id;
        at++;
    }
    (void)sqlite3_finalize(stmt);
    return unlike + (shared->followed != at);
}

static void judge(void)
{
    struct hf_why why = {""};
    unsigned acknowledged, lost;
    char file[PATH_MAX];
    uint64_t head = 0;

    open_dir();
    (void)hf_dir_file(&dir, HF_FILE_JOURNAL, file, sizeof(file));
    if (sqlite3_open(file, &db))
        die("sqlite3_open", NULL);
    lost = count_lost(&acknowledged);
    printf("# %u sent, %u acknowledged, %" PRId64 " in the journal\n",
           shared->next, acknowledged, number("SELECT count(*) FROM messages"));
    test(acknowledged > 100, "there was something to lose");
    test(lost == 0, "every acknowledged message is there, under its id");
    test(number("SELECT count(*) = count(DISTINCT key) FROM messages") == 1,
         "no message is there twice");
    test(number("SELECT count(*) FROM messages") ==
                 number("SELECT count(*) FROM frames") &&
             number("SELECT count(*) FROM messages m WHERE NOT EXISTS"
                    " (SELECT 1 FROM frames WHERE id = m.id + 1"
                    " AND text = m.payload)") == 0,
         "a message and its frame are both there or neither");
    test(count_unlike() == 0, "the follower saw just the rows that are there");
    test(number("SELECT count(*) = 1 AND max(integrity_check) = 'ok'"
                " FROM pragma_integrity_check") == 1,
         "the file is sound");
    if (hf_journal_open(&dir, &settings, HF_JOURNAL_READ, &journal, &why) ||
        hf_journal_head(journal, &head))
        die("open", &why);
    test(hf_journal_epoch(journal) == shared->epoch, "the epoch is the same");
    test((int64_t)head >= number("SELECT max(max(id),"
                                 " (SELECT max(id) FROM frames))"
                                 " FROM messages"),
         "the next id is a new one");
    hf_journal_close(journal);
    (void)sqlite3_close(db);
}

static void prepare(void)
{
    struct hf_why why = {""};
    bool existed;

    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED || !mkdtemp(path))
        die("memory or directory", NULL);
    if (hf_dir_init(path, NULL, &existed, &why))
        die("init", &why);
    open_dir();
    if (hf_journal_open(&dir, &settings, HF_JOURNAL_READ, &journal, &why))
        die("open", &why);
    shared->epoch = hf_journal_epoch(journal);
    hf_journal_close(journal);
    hf_loop_free(loop);
    hf_dir_close(&dir);
}

int main(int argc, char **argv)
{
    long rounds = argc > 1 ? strtol(argv[1], NULL, 10) : 25;
    char command[64];
    pid_t follower;
    int status;
    long i;

    prepare();
    follower = start(follow);
    for (i = 0; i < rounds && shared->next < MAX_MESSAGES - 1000; i++)
        one_round();
    last_round();
    (void)usleep(700000); /* a backstop's time, for what was never rung */
    shared->stop = true;
    if (waitpid(follower, &status, 0) != follower || status != 0)
        die("the follower failed", NULL);
    judge();
    printf("1..%u\n", tests);
    (void)snprintf(command, sizeof(command), "rm -rf '%s'", path);
    return system(command) || failed > 0;
}
