/*
 * power_load.c - the process whose power is cut: our writer, a reader, scripts
 */
#include "tests/crash/power.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/loop.h"
#include "schema/writer.h"
#include "tests/vfs/shim.h"

#define UNDER_WAY 12u

static struct {
    const struct round *round;
    const char *image;
    int tell, go_on;
    uint64_t random;
    unsigned left; /* cuts */
} work;

static struct hf_dir dir;
static struct hf_settings settings;
static struct hf_loop *loop;
static struct hf_journal *reader;
static struct hf_writer *writer;
static char file[PATH_MAX];

/* --- the cuts ------------------------------------------------------------- */

static void cut(void *ctx)
{
    (void)ctx;
    /* Whatever was acknowledged till now was synced before. */
    memcpy(&shared->at_cut, &shared->now, sizeof(shared->now));
}

static void plan_next(void);

static void made(void *ctx)
{
    char go;

    (void)ctx;
    if (write(work.tell, "c", 1) != 1)
        _exit(1);
    if (--work.left == 0)
        _exit(0);
    if (read(work.go_on, &go, 1) != 1)
        _exit(1);
    plan_next();
}

static void plan_next(void)
{
    /* How many of a class pass before the cut: so that it may hit any of a
     * checkpoint's writes, and several checkpoints. */
    static const unsigned within[DISK_MOMENTS] = {
        [DISK_ANY] = 900,     [DISK_WAL_WRITE] = 600, [DISK_WAL_RESTART] = 1,
        [DISK_WAL_SYNC] = 80, [DISK_MAIN_WRITE] = 90, [DISK_MAIN_SYNC] = 1,
        [DISK_TRUNCATE] = 1,  [DISK_NAME] = 2};
    struct disk_plan plan = {.image = work.image, .cut = cut, .made = made};

    plan.moment = (enum disk_moment)(disk_random(&work.random) % DISK_MOMENTS);
    plan.nth = 1 + disk_random(&work.random) % within[plan.moment];
    plan.at_latest = 2500;
    if (work.round->soon) {
        plan.moment = DISK_ANY;
        plan.nth = 1 + disk_random(&work.random) % 90;
    }
    plan.fate = (enum disk_fate)(disk_random(&work.random) % DISK_FATES);
    plan.seed = disk_random(&work.random);
    shared->moment = plan.moment;
    disk_plan(&plan);
}

/* --- our publishers ------------------------------------------------------- */

struct push {
    struct hf_job job;
    uint32_t n;
    struct message message;
    uint64_t id;
};

static int run(struct hf_job *job, struct hf_journal *journal)
{
    struct push *push = HF_ITEM(job, struct push, job);
    struct hf_publish publish = {.topic = hf_str_of(push->message.topic),
                                 .event = HF_STR("e"),
                                 .payload = hf_str_of(push->message.payload),
                                 .key = hf_str_of(push->message.key)};
    bool repeated;

    if (publish.key.len > 0)
        publish.publisher = HF_STR("power");
    return hf_journal_append(journal, &publish, &push->id, &repeated);
}

static bool send(struct push *push)
{
    push->n = shared->now.next++;
    if (push->n >= MESSAGES)
        power_die("load", "more messages than there is room for");
    power_message(push->n, &push->message);
    push->job.item.cost = strlen(push->message.payload);
    return hf_writer_submit(writer, &push->job) == 0;
}

static void done(struct hf_job *job, int err)
{
    struct push *push = HF_ITEM(job, struct push, job);
    struct fact *fact = &shared->now.messages[push->n];

    if (err && err != HF_EBUSY)
        power_die("publish", hf_strerror(err));
    if (!err) {
        fact->id = push->id;
        fact->promise = work.round->durability == HF_DURABILITY_FULL
                            ? PROMISED
                            : PROMISED_UNLESS_CUT;
        power_learnt(&shared->now, push->id);
    }
    if (!send(push))
        power_die("submit", "the queue is full");
}

/* --- a reader ------------------------------------------------------------- */

static uint64_t cursor;

static int see(void *ctx, const struct hf_row *row)
{
    unsigned n = MESSAGES;

    (void)ctx;
    if (sscanf(row->payload.at, "{\"n\":%u,", &n) != 1 || n >= MESSAGES)
        power_die("reader", "a message nobody has sent");
    shared->now.messages[n].id = row->id;
    shared->now.messages[n].seen = 1;
    power_learnt(&shared->now, row->id);
    return 0;
}

static void read_on(void)
{
    uint64_t head;
    bool more = true;

    while (more)
        if (hf_journal_read(reader, cursor, 200, 1 << 20, see, NULL, &cursor,
                            &more))
            power_die("reader", "cannot read");
    /* As a join without a cursor does: it begins here. */
    if (hf_journal_head(reader, &head))
        power_die("reader", "no head");
    power_learnt(&shared->now, head);
}

/* --- scripts -------------------------------------------------------------- */

static sqlite3 *open_script(void)
{
    static const char *const sync[] = {"", "PRAGMA synchronous = FULL",
                                       "PRAGMA synchronous = NORMAL",
                                       "PRAGMA synchronous = OFF"};
    sqlite3 *db;

    if (sqlite3_open(file, &db) || sqlite3_busy_timeout(db, 10000) ||
        sqlite3_exec(db, sync[work.round->foreign], NULL, NULL, NULL))
        power_die("script", "cannot open");
    return db;
}

