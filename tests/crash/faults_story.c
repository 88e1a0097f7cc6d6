/*
 * faults_story.c - append and tail, told so that any call may fail once
 */
#include "tests/crash/faults.h"

#include <sqlite3.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "channel/cursor.h"
#include "channel/hub.h"
#include "channel/session.h"
#include "schema/db.h"
#include "schema/failed.h"
#include "schema/policies.h"
#include "schema/retention.h"

#define TOPIC     "room:a"
#define FIRST_NEW 1000u /* numbers of messages of the story */
#define NEW       32u

#define AFTER_REMOVAL 17u /* of these; the first that is not removed */
#define TRIES         4
#define WAIT_MS       6000

static struct hf_loop *loop;
static struct hf_process process;
static struct hf_hub *hub;
static bool trimmed; /* the old rows are gone */

/* --- what is published, and what was said of it --------------------------- */

enum answer { UNSENT, ACCEPTED, REFUSED, UNKNOWN };

struct published {
    enum answer answer;
    uint64_t id; /* 0 = not told */
};

static struct published published[NEW];

struct push {
    struct hf_job job;
    unsigned n;
    uint64_t id;
    bool repeated;
    int err;
    bool done;
    bool too_late; /* sent when a sync was lost already */
};

static void fill(unsigned n, struct hf_publish *out, char payload[48],
                 char key[16])
{
    (void)snprintf(payload, 48, "{\"n\":%u}", n);
    (void)snprintf(key, 16, "%u", n);
    *out = (struct hf_publish){.topic = HF_STR(TOPIC),
                               .event = HF_STR("e"),
                               .payload = hf_str_of(payload)};
    if (n % 2 == 0) {
        out->publisher = HF_STR("story");
        out->key = hf_str_of(key);
    }
}

static int run(struct hf_job *job, struct hf_journal *journal)
{
    struct push *push = HF_ITEM(job, struct push, job);
    struct hf_publish publish;
    char payload[48], key[16];

    fill(push->n, &publish, payload, key);
    return hf_journal_append(journal, &publish, &push->id, &push->repeated);
}

static void done(struct hf_job *job, int err)
{
    struct push *push = HF_ITEM(job, struct push, job);

    push->err = err;
    push->done = true;
}

/* --- clients -------------------------------------------------------------- */

struct client {
    const char *name;
    struct hf_link link;
    struct hf_session *session;
    bool woken, closed, joined, gap;
    char cursor[HF_CURSOR_MAX + 1]; /* where it goes on; "" = from now */
    uint64_t last;                  /* id it has seen last */
    bool old[OLD_ROWS + 1];
    bool got[NEW];
    unsigned old_count;
};

static struct client live = {.name = "live"};
static struct client late = {.name = "late"};
static struct client stale = {.name = "stale"};

static void woken(struct hf_link *link)
{
    HF_ITEM(link, struct client, link)->woken = true;
}

static void closed(struct hf_link *link, int code)
{
    (void)code;
    HF_ITEM(link, struct client, link)->closed = true;
}

static void leave(struct client *c)
{
    if (c->session)
        hf_session_detach(c->session);
    c->session = NULL;
    c->woken = c->closed = c->joined = false;
}

static void hear_row(struct client *c, const char *cursor, unsigned n)
{
    bool *seen = n <= OLD_ROWS ? &c->old[n] : &c->got[n - FIRST_NEW];
    struct hf_cursor at;

    if (hf_cursor_parse(hf_str_of(cursor), &at))
        fault_bad("%s: a row with cursor %s", c->name, cursor);
    if (*seen)
        fault_bad("%s has message %u twice", c->name, n);
    if (at.id <= c->last)
        fault_bad("%s: message %u is out of order", c->name, n);
    c->last = at.id;
    *seen = true;
    c->old_count += n <= OLD_ROWS;
    (void)snprintf(c->cursor, sizeof(c->cursor), "%s", cursor);
}

static void hear(struct client *c, const char *text)
{
    char cursor[HF_CURSOR_MAX + 1];
    const char *at;
    unsigned n;

    if (sscanf(text, "[\"1\",\"%40[^\"]\",\"" TOPIC "\",\"e\",{\"n\":%u",
               cursor, &n) == 2) {
        hear_row(c, cursor, n);
    } else if (strstr(text, "phx_error") || strstr(text, "\"error\"")) {
        if (strncmp(text, "[\"1\",\"p", 7) == 0)
            return;       /* a push was refused, the membership goes on */
        c->closed = true; /* joins again */
    } else if ((at = strstr(text, "{\"cursor\":\"")) != NULL) {
        c->joined = true;
        if (strstr(text, "\"gap\"")) {
            c->gap = true;
            (void)sscanf(at + 11, "%40[^\"]", c->cursor);
        } else if (!c->cursor[0]) {
            (void)sscanf(at + 11, "%40[^\"]", c->cursor);
        }
    }
}

