/*
 * tail - does reading stay as fast while the journal grows?
 *
 *     tail [-d DIR] [-r MAX_ROWS] [-t TOPICS]...    default /tmp 10000000
 *                                                   and 1, 50, 1000, 1000000
 *
 * For each number of topics one journal grows from 10,000 to MAX_ROWS rows of
 * about 100 bytes, tenfold each time, and is read through the functions that
 * the tail, a refill and a long-poll answer use: p50 and p99 of the best of
 * three rounds, in microseconds, with the file in the kernel's page cache.
 * 1.7 GB of disk and five minutes for all of it.
 *
 * The rows are written past the triggers and without syncs, or that alone
 * would take a quarter of an hour; the triggers are put back, word for word,
 * before anything is measured. Every topic has a row in `trimmed`, as after
 * the retention has passed.
 *
 * "just committed" is what a live reader pays: another connection has
 * committed a row just before, which also makes SQLite forget what it keeps of
 * the file. "in use": such a commit, in another topic, before the same reads
 * that otherwise find a quiet journal and a small file whole in SQLite's cache.
 *
 * The floor: what SQLite reads from the files meanwhile is noted and, when an
 * operation has had all its turns, read once more by bare pread calls, in the
 * same order. No reader that asks the kernel for these pages costs less.
 *
 * With 50 topics, 100 rows of one lie on 100 pages already in the smallest
 * file. "In use" and with 50 topics, small and large file are compared like
 * with like: as many pages, read from the kernel in both.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "schema/db.h"
#include "schema/journal.h"

#define SAMPLES     2000u
#define FEWER       500u
#define ROUNDS      3u
#define FIRST_ROWS  10000u
#define CHUNK       100000u
#define MAX_SIZES   6u
#define MAX_TOPICS  6u
#define MAX_CALLS   (1u << 18)  /* noted for the floor, of one operation */
#define SCATTER     2654435761u /* odd: row -> topic, without a pattern */
#define TRIGGER_MAX 16u

static const char *parent = "/tmp";
static uint64_t max_rows = 10000000;
static uint64_t topic_counts[MAX_TOPICS] = {1, 50, 1000, 1000000};
static size_t topic_counts_len = 4;

static char directory[PATH_MAX];
static struct hf_settings settings;
static struct hf_journal *reader, *publisher;
static uint64_t rows, topics; /* in the file now */

static void give_up(const char *what, const char *why)
{
    (void)fprintf(stderr, "tail: %s: %s\n", what, why);
    exit(1);
}

static void must(int err, const char *what)
{
    if (err)
        give_up(what, hf_strerror(err));
}

/* --- what SQLite reads of the files --------------------------------------- */

static struct {
    int fd;
    size_t len;
    off_t at;
} calls[MAX_CALLS];
static size_t call_count;
static bool noting;

static ssize_t noted_pread(int fd, void *out, size_t len, off_t at)
{
    if (noting) {
        if (call_count == MAX_CALLS)
            give_up("pread", "too many calls to note");
        calls[call_count].fd = fd;
        calls[call_count].len = len;
        calls[call_count++].at = at;
    }
    return pread(fd, out, len, at);
}

static void note_calls(void)
{
    sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);

    /* One of the two, as the library was built. */
    (void)vfs->xSetSystemCall(vfs, "pread", (sqlite3_syscall_ptr)noted_pread);
    (void)vfs->xSetSystemCall(vfs, "pread64", (sqlite3_syscall_ptr)noted_pread);
}

/* The same bytes once more. A log that was cut meanwhile gives fewer. */
static void replay_calls(size_t from, size_t to)
{
    static char bytes[65536];

    for (; from < to; from++)
        if (calls[from].len > sizeof(bytes) ||
            pread(calls[from].fd, bytes, calls[from].len, calls[from].at) < 0)
            give_up("pread", "a noted call");
}

/* --- making the file ---------------------------------------------------- */

static void run_sql(sqlite3 *db, const char *sql)
{
    if (sqlite3_exec(db, sql, NULL, NULL, NULL))
        give_up(sql, sqlite3_errmsg(db));
}

static size_t take_triggers(sqlite3 *db, char *texts[TRIGGER_MAX])
{
    sqlite3_stmt *stmt = NULL;
    char *drops[TRIGGER_MAX];
    size_t count = 0, n;

    (void)sqlite3_prepare_v2(db,
                             "SELECT sql, 'DROP TRIGGER ' || name"
                             " FROM sqlite_schema WHERE type = 'trigger'"
                             " AND tbl_name = 'messages'",
                             -1, &stmt, NULL);
    while (count < TRIGGER_MAX && sqlite3_step(stmt) == SQLITE_ROW) {
        texts[count] = strdup((const char *)sqlite3_column_text(stmt, 0));
        drops[count++] = strdup((const char *)sqlite3_column_text(stmt, 1));
    }
    (void)sqlite3_finalize(stmt);
    for (n = 0; n < count; n++) {
        run_sql(db, drops[n]);
        free(drops[n]);
    }
    return count;
}

