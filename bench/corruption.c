/*
 * corruption - does the journal survive the set-up that corrupts SQLite?
 *
 *     corruption [-d DIR] [-s SECONDS] [-n RUNS] [SET-UP...]
 *
 * SQLite 3.7.0 to 3.51.2 damages a file when two connections checkpoint it
 * closely around a reset of its WAL (fixed in 3.51.3, 3.50.7 and 3.44.6).
 * Each set-up below is a few processes at full speed on one fresh journal,
 * each commit one row; afterwards integrity_check looks at the file and the
 * rows are counted against the commits that were answered ok.
 *
 *     ours        as our processes write: writers' queue, 500-page checkpoint
 *                 inside it, persistent WAL, no checkpoint at the last close
 *     foreign     SQLite's defaults (checkpoint at 1,000 pages), not queued
 *     eager       the same with a checkpoint at 20 pages
 *     one-shot    as a PHP page: open, insert, close
 *     reader      a snapshot held for 20 ms, again and again: the log cannot be
 *                 reset meanwhile, so all that write try to checkpoint it
 *     checkpoint  PRAGMA wal_checkpoint(PASSIVE) every 0.25 ms
 *
 * DIR is best a tmpfs (default /dev/shm): no time is spent in syncs there, so
 * that there are far more commits, and checkpoints, in a second. What is not
 * ours runs with synchronous = OFF, as the set-up that fails does. SECONDS is
 * 30 and RUNS 1 by default; a run ends early when a process reports damage.
 */
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "schema/journal.h"

#define MAX_WORKERS 12u
#define PAUSE_US    250

static struct shared {
    atomic_bool stop;
    atomic_uint damaged; /* processes that met damage */
    struct tally {
        atomic_ullong commits;
        atomic_ullong refused; /* not committed, and answered so */
        atomic_ullong unclear; /* the answer was an error other than busy */
        char error[96];        /* the last one */
    } tallies[MAX_WORKERS];
} * shared;

static const char *parent = "/dev/shm";
static char directory[PATH_MAX], file[PATH_MAX];

static const char insert_sql[] =
    "INSERT INTO messages (topic, event, payload) VALUES (?1, 'e',"
    " '{\"body\":\"00000000000000000000000000000000000000000000000000000000"
    "0000000000000000000000000000\"}')";

/* --- the processes ------------------------------------------------------ */

static void note_error(struct tally *tally, int code, const char *words)
{
    (void)snprintf(tally->error, sizeof(tally->error), "%s", words);
    if ((code & 0xff) == SQLITE_CORRUPT || (code & 0xff) == SQLITE_NOTADB) {
        (void)atomic_fetch_add(&shared->damaged, 1);
        atomic_store(&shared->stop, true);
    }
}

static void count(struct tally *tally, int code, sqlite3 *db)
{
    if (code == SQLITE_OK || code == SQLITE_DONE) {
        (void)atomic_fetch_add(&tally->commits, 1);
        return;
    }
    if ((code & 0xff) == SQLITE_BUSY)
        (void)atomic_fetch_add(&tally->refused, 1);
    else
        (void)atomic_fetch_add(&tally->unclear, 1);
    note_error(tally, code, db ? sqlite3_errmsg(db) : sqlite3_errstr(code));
}

static sqlite3 *plain_open(struct tally *tally)
{
    sqlite3 *db = NULL;
    int code = sqlite3_open_v2(file, &db, SQLITE_OPEN_READWRITE, NULL);

    if (!code) {
        (void)sqlite3_busy_timeout(db, 10000);
        code = sqlite3_exec(db, "PRAGMA synchronous = OFF", NULL, NULL, NULL);
    }
    if (!code)
        return db;
    count(tally, code, db);
    (void)sqlite3_close(db);
    return NULL;
}

static int plain_insert(sqlite3 *db, sqlite3_stmt *stmt, const char *topic)
{
    int code;

    (void)sqlite3_bind_text(stmt, 1, topic, -1, SQLITE_STATIC);
    (void)sqlite3_step(stmt);
    code = sqlite3_reset(stmt);
    (void)db;
    return code;
}