static void take(struct client *c)
{
    struct hf_msg *msgs[32];
    char text[4096];
    size_t n, i;

    if (!c->session || !c->woken)
        return;
    while ((n = hf_session_take(c->session, msgs, 32, 65536)) > 0) {
        for (i = 0; i < n; i++) {
            (void)snprintf(text, sizeof(text), "%.*s", (int)msgs[i]->len,
                           msgs[i]->text);
            hf_msg_unref(msgs[i]);
            hear(c, text);
        }
    }
    c->woken = false;
}

/* Whatever has ended it: comes back with its cursor, as clients do. */
static void come_back(struct client *c)
{
    char text[160];

    leave(c);
    c->link = (struct hf_link){.wake = woken, .close = closed};
    if (hf_session_open(hub, &c->link, &(struct hf_client){.vsn = HF_VSN_2},
                        &c->session)) {
        c->session = NULL;
        return;
    }
    (void)snprintf(text, sizeof(text),
                   "[\"1\",\"1\",\"" TOPIC "\",\"phx_join\","
                   "{\"since\":\"%s\"}]",
                   c->cursor);
    if (hf_session_receive(c->session, hf_str_of(text), false))
        leave(c);
}

static void turn(struct client *c)
{
    take(c);
    if (!c->session || c->closed)
        come_back(c);
    take(c);
}

/* Turns the loop, the clients with it, until it is so. */
static void until(bool (*so)(void), const char *what)
{
    int64_t end_ms = hf_boot_ms() + WAIT_MS;

    while (!so()) {
        (void)hf_loop_turn(loop, 5);
        turn(&live);
        if (late.name && late.last > 0)
            turn(&late);
        if (hf_boot_ms() > end_ms)
            fault_bad("waited in vain: %s", what);
    }
}

/* --- opening -------------------------------------------------------------- */

static void close_all(void)
{
    leave(&live);
    leave(&late);
    leave(&stale);
    hf_hub_close(hub);
    hub = NULL;
    hf_process_close(&process);
    hf_loop_free(loop);
    loop = NULL;
}

static int open_once(const char *directory)
{
    struct hf_why why = {""};
    int err;

    err = hf_loop_new(&loop);
    if (err)
        return err;
    err = hf_process_open(&process, loop, directory, true, &why);
    if (err && !why.text[0])
        fault_bad("open fails with %d and does not say why", err);
    if (!err)
        err = hf_hub_open(&process, &hub);
    if (err)
        close_all();
    return err;
}

static void open_all(const char *directory)
{
    int tries = 0;

    while (open_once(directory)) {
        if (!fault_struck() || ++tries == TRIES)
            fault_bad("the journal does not open");
    }
}

/* --- publishing ----------------------------------------------------------- */

static bool refuses(void)
{
    return hf_failed(&process.dir);
}

static struct push pushes[NEW];
static unsigned batch_from, batch_count;

static bool batch_is_done(void)
{
    unsigned i;

    for (i = 0; i < batch_count; i++)
        if (!pushes[batch_from + i].done)
            return false;
    return true;
}

static void note(struct push *push)
{
    struct published *entry = &published[push->n - FIRST_NEW];

    if (push->err) {
        entry->answer = push->err == HF_EFAILED ? UNKNOWN : REFUSED;
        return;
    }
    if (push->too_late)
        fault_bad("message %u is acknowledged after a lost sync", push->n);
    if (entry->id && entry->id != push->id)
        fault_bad("message %u has two ids", push->n);
    *entry = (struct published){ACCEPTED, push->id};
}

/* Submits those of the batch that were not accepted yet. */
static void send_batch(void)
{
    unsigned i;

    for (i = 0; i < batch_count; i++) {
        struct push *push = &pushes[batch_from + i];

        if (published[batch_from + i].answer == ACCEPTED)
            continue;
        *push = (struct push){.job = {.run = run, .done = done},
                              .n = FIRST_NEW + batch_from + i,
                              .too_late = fault_was_sync()};
        push->err = hf_writer_submit(process.writer, &push->job);
        push->done = push->err != 0;
    }
}

/* Publishes messages, and again what was refused. */
static void publish(unsigned from, unsigned count)
{
    bool all = false;
    int tries = 0;
    unsigned i;

    batch_from = from;
    batch_count = count;
    while (!all && !refuses()) {
        send_batch();
        until(batch_is_done, "the answers of the writer");
        all = true;
        for (i = from; i < from + count; i++) {
            if (published[i].answer != ACCEPTED)
                note(&pushes[i]);
            all &= published[i].answer == ACCEPTED;
        }
        if (!all && (!fault_struck() || ++tries == TRIES))
            fault_bad("message %u and others cannot be published: %s",
                      FIRST_NEW + from, hf_strerror(pushes[from].err));
    }
}