static void insert_chunk(sqlite3 *db, uint64_t from, uint64_t through)
{
    char sql[640];

    (void)snprintf(sql, sizeof(sql),
                   "WITH RECURSIVE n(i) AS (SELECT %llu UNION ALL"
                   " SELECT i + 1 FROM n WHERE i < %llu)"
                   " INSERT INTO messages (topic, event, payload) SELECT"
                   " 'room:' || (i * %u %% %llu), 'new_msg',"
                   " '{\"body\":\"' || printf('%%089d', i) || '\"}' FROM n",
                   (unsigned long long)from, (unsigned long long)through,
                   SCATTER, (unsigned long long)topics);
    run_sql(db, sql);
}

static sqlite3 *open_plain(void)
{
    char path[PATH_MAX];
    sqlite3 *db;

    (void)snprintf(path, sizeof(path), "%.400s/%s", directory, HF_FILE_JOURNAL);
    if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL))
        give_up("open", "the file");
    run_sql(db, "PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF;"
                "PRAGMA cache_size = -1000000");
    return db;
}

static void grow(uint64_t wanted)
{
    sqlite3 *db = open_plain();
    char *triggers[TRIGGER_MAX];
    size_t count = take_triggers(db, triggers), n;
    sqlite3_stmt *stmt = NULL;
    uint64_t from;

    (void)sqlite3_prepare_v2(db, "SELECT coalesce(max(id), 0) FROM messages",
                             -1, &stmt, NULL);
    (void)sqlite3_step(stmt);
    from = (uint64_t)sqlite3_column_int64(stmt, 0) + 1;
    (void)sqlite3_finalize(stmt);
    for (; from <= wanted; from += CHUNK)
        insert_chunk(db, from,
                     from + CHUNK - 1 < wanted ? from + CHUNK - 1 : wanted);
    run_sql(db, "INSERT OR IGNORE INTO trimmed (topic, through)"
                " SELECT DISTINCT topic, 0 FROM messages");
    for (n = 0; n < count; n++) {
        run_sql(db, triggers[n]);
        free(triggers[n]);
    }
    (void)sqlite3_close(db);
    rows = wanted;
}

static void open_journals(void)
{
    struct hf_why why = {""};
    struct hf_dir dir;

    if (hf_dir_open(&dir, directory, &why) ||
        hf_journal_open(&dir, &settings, HF_JOURNAL_READ, &reader, &why) ||
        hf_journal_open(&dir, &settings, HF_JOURNAL_WRITE, &publisher, &why))
        give_up("open", why.text);
    hf_dir_close(&dir);
}

static void close_journals(void)
{
    hf_journal_close(reader);
    hf_journal_close(publisher);
}

/* --- what is measured ---------------------------------------------------- */

struct place {
    uint64_t head, id; /* id: a row somewhere, none of the newest 200 */
    char topic[32];    /* of the row `id` */
};

static uint64_t seen_rows;

static int see(void *ctx, const struct hf_row *row)
{
    (void)ctx;
    seen_rows += row->payload.len > 0;
    return 0;
}

/* One page as the tail reads it (channel/tail.c). */
static void tail_page(uint64_t after, size_t max)
{
    uint64_t head, highest, last;
    bool more;

    must(hf_journal_snapshot(reader), "snapshot");
    must(hf_journal_head(reader, &head), "head");
    must(hf_journal_trimmed_highest(reader, &highest), "trimmed");
    must(hf_journal_read(reader, after, max, SIZE_MAX, see, NULL, &last, &more),
         "read");
    hf_journal_snapshot_end(reader);
}

/* One page of a topic, as a refill or an answer reads it. */
static void topic_page(const struct place *at, uint64_t after, size_t max)
{
    uint64_t last;
    bool gap, more;

    must(hf_journal_snapshot(reader), "snapshot");
    must(hf_journal_gap(reader, hf_str_of(at->topic), after, &gap), "gap");
    must(hf_journal_read_topic(reader, hf_str_of(at->topic), after, at->head,
                               max, SIZE_MAX, see, NULL, &last, &more),
         "read topic");
    hf_journal_snapshot_end(reader);
}

static void tail_none(const struct place *at)
{
    tail_page(at->head, 100);
}

static void tail_one(const struct place *at)
{
    tail_page(at->head - 1, 100);
}

static void tail_hundred(const struct place *at)
{
    tail_page(at->id, 100);
}

