/*
 * ws_floor - the least that could serve ws_load: the floor under our figures
 *
 *     ws_floor [-c DATABASE] [-d DATAGRAM_SOCKET] [-m MISSED] UNIX_SOCKET|PORT
 *
 * One epoll loop that answers a handshake with a fixed text, a heartbeat and a
 * join with another, and sends what is pushed to all who joined the topic. It
 * hashes nothing, checks nothing, reads no JSON, keeps nothing; one topic a
 * client. Only ws_load is good enough for it.
 *
 *     -c   commits what is pushed to a plain table first, all that waits in one
 *          transaction, fully synced, in a thread beside the loop
 *     -d   takes what ws_insert tells it it has committed, and relays that
 *     -m   who comes back with `since` is sent messages 1 to MISSED, 100 bytes of
 *          payload each, prebuilt, in one call
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/sys.h"
#include "bench/load/wire.h"

#define FDS    65536u
#define TOPICS 65536u
#define BATCH  4096u

struct client {
    struct hf_buf in;
    unsigned topic; /* TOPICS: none joined */
    bool up;
};

struct topic {
    int *fds;
    unsigned count, room;
    struct hf_buf missed; /* frames of it */
};

/* A message on its way: to the table, then to the topic. */
struct note {
    int from; /* who pushed it and is answered; -1: nobody */
    unsigned topic;
    char ref[32];
    struct hf_buf payload;
};

static struct client clients[FDS];
static struct topic topics[TOPICS];
static char input[64 * 1024];
static int epoll, listener, datagrams = -1, done_event = -1;
static unsigned long long ids;
static unsigned missed;

static struct note waiting[BATCH], done[BATCH];
static unsigned waiting_count, done_count;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t some = PTHREAD_COND_INITIALIZER;

static _Noreturn void die(const char *what)
{
    perror(what);
    exit(1);
}

/* --- sending --------------------------------------------------------------- */

/* An unmasked text frame; ours are below 64 kB. */
static size_t frame(char *out, struct hf_str text)
{
    size_t head = text.len < 126 ? 2 : 4;

    out[0] = (char)0x81;
    out[1] = (char)(head == 2 ? text.len : 126);
    if (head == 4) {
        out[2] = (char)(text.len >> 8);
        out[3] = (char)text.len;
    }
    memcpy(out + head, text.at, text.len);
    return head + text.len;
}