/* The same key again, in a transaction of its own. */
static void repeat(unsigned at)
{
    int tries = 0;

    while (!refuses()) {
        struct push *push = &pushes[at];

        published[at].answer = UNSENT; /* send_batch sends it */
        batch_from = at;
        batch_count = 1;
        send_batch();
        until(batch_is_done, "the answer of the writer");
        note(push);
        if (published[at].answer == ACCEPTED && !push->repeated)
            fault_bad("message %u was added again", push->n);
        if (published[at].answer == ACCEPTED)
            return;
        if (!fault_struck() || ++tries == TRIES)
            fault_bad("a key cannot be used again");
    }
}

/* A push through the membership of a client: no answer, no second try. */
static void push_as_client(unsigned at)
{
    char text[128];

    if (!live.session || !live.joined || live.closed)
        return;
    published[at].answer = UNKNOWN;
    (void)snprintf(text, sizeof(text),
                   "[\"1\",\"p%u\",\"" TOPIC "\",\"e\",{\"n\":%u}]", at,
                   FIRST_NEW + at);
    if (hf_session_receive(live.session, hf_str_of(text), false))
        live.closed = true;
}

/* --- the story ------------------------------------------------------------ */

static bool live_has_joined(void)
{
    return live.joined && live.cursor[0];
}

static bool has_all(const struct client *c)
{
    unsigned i;

    for (i = 0; i < NEW; i++)
        if (published[i].answer == ACCEPTED && !c->got[i])
            return false;
    return true;
}

static bool live_has_all(void)
{
    return has_all(&live);
}

static bool late_has_all(void)
{
    return late.old_count == OLD_ROWS - 5 && has_all(&late);
}

/* A cursor at the nth row, which has the id n. */
static void begin_at(struct client *c, unsigned n)
{
    struct hf_cursor cursor = {hub->epoch, n};

    c->cursor[hf_cursor_format(cursor, c->cursor)] = '\0';
    c->last = n;
}

static int remove_old(void)
{
    struct hf_retention_report report = {.more = true};
    struct hf_settings settings = process.settings;
    struct hf_journal *journal;
    struct hf_why why = {""};
    unsigned steps = 0;
    int err;

    settings.retain_ms = 1;
    err = hf_journal_open(&process.dir, &settings, HF_JOURNAL_WRITE, &journal,
                          &why);
    if (err)
        return err;
    while (!err && report.more && steps++ < 20)
        err = hf_retention_step(journal, &report);
    hf_journal_close(journal);
    trimmed = !err;
    return err;
}

static void retain(void)
{
    int tries = 0;

    while (!refuses() && remove_old()) {
        if (!refuses() && (!fault_struck() || ++tries == TRIES))
            fault_bad("old messages cannot be removed");
    }
}

static bool stale_knows(void)
{
    turn(&stale);
    return stale.joined && (stale.gap || has_all(&stale));
}

void story_tell(const char *directory)
{
    open_all(directory);
    until(live_has_joined, "a join");
    publish(0, 1);
    publish(1, 1);
    repeat(0);
    publish(2, 10);
    push_as_client(12);
    push_as_client(13);
    begin_at(&late, 5);
    until(live_has_all, "the live client's messages");
    until(late_has_all, "the late client's messages");
    publish(14, 3);
    until(live_has_all, "the live client's messages");
    until(late_has_all, "the late client's messages");
    retain();
    begin_at(&stale, 3);
    until(stale_knows, "the stale client's answer");
    if (trimmed && !stale.gap)
        fault_bad("messages are gone and a client was not told");
    if (!trimmed && stale.gap && !fault_struck())
        fault_bad("a gap where none is");
    publish(AFTER_REMOVAL, 2);
    until(live_has_all, "the last messages");
    close_all();
}

/* --- afterwards ----------------------------------------------------------- */

static unsigned counts[NEW];

static int count(void *ctx, const struct hf_row *row)
{
    unsigned n;

    (void)ctx;
    if (sscanf(row->payload.at, "{\"n\":%u", &n) != 1)
        fault_bad("a row nobody has published");
    if (n >= FIRST_NEW) {
        const struct published *entry = &published[n - FIRST_NEW];

        counts[n - FIRST_NEW]++;
        if (entry->id && entry->id != row->id)
            fault_bad("message %u has another id", n);
    }
    return 0;
}

