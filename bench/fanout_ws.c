/*
 * fanout_ws - one message to many WebSockets: the floor, and who receives
 *
 *     fanout_ws floor TEXT                     serve, and print the port
 *     fanout_ws drain KIND PORT PID N ROUNDS TEXT
 *
 * bench/fanout_ws.mjs runs both, beside the side-car and nchan.
 *
 * The floor does what nobody can do without: it waits in epoll_wait, and when
 * its first connection sends a byte it sends one prebuilt frame, TEXT, to each
 * of the others.
 *
 * The drain connects N subscribers to a KIND of server (floor, holdfast, nchan)
 * and one that publishes, and has ROUNDS messages published, each when every
 * subscriber has had all of the former one; every byte is compared with the
 * frame that TEXT makes. With holdfast:DIR it publishes itself, in the journal
 * of DIR, as any other process does. It prints the deliveries and the time that
 * the threads of PID, the server, were on a processor meanwhile.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "schema/journal.h"

#define EVENTS      256
#define MAX_SOCKETS 20000u
#define AT_ONCE     200u /* handshakes side by side */
#define WARM_UP     5u   /* rounds that are not measured */
#define PATIENCE_MS 20000

static char frame[1024];
static size_t frame_len;

__attribute__((noreturn)) static void die(const char *what)
{
    (void)fprintf(stderr, "fanout_ws: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void must(bool good, const char *what)
{
    if (!good)
        die(what);
}

/* Unmasked, in one frame. */
static void make_frame(const char *text)
{
    size_t len = strlen(text), at = 0;

    must(len < sizeof(frame) - 4, "text too long");
    frame[at++] = (char)0x81;
    if (len < 126) {
        frame[at++] = (char)len;
    } else {
        frame[at++] = 126;
        frame[at++] = (char)(len >> 8);
        frame[at++] = (char)(len & 0xFF);
    }
    memcpy(frame + at, text, len);
    frame_len = at + len;
}

static void watch(int epoll, int fd, uint32_t n)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = n};

    must(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0, "epoll_ctl");
}

static void no_delay(int fd)
{
    int on = 1;

    must(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) == 0,
         "TCP_NODELAY");
}

/* --- the floor ------------------------------------------------------------ */

static int listen_anywhere(void)
{
    struct sockaddr_in name = {.sin_family = AF_INET,
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(name);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    must(fd >= 0, "socket");
    must(bind(fd, (struct sockaddr *)&name, len) == 0, "bind");
    must(listen(fd, 4096) == 0, "listen");
    must(getsockname(fd, (struct sockaddr *)&name, &len) == 0, "getsockname");
    (void)printf("%d\n", ntohs(name.sin_port));
    (void)fflush(stdout);
    return fd;
}

static void send_to_all(const int *sockets, size_t count)
{
    size_t i;

    for (i = 1; i < count; i++)
        must(send(sockets[i], frame, frame_len, MSG_NOSIGNAL | MSG_DONTWAIT) ==
                 (ssize_t)frame_len,
             "send");
}

/* Connections stay until the first one, which publishes, goes. */
static void serve(int listener)
{
    static int sockets[MAX_SOCKETS + 1];
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event events[EVENTS];
    size_t count = 0;
    char byte;

    watch(epoll, listener, MAX_SOCKETS + 1);
    for (;;) {
        int i, n = epoll_wait(epoll, events, EVENTS, -1);

        for (i = 0; i < n; i++) {
            uint32_t which = events[i].data.u32;

            if (which == MAX_SOCKETS + 1) {
                int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);

                must(fd >= 0 && count <= MAX_SOCKETS, "accept");
                no_delay(fd);
                must(send(fd, "!", 1, MSG_NOSIGNAL) == 1, "send"); /* is in */
                watch(epoll, fd, (uint32_t)count);
                sockets[count++] = fd;
            } else if (which == 0 && recv(sockets[0], &byte, 1, 0) == 1) {
                send_to_all(sockets, count);
            } else if (which == 0) { /* the run is over */
                while (count > 0)
                    (void)close(sockets[--count]);
                break;
            } else {
                (void)epoll_ctl(epoll, EPOLL_CTL_DEL, sockets[which], NULL);
            }
        }
    }
}

/* --- the drain ------------------------------------------------------------ */

enum kind { FLOOR, HOLDFAST, NCHAN };

#define TOPIC "room:fanout"
#define EVENT "msg"

struct subscriber {
    int fd;
    size_t got;  /* bytes of this round's frame */
    bool ready;  /* it has joined */
    size_t head; /* bytes of the answer to its handshake */
    char answer[1024];
};