static void insert_on(struct tally *tally, const char *topic, int pages)
{
    sqlite3 *db = plain_open(tally);
    sqlite3_stmt *stmt = NULL;

    if (!db)
        return;
    (void)sqlite3_wal_autocheckpoint(db, pages);
    if (!sqlite3_prepare_v2(db, insert_sql, -1, &stmt, NULL))
        while (!atomic_load(&shared->stop))
            count(tally, plain_insert(db, stmt, topic), db);
    (void)sqlite3_finalize(stmt);
    (void)sqlite3_close(db);
}

static void foreign(struct tally *tally, const char *topic)
{
    insert_on(tally, topic, 1000); /* SQLite's default */
}

static void eager(struct tally *tally, const char *topic)
{
    insert_on(tally, topic, 20);
}

static void one_shot(struct tally *tally, const char *topic)
{
    while (!atomic_load(&shared->stop)) {
        sqlite3 *db = plain_open(tally);
        sqlite3_stmt *stmt = NULL;
        int code;

        if (!db)
            continue;
        code = sqlite3_prepare_v2(db, insert_sql, -1, &stmt, NULL);
        if (!code)
            code = plain_insert(db, stmt, topic);
        count(tally, code, db);
        (void)sqlite3_finalize(stmt);
        (void)sqlite3_close(db);
    }
}

static void checkpoint(struct tally *tally, const char *topic)
{
    const struct timespec pause = {.tv_nsec = PAUSE_US * 1000};
    sqlite3 *db = plain_open(tally);

    (void)topic;
    while (db && !atomic_load(&shared->stop)) {
        int code = sqlite3_wal_checkpoint_v2(
            db, "main", SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);

        if (code && code != SQLITE_BUSY && code != SQLITE_LOCKED)
            note_error(tally, code, sqlite3_errmsg(db));
        (void)nanosleep(&pause, NULL);
    }
    (void)sqlite3_close(db);
}

static void reader(struct tally *tally, const char *topic)
{
    const struct timespec hold = {.tv_nsec = 20000000};
    const struct timespec pause = {.tv_nsec = 2000000};
    sqlite3 *db = plain_open(tally);

    (void)topic;
    while (db && !atomic_load(&shared->stop)) {
        int code = sqlite3_exec(db, "BEGIN; SELECT max(id) FROM messages", NULL,
                                NULL, NULL);

        (void)nanosleep(&hold, NULL);
        if (!code)
            code = sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
        if (code && code != SQLITE_BUSY)
            note_error(tally, code, sqlite3_errmsg(db));
        (void)nanosleep(&pause, NULL);
    }
    (void)sqlite3_close(db);
}

static int append(struct hf_journal *journal, const char *topic)
{
    struct hf_publish publish = {.topic = hf_str_of(topic),
                                 .event = HF_STR("e"),
                                 .payload =
                                     HF_STR("{\"body\":\"0000000000"
                                            "00000000000000000000000000"
                                            "00000000000000000000000000"
                                            "0000000000000000000000\"}")};
    uint64_t id;
    bool repeated;
    int err = hf_journal_begin(journal);

    if (err)
        return err;
    err = hf_journal_append(journal, &publish, &id, &repeated);
    if (!err)
        return hf_journal_commit(journal);
    hf_journal_rollback(journal);
    return err;
}

static void ours(struct tally *tally, const char *topic)
{
    struct hf_settings settings;
    struct hf_journal *journal;
    struct hf_why why = {""};
    struct hf_dir dir;
    int err;

    hf_settings_default(&settings);
    if (hf_dir_open(&dir, directory, &why) ||
        hf_journal_open(&dir, &settings, HF_JOURNAL_WRITE, &journal, &why)) {
        note_error(tally, SQLITE_CORRUPT, why.text);
        return;
    }
    while (!atomic_load(&shared->stop)) {
        err = append(journal, topic);
        if (!err)
            (void)atomic_fetch_add(&tally->commits, 1);
        else if (err == HF_EBUSY || err == HF_EBLOCKED)
            (void)atomic_fetch_add(&tally->refused, 1);
        else
            (void)atomic_fetch_add(&tally->unclear, 1);
        if (err)
            note_error(tally, err == HF_ESTORE ? SQLITE_CORRUPT : 0,
                       hf_strerror(err));
    }
    hf_journal_close(journal);
    hf_dir_close(&dir);
}