static void check_sound(void)
{
    char path[PATH_MAX];
    sqlite3_stmt *stmt;
    sqlite3 *db;

    if (hf_dir_file(&process.dir, HF_FILE_JOURNAL, path, sizeof(path)) ||
        sqlite3_open(path, &db) ||
        sqlite3_prepare_v2(db, "PRAGMA integrity_check", -1, &stmt, NULL) ||
        sqlite3_step(stmt) != SQLITE_ROW ||
        strcmp((const char *)sqlite3_column_text(stmt, 0), "ok") != 0)
        fault_bad("the file is not sound");
    (void)sqlite3_finalize(stmt);
    (void)sqlite3_close(db);
}

static void check_rows(void)
{
    uint64_t after = 0, through;
    bool more = true;
    unsigned i;

    /* A removal whose sync was lost may have happened all the same. */
    if (hf_journal_trimmed(process.journal, HF_STR(TOPIC), &through))
        fault_bad("cannot be read");
    while (more)
        if (hf_journal_read(process.journal, after, 100, 1 << 20, count, NULL,
                            &after, &more))
            fault_bad("cannot be read");
    for (i = 0; i < NEW; i++) {
        if (counts[i] > 1)
            fault_bad("message %u is there twice", FIRST_NEW + i);
        if (published[i].answer == ACCEPTED && counts[i] == 0 &&
            (published[i].id > through || i >= AFTER_REMOVAL))
            fault_bad("message %u is not there", FIRST_NEW + i);
        if (published[i].answer == UNSENT && counts[i] > 0)
            fault_bad("message %u was never sent", FIRST_NEW + i);
    }
}

void story_check(const char *directory)
{
    open_all(directory);
    check_rows();
    check_sound();
    if (!refuses())
        publish(20, 2);
    close_all();
}

static void prepare_row(struct hf_journal *journal, unsigned n)
{
    static char payload[3200];
    struct hf_publish publish = {.topic = HF_STR(TOPIC), .event = HF_STR("e")};
    uint64_t id;
    bool repeated;

    (void)snprintf(payload, sizeof(payload), "{\"n\":%u,\"pad\":\"%03000u\"}",
                   n, n);
    publish.payload = hf_str_of(payload);
    if (hf_journal_begin(journal) ||
        hf_journal_append(journal, &publish, &id, &repeated) ||
        hf_journal_commit(journal) || id != n)
        fault_bad("prepare");
}

static void script(sqlite3 *db, const char *sql)
{
    if (sqlite3_exec(db, sql, NULL, NULL, NULL))
        fault_bad("prepare: %s: %s", sql, sqlite3_errmsg(db));
}

/*
 * So that the story sees more: another boot, after which the sequence is put
 * right, and a WAL so long that the first commit makes a checkpoint.
 */
static void prepare_more(const struct hf_dir *dir)
{
    char path[PATH_MAX];
    unsigned pages;
    sqlite3 *db;
    int on = 1;

    if (hf_dir_file(dir, HF_FILE_JOURNAL, path, sizeof(path)) ||
        sqlite3_open(path, &db) ||
        sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL) ||
        sqlite3_file_control(db, "main", SQLITE_FCNTL_PERSIST_WAL, &on))
        fault_bad("prepare: a script");
    script(db, "PRAGMA wal_checkpoint(TRUNCATE);"
               "PRAGMA wal_autocheckpoint = 0;"
               "UPDATE meta SET value = 'another' WHERE name = 'boot'");
    for (pages = 0; pages < HF_DB_CHECKPOINT; pages++)
        script(db,
               "UPDATE meta SET value = value + 1 WHERE name = 'rights_rev'");
    (void)sqlite3_close(db);
    (void)unlinkat(dir->fd, HF_FILE_BELLS, 0); /* is made again */
}

void story_prepare(const char *directory)
{
    struct hf_policy policy = {HF_STR("room:*"),
                               HF_RIGHT_JOIN | HF_RIGHT_PUBLISH, true, 0};
    struct hf_settings settings;
    struct hf_journal *journal;
    struct hf_why why = {""};
    struct hf_dir dir;
    bool existed;
    unsigned n;

    hf_settings_default(&settings);
    if (hf_dir_init(directory, NULL, &existed, &why) ||
        hf_dir_open(&dir, directory, &why) ||
        hf_journal_open(&dir, &settings, HF_JOURNAL_WRITE, &journal, &why))
        fault_bad("prepare: %s", why.text);
    if (hf_journal_begin(journal) || hf_policy_set(journal, &policy) ||
        hf_journal_commit(journal))
        fault_bad("prepare");
    for (n = 1; n <= OLD_ROWS; n++)
        prepare_row(journal, n);
    hf_journal_close(journal);
    prepare_more(&dir);
    hf_dir_close(&dir);
}