static void say(int fd, struct hf_str text)
{
    char out[2048];

    (void)send(fd, out, frame(out, text), MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void relay(const struct note *note)
{
    const struct topic *topic = &topics[note->topic];
    char text[1900], out[2048];
    int len =
        snprintf(text, sizeof(text),
                 "[\"1\",\"j:mYcp-eDbWX4.%llu\",\"room:%u\",\"m\",%.*s]", ++ids,
                 note->topic, HF_STR_ARG(hf_buf_str(&note->payload)));
    size_t size = frame(out, hf_str(text, (size_t)len));
    unsigned i;

    for (i = 0; i < topic->count; i++)
        (void)send(topic->fds[i], out, size, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (note->from < 0)
        return;
    len = snprintf(text, sizeof(text),
                   "[\"1\",\"%s\",\"room:%u\",\"phx_reply\","
                   "{\"status\":\"ok\",\"response\":{}}]",
                   note->ref, note->topic);
    say(note->from, hf_str(text, (size_t)len));
}

/* --- committing ------------------------------------------------------------ */

static sqlite3_stmt *prepare(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *stmt;

    if (sqlite3_prepare_v2(db, sql, -1, &stmt, NULL))
        die(sqlite3_errmsg(db));
    return stmt;
}

static void commit(sqlite3 *db, sqlite3_stmt *insert, const struct note *notes,
                   unsigned count)
{
    unsigned i;

    (void)sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
    for (i = 0; i < count; i++) {
        (void)sqlite3_bind_int(insert, 1, (int)notes[i].topic);
        (void)sqlite3_bind_text(insert, 2, notes[i].payload.at,
                                (int)notes[i].payload.len, SQLITE_STATIC);
        (void)sqlite3_step(insert);
        (void)sqlite3_reset(insert);
    }
    if (sqlite3_exec(db, "COMMIT", NULL, NULL, NULL))
        die(sqlite3_errmsg(db));
}

static void *committer(void *path)
{
    static struct note notes[BATCH];
    uint64_t one = 1;
    unsigned count;
    sqlite3 *db;
    sqlite3_stmt *insert;

    if (sqlite3_open(path, &db) ||
        sqlite3_exec(db,
                     "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
                     "CREATE TABLE IF NOT EXISTS m(topic INT, payload TEXT)",
                     NULL, NULL, NULL))
        die(path);
    insert = prepare(db, "INSERT INTO m VALUES(?, ?)");
    for (;;) {
        (void)pthread_mutex_lock(&lock);
        while (waiting_count == 0 || done_count > 0)
            (void)pthread_cond_wait(&some, &lock);
        count = waiting_count;
        memcpy(notes, waiting, count * sizeof(*notes));
        waiting_count = 0;
        (void)pthread_mutex_unlock(&lock);
        commit(db, insert, notes, count);
        (void)pthread_mutex_lock(&lock);
        memcpy(done, notes, count * sizeof(*notes));
        done_count = count;
        (void)pthread_mutex_unlock(&lock);
        (void)!write(done_event, &one, sizeof(one));
    }
    return NULL;
}

static void committed(void)
{
    static struct note notes[BATCH];
    uint64_t events;
    unsigned count, i;

    (void)!read(done_event, &events, sizeof(events));
    (void)pthread_mutex_lock(&lock);
    count = done_count;
    memcpy(notes, done, count * sizeof(*notes));
    done_count = 0;
    (void)pthread_cond_signal(&some);
    (void)pthread_mutex_unlock(&lock);
    for (i = 0; i < count; i++) {
        relay(&notes[i]);
        hf_buf_release(&notes[i].payload);
    }
}

static void hand_over(struct note *note)
{
    (void)pthread_mutex_lock(&lock);
    if (waiting_count == BATCH)
        die("too much at once");
    waiting[waiting_count++] = *note;
    (void)pthread_cond_signal(&some);
    (void)pthread_mutex_unlock(&lock);
}

/* --- what clients say ------------------------------------------------------ */

static void publish(int from, unsigned topic, struct hf_str ref,
                    struct hf_str payload)
{
    struct note note = {.from = from, .topic = topic % TOPICS};

    hf_buf_init(&note.payload, 1500);
    if (hf_buf_add_str(&note.payload, payload) || ref.len >= sizeof(note.ref))
        return;
    if (ref.len > 0)
        memcpy(note.ref, ref.at, ref.len);
    if (from >= 0 && done_event >= 0) {
        hand_over(&note);
        return;
    }
    relay(&note);
    hf_buf_release(&note.payload);
}

static void build_missed(struct hf_buf *out, unsigned topic)
{
    char text[512], framed[600];
    unsigned n;
    int len;

    hf_buf_init(out, 1u << 24);
    for (n = 1; n <= missed; n++) {
        len = snprintf(text, sizeof(text),
                       "[\"1\",\"j:mYcp-eDbWX4.%u\",\"room:%u\",\"m\","
                       "{\"n\":%05u,\"t\":%015u,\"p\":\"%060u\"}]",
                       n * 100, topic, n, 1u, 0u);
        if (hf_buf_add(out, framed, frame(framed, hf_str(text, (size_t)len))))
            die("realloc");
    }
}

static void replay(int fd, struct topic *topic)
{
    if (topic->missed.len == 0)
        build_missed(&topic->missed, clients[fd].topic);
    (void)send(fd, topic->missed.at, topic->missed.len,
               MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void join(int fd, unsigned number, bool back)
{
    struct topic *topic = &topics[number % TOPICS];
    char text[256];
    int len;

    if (topic->count == topic->room) {
        topic->room = topic->room ? topic->room * 2 : 16;
        topic->fds = realloc(topic->fds, topic->room * sizeof(*topic->fds));
        if (!topic->fds)
            die("realloc");
    }
    topic->fds[topic->count++] = fd;
    clients[fd].topic = number % TOPICS;
    len = snprintf(text, sizeof(text),
                   "[\"1\",\"1\",\"room:%u\",\"phx_reply\",{\"status\":\"ok\","
                   "\"response\":{\"cursor\":\"j:mYcp-eDbWX4.%llu\","
                   "\"recovered\":true}}]",
                   number, ids);
    say(fd, hf_str(text, (size_t)len));
    if (back && missed > 0)
        replay(fd, topic);
}

static void on_text(int fd, struct hf_str text)
{
    struct hf_wire_message message;
    unsigned number;

    if (!hf_wire_message(text, &message))
        return;
    if (hf_str_eq(message.event, HF_STR("heartbeat"))) {
        say(fd, HF_STR("[null,\"h\",\"phoenix\",\"phx_reply\","
                       "{\"status\":\"ok\",\"response\":{}}]"));
        return;
    }
    number = (unsigned)hf_wire_number(message.topic, "room:");
    if (hf_str_eq(message.event, HF_STR("phx_join")))
        join(fd, number, hf_wire_string(message.payload, "\"since\":").len > 0);
    else
        publish(fd, number, message.ref, message.payload);
}

/* A masked frame of ws_load, below 64 kB: its length, 0 if not whole. */
static size_t take_frame(int fd, char *at, size_t len)
{
    unsigned char *bytes = (unsigned char *)at;
    size_t head, size, i;

    if (len < 6)
        return 0;
    size = bytes[1] & 127u;
    head = size == 126 ? 8 : 6;
    if (len < head)
        return 0;
    if (size == 126)
        size = (size_t)bytes[2] << 8 | bytes[3];
    if (len < head + size)
        return 0;
    for (i = 0; i < size; i++)
        bytes[head + i] ^= bytes[head - 4 + i % 4];
    if ((bytes[0] & 15) == 1)
        on_text(fd, hf_str(at + head, size));
    return head + size;
}

static size_t take_request(int fd, char *at, size_t len)
{
    static const char answer[] =
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
        "Upgrade: websocket\r\n"
        "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
    const char *end = memmem(at, len, "\r\n\r\n", 4);

    if (!end)
        return 0;
    (void)send(fd, answer, sizeof(answer) - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
    clients[fd].up = true;
    return (size_t)(end + 4 - at);
}

static void end(int fd)
{
    struct client *client = &clients[fd];
    struct topic *topic = &topics[client->topic % TOPICS];
    unsigned i;

    for (i = 0; client->topic < TOPICS && i < topic->count; i++)
        if (topic->fds[i] == fd)
            topic->fds[i] = topic->fds[--topic->count];
    hf_buf_release(&client->in);
    (void)close(fd);
}

static void on_readable(int fd)
{
    struct client *client = &clients[fd];
    ssize_t len = recv(fd, input, sizeof(input), 0);
    size_t used;

    if (len <= 0) {
        if (len == 0 || errno != EAGAIN)
            end(fd);
        return;
    }
    (void)hf_buf_add(&client->in, input, (size_t)len);
    do {
        used = client->up ? take_frame(fd, client->in.at, client->in.len)
                          : take_request(fd, client->in.at, client->in.len);
        hf_buf_drop(&client->in, used);
    } while (used > 0 && client->in.len > 0);
    if (client->in.len == 0)
        hf_buf_release(&client->in);
}

/* --- the loop -------------------------------------------------------------- */

static void watch(int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event))
        die("epoll_ctl");
}

static void take_clients(void)
{
    int fd, n;

    for (n = 0; n < 64; n++) {
        fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0)
            return;
        clients[fd] = (struct client){.topic = TOPICS};
        hf_buf_init(&clients[fd].in, 1u << 20);
        watch(fd);
    }
}

/* "TOPIC PAYLOAD" */
static void take_datagrams(void)
{
    ssize_t len;
    char *blank;

    while ((len = recv(datagrams, input, sizeof(input) - 1, MSG_DONTWAIT)) >
           0) {
        input[len] = '\0';
        blank = strchr(input, ' ');
        if (blank)
            publish(-1, (unsigned)atoi(input), HF_STR(""),
                    hf_str_of(blank + 1));
    }
}

static int local_socket(const char *path, int kind)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, kind | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    (void)snprintf(at.sun_path, sizeof(at.sun_path), "%s", path);
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)))
        die(path);
    return fd;
}