static struct drain {
    enum kind kind;
    struct hf_journal *journal; /* NULL: published by a push */
    struct sockaddr_in server;
    int epoll;
    struct subscriber publisher;
    struct subscriber *all;
    uint32_t count;
    uint32_t left; /* subscribers that have not had this round's frame */
} drain;

static const char upgrade[] = "Host: localhost\r\n"
                              "Connection: Upgrade\r\n"
                              "Upgrade: websocket\r\n"
                              "Sec-WebSocket-Version: 13\r\n"
                              "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                              "\r\n";

static void send_all(int fd, const char *bytes, size_t len)
{
    must(send(fd, bytes, len, MSG_NOSIGNAL) == (ssize_t)len, "send");
}

/* Masked by zeroes: as good as any mask, for a server. */
static void send_frame(int fd, const char *text)
{
    char bytes[1024];
    size_t len = strlen(text), at = 0;

    must(len < sizeof(bytes) - 8, "text too long");
    bytes[at++] = (char)0x81;
    bytes[at++] = (char)(0x80 | (len < 126 ? len : 126));
    if (len >= 126) {
        bytes[at++] = (char)(len >> 8);
        bytes[at++] = (char)(len & 0xFF);
    }
    memset(bytes + at, 0, 4);
    memcpy(bytes + at + 4, text, len);
    send_all(fd, bytes, at + 4 + len);
}

static int to_server(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    must(fd >= 0 && connect(fd, (struct sockaddr *)&drain.server,
                            sizeof(drain.server)) == 0,
         "connect");
    no_delay(fd);
    return fd;
}

static void enter(struct subscriber *s)
{
    char request[512];

    *s = (struct subscriber){.fd = to_server()};
    s->ready = drain.kind == NCHAN && s == &drain.publisher;
    if (s->ready || drain.kind == FLOOR)
        return;
    (void)snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\n%s",
                   drain.kind == NCHAN ? "/sub" : "/socket/websocket?vsn=2.0.0",
                   upgrade);
    send_all(s->fd, request, strlen(request));
    if (drain.kind == HOLDFAST)
        send_frame(s->fd, "[\"1\",\"1\",\"" TOPIC "\",\"phx_join\",{}]");
}

/* TEXT's last element. */
static struct hf_str payload_of(const char *text)
{
    const char *payload = strchr(text, '{');

    must(payload != NULL, "the text has no payload");
    return hf_str(payload, strlen(payload) - 1);
}

static void append(struct hf_str payload)
{
    struct hf_publish message = {
        .topic = HF_STR(TOPIC), .event = HF_STR(EVENT), .payload = payload};
    uint64_t id;
    bool repeated;

    must(hf_journal_begin(drain.journal) == 0 &&
             hf_journal_append(drain.journal, &message, &id, &repeated) == 0 &&
             hf_journal_commit(drain.journal) == 0,
         "the journal");
}

static void publish(const char *text)
{
    int fd = drain.publisher.fd;
    char bytes[1200];

    if (drain.kind == FLOOR) {
        send_all(fd, "x", 1);
    } else if (drain.journal) {
        append(payload_of(text));
    } else if (drain.kind == NCHAN) {
        (void)snprintf(bytes, sizeof(bytes),
                       "POST /pub HTTP/1.1\r\nHost: localhost\r\n"
                       "Content-Length: %zu\r\n\r\n%s",
                       strlen(text), text);
        send_all(fd, bytes, strlen(bytes));
    } else {
        (void)snprintf(bytes, sizeof(bytes),
                       "[\"1\",\"2\",\"" TOPIC "\",\"" EVENT "\",%.*s]",
                       HF_STR_ARG(payload_of(text)));
        send_frame(fd, bytes);
    }
}

/* Of the answer to a handshake, until it says that we are in. */
static void on_answer(struct subscriber *s, const char *bytes, size_t len)
{
    must(s->head + len < sizeof(s->answer), "a long answer");
    memcpy(s->answer + s->head, bytes, len);
    s->head += len;
    s->answer[s->head] = 0;
    s->ready = strstr(s->answer, drain.kind == NCHAN   ? "\r\n\r\n"
                                 : drain.kind == FLOOR ? "!"
                                                       : "\"status\":\"ok\"");
}

static void on_bytes(struct subscriber *s, const char *bytes, size_t len)
{
    if (!s->ready) {
        on_answer(s, bytes, len);
        return;
    }
    if (s == &drain.publisher)
        return;
    must(s->got + len <= frame_len && memcmp(bytes, frame + s->got, len) == 0,
         "other bytes than the message");
    s->got += len;
    if (s->got == frame_len)
        drain.left--;
}

