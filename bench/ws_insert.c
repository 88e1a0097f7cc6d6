/*
 * ws_insert - publish by INSERT at a steady rate, as any program can
 *
 *     ws_insert [-r RATE] [-s SECONDS] [-c COUNT] [-t TOPICS] [-b BYTES]
 *               [-f FROM] [-x ROWS] [-q] [-d DATAGRAM_SOCKET] DATABASE
 *
 * Linked with SQLite and nothing of ours. One row a transaction, -x otherwise,
 * synchronous = FULL (-q: NORMAL), payloads as ws_load wants them; `t` is the
 * time before the INSERT, so whoever measures measures the commit too. Topics
 * room:0 to room:TOPICS-1 in turn, numbers from FROM + 1 on, RATE rows a second
 * for SECONDS or, with -c, COUNT rows of each topic as fast as it goes.
 * With -d, for the floor: the table is its own, and every row is told there once
 * it is committed. At the end a line of JSON: rows, and how long commits took.
 */
#include <sqlite3.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "bench/load/times.h"

#define ROWS_MAX 1000u

static double rate = 1000, seconds = 10;
static unsigned count, topics = 1, bytes = 100, from, rows = 1;
static const char *synchronous = "FULL";
static struct sockaddr_un told = {.sun_family = AF_UNIX};
static int teller = -1;

static sqlite3 *db;
static sqlite3_stmt *insert;
static struct hf_times commits;
static char said[ROWS_MAX][2048];

static _Noreturn void die(const char *what)
{
    (void)fprintf(stderr, "ws_insert: %s: %s\n", what,
                  db ? sqlite3_errmsg(db) : "failed");
    exit(1);
}

static int64_t now_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void run(const char *sql)
{
    if (sqlite3_exec(db, sql, NULL, NULL, NULL))
        die(sql);
}

static void open_db(const char *path)
{
    char pragma[64];

    if (sqlite3_open(path, &db) || sqlite3_busy_timeout(db, 5000))
        die(path);
    if (teller >= 0)
        run("PRAGMA journal_mode = WAL; CREATE TABLE IF NOT EXISTS"
            " messages(topic TEXT, event TEXT, payload TEXT)");
    (void)snprintf(pragma, sizeof(pragma), "PRAGMA synchronous = %s",
                   synchronous);
    run(pragma);
    if (sqlite3_prepare_v2(db,
                           "INSERT INTO messages(topic, event, payload)"
                           " VALUES(?, 'm', ?)",
                           -1, &insert, NULL))
        die("prepare");
}

static void put(unsigned topic, unsigned number, char *text)
{
    char filled[1024], name[32], *payload;
    int pad, len;

    len = snprintf(text, 64, "%u ", topic);
    payload = text + len;
    len = snprintf(payload, 128, "{\"n\":%u,\"t\":%lld,\"p\":\"", number,
                   (long long)now_ns());
    pad = (int)bytes - len - 2;
    pad = pad < 0 ? 0 : pad > 1000 ? 1000 : pad;
    memset(filled, 'x', (size_t)pad);
    (void)snprintf(payload + len, 1100, "%.*s\"}", pad, filled);
    (void)snprintf(name, sizeof(name), "room:%u", topic);
    (void)sqlite3_bind_text(insert, 1, name, -1, SQLITE_TRANSIENT);
    (void)sqlite3_bind_text(insert, 2, payload, -1, SQLITE_TRANSIENT);
    if (sqlite3_step(insert) != SQLITE_DONE)
        die("insert");
    (void)sqlite3_reset(insert);
}

/* The rows `first` to `first + many - 1` of the whole run. */
static void transaction(unsigned first, unsigned many)
{
    int64_t began = now_ns();
    unsigned i;

    run("BEGIN IMMEDIATE");
    for (i = 0; i < many; i++)
        put((first + i) % topics, from + 1 + (first + i) / topics, said[i]);
    run("COMMIT");
    hf_times_add(&commits, (uint64_t)(now_ns() - began));
    for (i = 0; teller >= 0 && i < many; i++)
        (void)sendto(teller, said[i], strlen(said[i]), 0,
                     (struct sockaddr *)&told, sizeof(told));
}

static void sleep_until(int64_t at)
{
    struct timespec until = {.tv_sec = at / 1000000000,
                             .tv_nsec = at % 1000000000};

    (void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
}

static unsigned at_rate(void)
{
    unsigned all = (unsigned)(rate * seconds), done;
    int64_t began = now_ns();

    for (done = 0; done < all; done += rows) {
        sleep_until(began + (int64_t)(done / rate * 1e9));
        transaction(done, rows);
    }
    return done;
}

static unsigned at_once(void)
{
    unsigned all = count * topics, done, many;

    for (done = 0; done < all; done += many) {
        many = all - done < rows ? all - done : rows;
        transaction(done, many);
    }
    return done;
}

static void read_options(int argc, char **argv)
{
    int option;

    while ((option = getopt(argc, argv, "r:s:c:t:b:f:x:qd:")) != -1) {
        if (option == 'r')
            rate = atof(optarg);
        else if (option == 's')
            seconds = atof(optarg);
        else if (option == 'c')
            count = (unsigned)atoi(optarg);
        else if (option == 't')
            topics = (unsigned)atoi(optarg);
        else if (option == 'b')
            bytes = (unsigned)atoi(optarg);
        else if (option == 'f')
            from = (unsigned)atoi(optarg);
        else if (option == 'x')
            rows = (unsigned)atoi(optarg);
        else if (option == 'q')
            synchronous = "NORMAL";
        else if (option == 'd') {
            (void)snprintf(told.sun_path, sizeof(told.sun_path), "%s", optarg);
            teller = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        } else
            exit(2);
    }
    if (optind + 1 != argc || topics == 0 || rows == 0 || rows > ROWS_MAX ||
        bytes > 1000)
        exit(2);
}

int main(int argc, char **argv)
{
    int64_t began;
    unsigned done;

    read_options(argc, argv);
    open_db(argv[optind]);
    began = now_ns();
    done = count > 0 ? at_once() : at_rate();
    (void)printf("{\"rows\":%u,\"seconds\":%.3f,\"commit_ms\":{\"p50\":%.3f,"
                 "\"p99\":%.3f,\"max\":%.3f}}\n",
                 done, (double)(now_ns() - began) / 1e9,
                 (double)hf_times_at(&commits, 0.5) / 1e6,
                 (double)hf_times_at(&commits, 0.99) / 1e6,
                 (double)commits.max / 1e6);
    (void)sqlite3_finalize(insert);
    return sqlite3_close(db) != SQLITE_OK;
}