static void topic_none(const struct place *at)
{
    topic_page(at, at->head, 100);
}

static void topic_one(const struct place *at)
{
    topic_page(at, at->id - 1, 1);
}

static void topic_hundred(const struct place *at)
{
    topic_page(at, at->id - 1, 100);
}

static void head(const struct place *at)
{
    uint64_t id;

    (void)at;
    must(hf_journal_head(reader, &id), "head");
}

static void trimmed(const struct place *at)
{
    uint64_t through;

    must(hf_journal_trimmed(reader, hf_str_of(at->topic), &through), "trimmed");
}

enum committed { NOTHING, HERE, ELSEWHERE }; /* in the topic, in another */

static const struct operation {
    const char *name;
    void (*read)(const struct place *at);
    enum committed committed;
    unsigned samples;
    unsigned rows; /* of one topic it reads; 0: not of one topic */
} operations[] = {
    {"head", head, NOTHING, SAMPLES, 0},
    {"trimmed", trimmed, NOTHING, SAMPLES, 0},
    {"tail, nothing new", tail_none, NOTHING, SAMPLES, 0},
    {"tail, 1 row", tail_one, NOTHING, SAMPLES, 0},
    {"tail, 100 rows from anywhere", tail_hundred, NOTHING, SAMPLES, 0},
    {"topic, nothing new", topic_none, NOTHING, SAMPLES, 0},
    {"topic, 1 row from anywhere", topic_one, NOTHING, SAMPLES, 0},
    {"topic, 100 rows from anywhere", topic_hundred, NOTHING, FEWER, 100},
    {"tail, 1 row just committed", tail_one, HERE, FEWER, 0},
    {"topic, 1 row just committed", topic_one, HERE, FEWER, 0},
    {"in use: tail, 100 rows from anywhere", tail_hundred, ELSEWHERE, FEWER, 0},
    {"in use: topic, nothing new", topic_none, ELSEWHERE, FEWER, 0},
    {"in use: topic, 1 row from anywhere", topic_one, ELSEWHERE, FEWER, 0},
    {"in use: topic, 100 rows from anywhere", topic_hundred, ELSEWHERE, FEWER,
     100},
};
#define OPERATIONS (sizeof(operations) / sizeof(operations[0]))

/* --- measuring ----------------------------------------------------------- */