static void close_script(sqlite3 *db)
{
    if (sqlite3_close(db))
        power_die("script", sqlite3_errmsg(db));
}

static enum promise promise_of_script(void)
{
    bool full = work.round->foreign == FOREIGN_FULL || work.round->control;

    return full ? PROMISED : PROMISED_UNLESS_CUT;
}

static void script_insert(sqlite3 *db)
{
    static _Thread_local struct message message;
    uint32_t n = shared->now.next++;
    struct fact *fact = &shared->now.messages[n];
    sqlite3_stmt *stmt;
    int code;

    if (n >= MESSAGES)
        power_die("script", "more messages than there is room for");
    fact->foreign = 1;
    power_message(n, &message);
    if (sqlite3_prepare_v2(db,
                           "INSERT INTO messages (topic, event, payload,"
                           " publisher, key) VALUES (?1, 'e', ?2,"
                           " iif(?3 = '', NULL, 'power'), nullif(?3, ''))",
                           -1, &stmt, NULL))
        power_die("script", sqlite3_errmsg(db));
    (void)sqlite3_bind_text(stmt, 1, message.topic, -1, SQLITE_STATIC);
    (void)sqlite3_bind_text(stmt, 2, message.payload, -1, SQLITE_STATIC);
    (void)sqlite3_bind_text(stmt, 3, message.key, -1, SQLITE_STATIC);
    code = sqlite3_step(stmt);
    if (code != SQLITE_DONE && code != SQLITE_BUSY)
        power_die("script", sqlite3_errmsg(db));
    if (code == SQLITE_DONE) {
        uint64_t id = (uint64_t)sqlite3_last_insert_rowid(db);

        fact->id = id;
        fact->promise = (unsigned char)promise_of_script();
        power_learnt(&shared->now, id);
    }
    (void)sqlite3_finalize(stmt);
}

/* A script that keeps the newest few hundred. */
static void script_delete(sqlite3 *db)
{
    uint64_t end = shared->now.highest;
    char sql[96];

    if (end < shared->now.deleted + 400)
        return;
    end -= 300;
    shared->now.delete_end = end;
    (void)snprintf(sql, sizeof(sql), "DELETE FROM messages WHERE id <= %llu",
                   (unsigned long long)end);
    if (sqlite3_exec(db, sql, NULL, NULL, NULL))
        return; /* busy: it may have been asked for all the same */
    if (promise_of_script() == PROMISED)
        shared->now.deleted = end;
}

static void *script(void *arg)
{
    uint64_t random = work.round->seed ^ 0x5c;
    sqlite3 *db = open_script();

    (void)arg;
    for (;;) {
        uint64_t what = disk_random(&random);

        if (what % 64 == 0) { /* a script ends, another one starts */
            close_script(db);
            db = open_script();
        } else if (what % 8 == 1 && work.round->deletes) {
            script_delete(db);
        } else {
            script_insert(db);
        }
        (void)usleep((useconds_t)(what >> 32) % 300);
    }
    return NULL;
}

/* With nobody else there the last close checkpoints and removes the WAL. */
static void scripts_alone(void)
{
    unsigned i, k;

    for (i = 0; i < 4; i++) {
        sqlite3 *db = open_script();

        for (k = 0; k < 3; k++)
            script_insert(db);
        if (i == 2)
            (void)sqlite3_exec(db, "PRAGMA wal_checkpoint(TRUNCATE)", NULL,
                               NULL, NULL);
        close_script(db);
    }
}

/* --- the process ---------------------------------------------------------- */

static void open_all(const char *directory)
{
    struct hf_why why = {""};

    hf_settings_default(&settings);
    settings.durability = work.round->durability;
    if (hf_dir_open(&dir, directory, &why) || hf_loop_new(&loop) ||
        hf_dir_file(&dir, HF_FILE_JOURNAL, file, sizeof(file)))
        power_die("open", why.text);
    if (work.round->scripts_first && work.round->foreign != FOREIGN_NONE)
        scripts_alone();
    if (hf_writer_open(loop, &dir, &settings, &writer, &why) ||
        hf_journal_open(&dir, &settings, HF_JOURNAL_READ, &reader, &why))
        power_die("open", why.text);
    shared->now.epoch = hf_journal_epoch(reader);
}

_Noreturn void power_load(const struct round *round, const char *directory,
                          const char *image, int tell, int go_on)
{
    static struct push pushes[UNDER_WAY];
    pthread_t thread;
    unsigned i;

    work.round = round;
    work.image = image;
    work.tell = tell;
    work.go_on = go_on;
    work.random = round->seed;
    work.left = round->cuts;
    power_boot(round->boot);
    disk_begin(directory);
    plan_next();
    open_all(directory);
    read_on();
    for (i = 0; i < UNDER_WAY && !round->control; i++) {
        pushes[i].job = (struct hf_job){.run = run, .done = done};
        (void)send(&pushes[i]);
    }
    if (round->foreign != FOREIGN_NONE &&
        pthread_create(&thread, NULL, script, NULL))
        power_die("thread", "cannot start");
    for (;;) {
        (void)hf_loop_turn(loop, 1);
        read_on();
    }
}