static void receive(void)
{
    struct epoll_event events[EVENTS];
    int i, n = epoll_wait(drain.epoll, events, EVENTS, PATIENCE_MS);
    char bytes[4096];

    must(n > 0, "nothing comes");
    for (i = 0; i < n; i++) {
        uint32_t which = events[i].data.u32;
        struct subscriber *s =
            which == drain.count ? &drain.publisher : &drain.all[which];
        ssize_t len = recv(s->fd, bytes, sizeof(bytes), 0);

        must(len > 0, "a connection ended");
        on_bytes(s, bytes, (size_t)len);
    }
}

static void enter_all(void)
{
    uint32_t entered, done = 0;

    enter(&drain.publisher);
    watch(drain.epoll, drain.publisher.fd, drain.count);
    while (!drain.publisher.ready)
        receive();
    for (entered = 0; entered < drain.count; entered++) {
        enter(&drain.all[entered]);
        watch(drain.epoll, drain.all[entered].fd, entered);
        while (entered - done >= AT_ONCE && !drain.all[done].ready)
            receive();
        while (done < entered && drain.all[done].ready)
            done++;
    }
    for (; done < drain.count; done++)
        while (!drain.all[done].ready)
            receive();
}

static void rounds(unsigned count, const char *text)
{
    uint32_t i;

    while (count-- > 0) {
        for (i = 0; i < drain.count; i++)
            drain.all[i].got = 0;
        drain.left = drain.count;
        publish(text);
        while (drain.left > 0)
            receive();
    }
}

/* Nanoseconds on a processor, all threads. */
static long long used(const char *pid)
{
    char path[300];
    struct dirent *entry;
    long long ns, sum = 0;
    DIR *tasks;

    (void)snprintf(path, sizeof(path), "/proc/%s/task", pid);
    tasks = opendir(path);
    must(tasks != NULL, path);
    while ((entry = readdir(tasks)) != NULL) {
        FILE *file;

        if (entry->d_name[0] == '.')
            continue;
        (void)snprintf(path, sizeof(path), "/proc/%s/task/%s/schedstat", pid,
                       entry->d_name);
        file = fopen(path, "r");
        if (file && fscanf(file, "%lld", &ns) == 1)
            sum += ns;
        if (file)
            (void)fclose(file);
    }
    (void)closedir(tasks);
    return sum;
}

static long long now_ns(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void open_journal(const char *path)
{
    static struct hf_dir dir; /* borrowed by the journal, as is the other */
    static struct hf_settings settings;
    struct hf_why why = {""};

    if (hf_dir_open(&dir, path, &why) ||
        hf_settings_read(&dir, &settings, &why) ||
        hf_journal_open(&dir, &settings, HF_JOURNAL_WRITE, &drain.journal,
                        &why))
        die(why.text);
}

static enum kind kind_of(const char *name)
{
    return strcmp(name, "floor") == 0   ? FLOOR
           : strcmp(name, "nchan") == 0 ? NCHAN
                                        : HOLDFAST;
}

static void run_drain(char **arg)
{
    const char *pid = arg[2], *text = arg[5];
    unsigned count = (unsigned)atoi(arg[4]);
    long long cpu, began;

    drain.kind = kind_of(arg[0]);
    if (strncmp(arg[0], "holdfast:", 9) == 0)
        open_journal(arg[0] + 9);
    drain.server = (struct sockaddr_in){
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)atoi(arg[1])),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    drain.count = (uint32_t)atoi(arg[3]);
    drain.epoll = epoll_create1(EPOLL_CLOEXEC);
    drain.all = calloc(drain.count, sizeof(*drain.all));
    must(drain.all && drain.epoll >= 0, "no memory");
    enter_all();
    rounds(WARM_UP, text);
    cpu = used(pid);
    began = now_ns();
    rounds(count, text);
    began = now_ns() - began;
    cpu = used(pid) - cpu;
    (void)printf("{\"deliveries\":%llu,\"cpu_ns\":%lld,\"wall_ns\":%lld}\n",
                 (unsigned long long)count * drain.count, cpu, began);
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "floor") == 0) {
        make_frame(argv[2]);
        serve(listen_anywhere());
    } else if (argc == 8 && strcmp(argv[1], "drain") == 0) {
        make_frame(argv[7]);
        run_drain(argv + 2);
    } else {
        (void)fprintf(stderr, "usage: see the top of fanout_ws.c\n");
        return 2;
    }
    return 0;
}