static uint64_t chance(void)
{
    static uint64_t state = 88172645463325252u; /* the same places each time */

    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

/* A row with at least `behind` rows of its topic behind it. */
static void find_place(struct place *at, unsigned behind)
{
    must(hf_journal_head(reader, &at->head), "head");
    at->id = 1 + chance() % (rows - 200 - behind * topics);
    (void)snprintf(at->topic, sizeof(at->topic), "room:%llu",
                   (unsigned long long)(at->id * SCATTER % topics));
}

static void commit_one(struct place *at, enum committed where)
{
    struct hf_publish message = {
        .topic =
            where == HERE ? hf_str_of(at->topic) : HF_STR("room:elsewhere"),
        .event = HF_STR("new_msg"),
        .payload = HF_STR("{\"body\":\"0000000000000000000000000000000000000000"
                          "00000000000000000000000000000000000000000000\"}")};
    bool repeated;

    must(hf_journal_begin(publisher), "begin");
    must(hf_journal_append(publisher, &message, &at->head, &repeated),
         "append");
    must(hf_journal_commit(publisher), "commit");
    if (where == HERE)
        at->id = at->head;
}

static int64_t now_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

struct figure {
    double p50, p99;     /* us; 0: not measured */
    double calls, alone; /* preads of one turn; p50 of these alone, us */
};

static double in_order(int64_t took[], unsigned n, unsigned percent)
{
    qsort(took, n, sizeof(took[0]), by_value);
    return (double)took[(uint64_t)n * percent / 100] / 1000;
}

static struct figure measure(const struct operation *operation)
{
    static int64_t took[SAMPLES];
    static size_t from[SAMPLES + 1];
    unsigned n = operation->samples, i;
    struct figure figure = {0, 0, 0, 0};
    struct place at;

    if (rows < 2 * operation->rows * topics)
        return figure; /* no topic has so many */
    call_count = 0;
    for (i = 0; i < n; i++) {
        find_place(&at, operation->rows);
        if (operation->committed != NOTHING)
            commit_one(&at, operation->committed);
        from[i] = call_count;
        noting = true;
        took[i] = now_ns();
        operation->read(&at);
        took[i] = now_ns() - took[i];
        noting = false;
    }
    from[n] = call_count;
    figure.p50 = in_order(took, n, 50);
    figure.p99 = in_order(took, n, 99);
    for (i = 0; i < n; i++) {
        took[i] = now_ns();
        replay_calls(from[i], from[i + 1]);
        took[i] = now_ns() - took[i];
    }
    figure.calls = (double)call_count / n;
    figure.alone = call_count ? in_order(took, n, 50) : 0;
    return figure;
}

/* --- the table ----------------------------------------------------------- */

struct column {
    uint64_t topics, rows;
    struct figure figures[OPERATIONS];
};

static struct column columns[MAX_TOPICS * MAX_SIZES];
static size_t column_count;

/* A stretch in which others had the machine shows in all that was measured in
 * it, so each operation has a turn in several rounds, and the best counts. */
static void measure_all(void)
{
    struct column *column = &columns[column_count++];
    unsigned round;
    size_t i;

    column->topics = topics;
    column->rows = rows;
    for (i = 0; i < OPERATIONS; i++) /* once unmeasured: the page cache */
        (void)measure(&operations[i]);
    for (i = 0; i < OPERATIONS; i++)
        column->figures[i] = measure(&operations[i]);
    for (round = 1; round < ROUNDS; round++) {
        for (i = 0; i < OPERATIONS; i++) {
            struct figure figure = measure(&operations[i]);

            if (figure.p50 < column->figures[i].p50)
                column->figures[i] = figure;
        }
    }
}

static void print_row(size_t operation)
{
    double least = 1e9, most = 0;
    size_t c;

    printf("| %s |", operations[operation].name);
    for (c = 0; c < column_count; c++) {
        struct figure figure = columns[c].figures[operation];

        if (figure.p50 <= 0) {
            printf(" - |");
            continue;
        }
        least = figure.p50 < least ? figure.p50 : least;
        most = figure.p50 > most ? figure.p50 : most;
        printf(" %.1f / %.1f |", figure.p50, figure.p99);
    }
    printf(" %.1f |\n", most / least);
}

static void print_floor(size_t operation)
{
    size_t c;

    printf("| %s |", operations[operation].name);
    for (c = 0; c < column_count; c++) {
        struct figure figure = columns[c].figures[operation];

        if (figure.p50 <= 0)
            printf(" - |");
        else
            printf(" %.1f: %.1f |", figure.calls, figure.alone);
    }
    putchar('\n');
}

static void print_heading(const char *first, const char *last)
{
    size_t i;

    printf("\n| %s |", first);
    for (i = 0; i < column_count; i++)
        printf(" %llu rows, %llu topics |", (unsigned long long)columns[i].rows,
               (unsigned long long)columns[i].topics);
    printf("%s\n|---|", last);
    for (i = 0; i < column_count; i++)
        printf("---|");
}

static void print_all(void)
{
    size_t i;

    print_heading("us, p50 / p99", " most / least p50 |");
    puts("---|");
    for (i = 0; i < OPERATIONS; i++)
        print_row(i);
    print_heading("preads: us of these alone, p50", "");
    putchar('\n');
    for (i = 0; i < OPERATIONS; i++)
        print_floor(i);
}

static void measure_topics(uint64_t count)
{
    char command[PATH_MAX + 16];
    struct hf_why why = {""};
    uint64_t size;
    bool existed;

    topics = count;
    (void)snprintf(directory, sizeof(directory), "%.200s/hf-tail.XXXXXX",
                   parent);
    if (!mkdtemp(directory) || hf_dir_init(directory, NULL, &existed, &why))
        give_up(directory, why.text);
    for (size = FIRST_ROWS; size <= max_rows; size *= 10) {
        (void)fprintf(stderr, "%llu topics, %llu rows\n",
                      (unsigned long long)topics, (unsigned long long)size);
        grow(size);
        open_journals();
        measure_all();
        close_journals();
    }
    (void)snprintf(command, sizeof(command), "rm -rf '%s'", directory);
    if (system(command) != 0)
        (void)fprintf(stderr, "tail: %s is left behind\n", directory);
}

int main(int argc, char **argv)
{
    bool own_topics = false;
    int option;
    size_t i;

    while ((option = getopt(argc, argv, "d:r:t:")) != -1) {
        if (option == 'd') {
            parent = optarg;
        } else if (option == 'r') {
            max_rows = strtoull(optarg, NULL, 10);
        } else if (option == 't') {
            if (!own_topics)
                topic_counts_len = 0;
            own_topics = true;
            if (topic_counts_len == MAX_TOPICS)
                return 2;
            topic_counts[topic_counts_len++] = strtoull(optarg, NULL, 10);
        } else {
            return 2;
        }
    }
    if (max_rows > 1000000000) /* MAX_SIZES */
        return 2;
    hf_settings_default(&settings);
    note_calls();
    for (i = 0; i < topic_counts_len; i++)
        measure_topics(topic_counts[i] ? topic_counts[i] : 1);
    print_all();
    return 0;
}