static int tcp_socket(int port)
{
    struct sockaddr_in at = {.sin_family = AF_INET};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int on = 1;

    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    at.sin_port = htons((uint16_t)port);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)))
        die("bind");
    return fd;
}

static void dispatch(int fd)
{
    if (fd == listener)
        take_clients();
    else if (fd == done_event)
        committed();
    else if (fd == datagrams)
        take_datagrams();
    else
        on_readable(fd);
}

static void start(int argc, char **argv)
{
    pthread_t thread;
    int option;

    while ((option = getopt(argc, argv, "c:d:m:")) != -1) {
        if (option == 'c') {
            done_event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
            if (pthread_create(&thread, NULL, committer, optarg))
                die("thread");
            watch(done_event);
        } else if (option == 'm') {
            missed = (unsigned)atoi(optarg);
        } else if (option == 'd') {
            datagrams = local_socket(optarg, SOCK_DGRAM);
            watch(datagrams);
        } else {
            exit(2);
        }
    }
    if (optind + 1 != argc)
        exit(2);
    listener = argv[optind][0] == '/' ? local_socket(argv[optind], SOCK_STREAM)
                                      : tcp_socket(atoi(argv[optind]));
    if (listen(listener, 4096))
        die("listen");
    watch(listener);
}

int main(int argc, char **argv)
{
    struct epoll_event events[256];
    int count, i;

    (void)signal(SIGPIPE, SIG_IGN);
    (void)hf_raise_fd_limit();
    epoll = epoll_create1(EPOLL_CLOEXEC);
    start(argc, argv);
    (void)puts("serving");
    (void)fflush(stdout);
    for (;;) {
        count = epoll_wait(epoll, events, 256, -1);
        for (i = 0; i < count; i++)
            dispatch(events[i].data.fd);
    }
}
