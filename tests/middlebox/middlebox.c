/*
 * middlebox.c - a proxy between clients and a web server that does harm
 *
 *     middlebox 127.0.0.1:PORT          where requests go
 *
 * It listens on a free port of 127.0.0.1 and says so: "listening PORT". Then it
 * carries out commands, one a line on its standard input, and answers each with
 * a line, "ok" or "error: why". It ends with its input.
 *
 *     MODE[=NUMBER] [KIND]...    a rule: rules.h
 *     drop [KIND]...             open connections are reset, now
 *     move                       a change of address: open connections are dead,
 *                                and nobody is told
 *     to ADDRESS:PORT            who connects from now on is led there instead
 *     seen                       "ok upgrade=1 get=2 post=3 open=4": requests since
 *                                the start, connections now
 */
#include <errno.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/sys.h"
#include "tests/middlebox/visits.h"

#define LINE_MAX_BYTES 1000u

static struct middlebox box;
static struct hf_watch listener;
static struct hf_watch input;
static struct hf_buf line_buf;

static int fail(const char *what)
{
    fprintf(stderr, "middlebox: %s: %s\n", what, strerror(errno));
    return EXIT_FAILURE;
}

/* --- commands -------------------------------------------------------------- */

static int drop(struct hf_str words, struct hf_why *why)
{
    unsigned kinds = 0;
    int err = kinds_read(words, KINDS_ALL, &kinds, why);

    if (!err)
        visits_drop(&box, kinds);
    return err;
}

/* "127.0.0.1:80" */
static int read_server(struct hf_str text)
{
    struct sockaddr_in at = {.sin_family = AF_INET};
    char host[64];
    char *colon;
    char *end = NULL;
    long port;

    if (text.len == 0 || text.len >= sizeof(host))
        return HF_EINVAL;
    memcpy(host, text.at, text.len);
    host[text.len] = '\0';
    colon = strrchr(host, ':');
    if (!colon)
        return HF_EINVAL;
    *colon = '\0';
    port = strtol(colon + 1, &end, 10);
    if (*end != '\0' || port < 1 || port > 65535 ||
        inet_pton(AF_INET, host, &at.sin_addr) != 1)
        return HF_EINVAL;
    at.sin_port = htons((uint16_t)port);
    memcpy(&box.server, &at, sizeof(at));
    box.server_len = sizeof(at);
    return 0;
}

static int lead(struct hf_str words, struct hf_why *why)
{
    int err = read_server(hf_str_trim(words));

    return err ? hf_explain(why, err, "that is no ADDRESS:PORT") : 0;
}

static void carry_out(struct hf_str line)
{
    struct hf_why why = {.text = ""};
    int err = 0;

    line = hf_str_trim(line);
    if (hf_str_eq(line, HF_STR("seen"))) {
        printf("ok upgrade=%lu get=%lu post=%lu open=%u\n",
               box.seen[KIND_UPGRADE], box.seen[KIND_GET], box.seen[KIND_POST],
               box.visit_count);
        return;
    }
    if (hf_str_eq(line, HF_STR("move"))) {
        visits_move(&box);
    } else if (hf_str_eq(line, HF_STR("drop")) ||
               hf_str_starts(line, HF_STR("drop "))) {
        err = drop(hf_str_from(line, 4), &why);
    } else if (hf_str_starts(line, HF_STR("to "))) {
        err = lead(hf_str_from(line, 3), &why);
    } else {
        err = rules_read(&box.rules, line, &why);
        if (!err)
            visits_heed_rules(&box);
    }
    if (err)
        printf("error: %s\n", why.text);
    else
        printf("ok\n");
}

static void input_ready(struct hf_watch *watch, uint32_t events)
{
    char bytes[LINE_MAX_BYTES];
    ssize_t n = read(watch->fd, bytes, sizeof(bytes));

    (void)events; /* a hang-up is read as the end */
    if (n <= 0 || hf_buf_add(&line_buf, bytes, (size_t)n)) {
        hf_loop_stop(box.loop);
        return;
    }
    for (;;) {
        struct hf_str all = hf_buf_str(&line_buf);
        const char *end = all.len > 0 ? memchr(all.at, '\n', all.len) : NULL;

        if (!end)
            break;
        carry_out(hf_str(all.at, (size_t)(end - all.at)));
        hf_buf_drop(&line_buf, (size_t)(end - all.at) + 1);
    }
    (void)fflush(stdout);
}

/* --- connections ----------------------------------------------------------- */

static void listener_ready(struct hf_watch *watch, uint32_t events)
{
    int fd = accept4(watch->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    (void)events;
    if (fd >= 0)
        visit_begin(&box, fd);
}

static int listen_somewhere(uint16_t *out_port)
{
    struct sockaddr_in at = {.sin_family = AF_INET};
    socklen_t len = sizeof(at);

    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    listener.fd =
        socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (listener.fd < 0 ||
        bind(listener.fd, (const struct sockaddr *)&at, len) != 0 ||
        listen(listener.fd, 512) != 0 ||
        getsockname(listener.fd, (struct sockaddr *)&at, &len) != 0)
        return HF_EIO;
    *out_port = ntohs(at.sin_port);
    return 0;
}

static int serve(void)
{
    listener.ready = listener_ready;
    input.fd = STDIN_FILENO;
    input.ready = input_ready;
    if (hf_loop_watch(box.loop, &listener, EPOLLIN) ||
        hf_loop_watch(box.loop, &input, EPOLLIN))
        return HF_EIO;
    return hf_loop_run(box.loop);
}

int main(int argc, char **argv)
{
    uint16_t port = 0;
    int err;

    if (argc != 2 || read_server(hf_str_of(argv[1]))) {
        fprintf(stderr, "usage: middlebox ADDRESS:PORT\n");
        return 2;
    }
    (void)signal(SIGPIPE, SIG_IGN);
    hf_list_init(&box.visits);
    hf_buf_init(&line_buf, 2 * LINE_MAX_BYTES);
    if (listen_somewhere(&port))
        return fail("cannot listen");
    if (hf_loop_new(&box.loop))
        return fail("no event loop");
    printf("listening %u\n", (unsigned)port);
    (void)fflush(stdout);

    err = serve();
    if (err)
        (void)fail("the event loop failed");
    visits_free(&box);
    hf_loop_free(box.loop);
    hf_buf_release(&line_buf);
    hf_close(&listener.fd);
    return err ? EXIT_FAILURE : EXIT_SUCCESS;
}