/* --- set-ups ------------------------------------------------------------ */

typedef void (*role_fn)(struct tally *tally, const char *topic);

static const struct setup {
    const char *name;
    unsigned ours, foreign, eager, one_shot, checkpoint, reader;
} setups[] = {
    {"foreign+checkpoint", 0, 4, 0, 0, 2, 0}, /* these two fail */
    {"eager+checkpoint", 0, 0, 4, 0, 2, 0},
    {"foreign", 0, 4, 0, 0, 0, 0},
    {"ours", 4, 0, 0, 0, 0, 0},
    {"ours+foreign", 2, 2, 0, 0, 0, 0},
    {"ours+one-shot", 2, 0, 0, 2, 0, 0},
    {"ours+foreign+one-shot", 2, 1, 0, 1, 0, 0},
    {"ours+foreign+reader", 2, 2, 0, 0, 0, 1},
    {"ours+checkpoint", 4, 0, 0, 0, 2, 0},
};

static void start(role_fn role, unsigned number)
{
    char topic[16];

    if (fork() != 0)
        return; /* a process less is seen in the counts */
    (void)snprintf(topic, sizeof(topic), "w%u", number);
    role(&shared->tallies[number], topic);
    _exit(0);
}

static unsigned start_all(const struct setup *setup)
{
    const struct {
        role_fn role;
        unsigned count;
    } roles[] = {{ours, setup->ours},
                 {foreign, setup->foreign},
                 {eager, setup->eager},
                 {one_shot, setup->one_shot},
                 {checkpoint, setup->checkpoint},
                 {reader, setup->reader}};
    unsigned number = 0;
    size_t r;

    for (r = 0; r < sizeof(roles) / sizeof(roles[0]); r++) {
        unsigned end = number + roles[r].count;

        while (number < end)
            start(roles[r].role, number++);
    }
    return number;
}

static void wait_until(int64_t end_ms)
{
    const struct timespec pause = {.tv_nsec = 20000000};

    while (hf_boot_ms() < end_ms && !atomic_load(&shared->stop))
        (void)nanosleep(&pause, NULL);
    atomic_store(&shared->stop, true);
    while (wait(NULL) > 0)
        continue;
}

/* --- looking at the file afterwards ------------------------------------- */

static void check_file(char *verdict, size_t cap)
{
    sqlite3_stmt *stmt = NULL;
    sqlite3 *db = NULL;
    char *line;
    int code = sqlite3_open_v2(file, &db, SQLITE_OPEN_READWRITE, NULL);

    if (!code)
        code = sqlite3_prepare_v2(db, "PRAGMA integrity_check(1)", -1, &stmt,
                                  NULL);
    if (!code && sqlite3_step(stmt) == SQLITE_ROW)
        (void)snprintf(verdict, cap, "%.60s", sqlite3_column_text(stmt, 0));
    else
        (void)snprintf(verdict, cap, "%.60s", sqlite3_errmsg(db));
    while ((line = strchr(verdict, '\n')))
        *line = ' ';
    (void)sqlite3_finalize(stmt);
    (void)sqlite3_close(db);
}

static long long rows_of(sqlite3 *db, unsigned worker)
{
    sqlite3_stmt *stmt = NULL;
    long long rows = -1;
    char topic[16];

    (void)snprintf(topic, sizeof(topic), "w%u", worker);
    if (!sqlite3_prepare_v2(db,
                            "SELECT count(*) FROM messages NOT INDEXED"
                            " WHERE topic = ?1",
                            -1, &stmt, NULL)) {
        (void)sqlite3_bind_text(stmt, 1, topic, -1, SQLITE_STATIC);
        if (sqlite3_step(stmt) == SQLITE_ROW)
            rows = sqlite3_column_int64(stmt, 0);
    }
    (void)sqlite3_finalize(stmt);
    return rows;
}

