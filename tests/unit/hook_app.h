/*
 * hook_app.h - an application behind hooks: a little HTTP server of threads
 *
 * A test says what it answers: `app_answers` gets the whole body of a request
 * and returns a whole HTTP response, or NULL to hang up. It runs on threads of
 * its own, several at once.
 */
#ifndef HF_TESTS_HOOK_APP_H
#define HF_TESTS_HOOK_APP_H

#include <arpa/inet.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Allocated, or NULL. */
static char *(*app_answers)(const char *head, const char *body);
static int app_listener = -1;
static pthread_t app_thread;
static _Atomic int app_calls;   /* that came */
static _Atomic int app_working; /* at this moment */
static _Atomic int app_threads;
static _Atomic int app_most;    /* at once, ever */

/* An answer with status 200 and this JSON. */
static inline char *app_json(const char *json)
{
    char *out = NULL;

    if (asprintf(&out,
                 "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n"
                 "Connection: close\r\n\r\n%s",
                 strlen(json), json) < 0)
        return NULL;
    return out;
}

static inline char *app_read(int fd, char **out_body)
{
    size_t cap = 4 * 1024 * 1024, len = 0;
    char *text = malloc(cap);

    *out_body = NULL;
    while (text && len < cap - 1) {
        ssize_t n = read(fd, text + len, cap - 1 - len);
        const char *length;
        char *end;

        if (n <= 0)
            break;
        len += (size_t)n;
        text[len] = '\0';
        end = strstr(text, "\r\n\r\n");
        length = strcasestr(text, "\r\ncontent-length:");
        if (end && length &&
            len >= (size_t)(end + 4 - text) + strtoul(length + 17, NULL, 10)) {
            *out_body = end + 4;
            end[2] = '\0';
            return text;
        }
    }
    free(text);
    return NULL;
}

static inline void *app_serve(void *arg)
{
    int fd = (int)(intptr_t)arg;
    char *body, *head = app_read(fd, &body);
    int now = ++app_working, most = app_most;
    char *answer = NULL;

    while (now > most && !atomic_compare_exchange_weak(&app_most, &most, now))
        continue;
    if (head) {
        app_calls++;
        answer = app_answers(head, body);
    }
    app_working--; /* whoever has the answer may ask the next at once */
    if (answer && send(fd, answer, strlen(answer), MSG_NOSIGNAL) < 0)
        (void)fputs("# the caller is gone\n", stderr);
    (void)shutdown(fd, SHUT_RDWR);
    (void)close(fd);
    free(answer);
    free(head);
    app_threads--;
    return NULL;
}

static inline void *app_run(void *arg)
{
    int fd;

    (void)arg;
    while ((fd = accept(app_listener, NULL, NULL)) >= 0) {
        pthread_t thread;

        app_threads++;
        if (pthread_create(&thread, NULL, app_serve, (void *)(intptr_t)fd)) {
            (void)close(fd);
            app_threads--;
        } else {
            (void)pthread_detach(thread);
        }
    }
    return NULL;
}

/* Start; `url` has room for 64. */
static inline void app_start(char *url)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(at);

    app_calls = app_working = app_most = 0;
    app_listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(app_listener >= 0);
    assert_int_equal(bind(app_listener, (void *)&at, len), 0);
    assert_int_equal(listen(app_listener, 128), 0);
    assert_int_equal(getsockname(app_listener, (void *)&at, &len), 0);
    (void)snprintf(url, 64, "http://127.0.0.1:%d/hook", ntohs(at.sin_port));
    assert_int_equal(pthread_create(&app_thread, NULL, app_run, NULL), 0);
}

static inline void app_stop(void)
{
    int i;

    (void)shutdown(app_listener, SHUT_RDWR);
    (void)pthread_join(app_thread, NULL);
    (void)close(app_listener);
    for (i = 0; i < 500 && app_threads > 0; i++)
        (void)usleep(10000);
}

#endif