/* Answered ok, and not there. -1: cannot be counted. */
static long long count_lost(unsigned workers)
{
    sqlite3 *db = NULL;
    long long lost = 0;
    unsigned n;

    (void)sqlite3_open_v2(file, &db, SQLITE_OPEN_READONLY, NULL);
    for (n = 0; n < workers && lost >= 0; n++) {
        long long rows = rows_of(db, n);
        long long commits = (long long)shared->tallies[n].commits;

        if (rows < 0)
            lost = -1;
        else if (rows < commits)
            lost += commits - rows;
    }
    (void)sqlite3_close(db);
    return lost;
}

static void report(const struct setup *setup, unsigned workers, int64_t took_ms)
{
    unsigned long long commits = 0, refused = 0, unclear = 0;
    const char *error = "";
    char verdict[64] = "", lost[32] = "?";
    long long missing;
    unsigned n;

    for (n = 0; n < workers; n++) {
        commits += shared->tallies[n].commits;
        refused += shared->tallies[n].refused;
        unclear += shared->tallies[n].unclear;
        if (shared->tallies[n].error[0])
            error = shared->tallies[n].error;
    }
    check_file(verdict, sizeof(verdict));
    missing = count_lost(workers);
    if (missing >= 0)
        (void)snprintf(lost, sizeof(lost), "%lld", missing);
    printf("| %s | %.1f | %llu | %llu | %llu | %s | %s%s%s%s |\n", setup->name,
           (double)took_ms / 1000, commits, refused, unclear, lost, verdict,
           *error ? " (" : "", error, *error ? ")" : "");
    (void)fflush(stdout);
}

/* --- one run ------------------------------------------------------------ */

static int make_journal(void)
{
    struct hf_why why = {""};
    bool existed;

    (void)snprintf(directory, sizeof(directory), "%.200s/hf-corruption.XXXXXX",
                   parent);
    if (!mkdtemp(directory) || hf_dir_init(directory, NULL, &existed, &why)) {
        (void)fprintf(stderr, "corruption: %s: %s\n", directory, why.text);
        return -1;
    }
    (void)snprintf(file, sizeof(file), "%.400s/%s", directory, HF_FILE_JOURNAL);
    return 0;
}

static void remove_journal(void)
{
    char command[PATH_MAX + 16];

    (void)snprintf(command, sizeof(command), "rm -rf '%s'", directory);
    if (system(command) != 0)
        (void)fprintf(stderr, "corruption: %s is left behind\n", directory);
}

static int run(const struct setup *setup, int64_t seconds)
{
    int64_t start_ms;
    unsigned workers;

    memset(shared, 0, sizeof(*shared));
    if (make_journal())
        return -1;
    start_ms = hf_boot_ms();
    workers = start_all(setup);
    wait_until(start_ms + seconds * 1000);
    report(setup, workers, hf_boot_ms() - start_ms);
    remove_journal();
    return 0;
}

static bool chosen(const char *name, int argc, char **argv)
{
    int i;

    for (i = 0; i < argc; i++)
        if (strcmp(argv[i], name) == 0)
            return true;
    return argc == 0;
}

int main(int argc, char **argv)
{
    long seconds = 30, runs = 1, run_number;
    int option;
    size_t i;

    while ((option = getopt(argc, argv, "d:s:n:")) != -1) {
        if (option == 'd')
            parent = optarg;
        else if (option == 's')
            seconds = strtol(optarg, NULL, 10);
        else if (option == 'n')
            runs = strtol(optarg, NULL, 10);
        else
            return 2;
    }
    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        return 1;
    printf("SQLite %s\n\n", sqlite3_libversion());
    puts("| set-up | seconds | commits | refused | other errors | ok but lost |"
         " integrity |");
    puts("|---|---|---|---|---|---|---|");
    (void)fflush(stdout); /* before a fork: once */
    for (i = 0; i < sizeof(setups) / sizeof(setups[0]); i++)
        for (run_number = 0;
             chosen(setups[i].name, argc - optind, argv + optind) &&
             run_number < runs;
             run_number++)
            if (run(&setups[i], seconds))
                return 1;
    return 0;
}
