#include "schema/inquiry.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crypto.h"
#include "base/sys.h"

static const char prefix[] = "ask.";

/* The directory's path may be too long for a socket's name; through its
 * descriptor it never is. */
static struct sockaddr_un address_of(int dir_fd, const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    (void)snprintf(address.sun_path, sizeof(address.sun_path),
                   "/proc/self/fd/%d/%s", dir_fd, name);
    return address;
}

/* --- who is asked --------------------------------------------------------- */

struct caller {
    struct hf_watch watch; /* fd -1: nobody */
    struct hf_inquiry *inquiry;
    int64_t since_ms;
};

struct hf_inquiry {
    struct hf_loop *loop;
    struct hf_dir dir; /* our own descriptor */
    char name[48];
    struct hf_watch listener;
    struct hf_timer timer; /* armed while there is a caller */
    struct caller callers[HF_INQUIRY_CALLERS];
    hf_inquiry_answer_fn answer;
    void *ctx;
};

static void drop(struct caller *caller)
{
    if (caller->watch.fd < 0)
        return;
    hf_loop_unwatch(caller->inquiry->loop, &caller->watch);
    hf_close(&caller->watch.fd);
}

/* The socket's buffer takes it at once, or it is not told: nobody is waited
 * for. */
static void tell(struct caller *caller, struct hf_str question)
{
    struct hf_inquiry *inquiry = caller->inquiry;
    int room = (int)HF_INQUIRY_ANSWER * 2;
    struct hf_buf out;

    hf_buf_init(&out, HF_INQUIRY_ANSWER);
    if (inquiry->answer)
        inquiry->answer(inquiry->ctx, question, &out);
    if (out.len == 0) /* no bytes would be taken for no answer */
        (void)hf_buf_add_byte(&out, '\n');
    (void)setsockopt(caller->watch.fd, SOL_SOCKET, SO_SNDBUF, &room,
                     sizeof(room));
    (void)send(caller->watch.fd, out.at ? out.at : "", out.len,
               MSG_DONTWAIT | MSG_NOSIGNAL);
    hf_buf_release(&out);
}

static void on_question(struct hf_watch *watch, uint32_t events)
{
    struct caller *caller = HF_ITEM(watch, struct caller, watch);
    char question[HF_INQUIRY_QUESTION];
    ssize_t len;

    (void)events;
    len = recv(watch->fd, question, sizeof(question), MSG_DONTWAIT);
    if (len < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (len > 0)
        tell(caller, hf_str(question, (size_t)len));
    drop(caller);
}

static void on_timer(struct hf_timer *timer)
{
    struct hf_inquiry *inquiry = HF_ITEM(timer, struct hf_inquiry, timer);
    int64_t now_ms = hf_boot_ms();
    bool any = false;
    size_t i;

    for (i = 0; i < HF_INQUIRY_CALLERS; i++) {
        struct caller *caller = &inquiry->callers[i];

        if (caller->watch.fd >= 0 && now_ms - caller->since_ms >= HF_INQUIRY_MS)
            drop(caller);
        any = any || caller->watch.fd >= 0;
    }
    if (any) /* room for it was made when it was armed first */
        (void)hf_loop_arm(inquiry->loop, timer, HF_INQUIRY_MS * 1000);
}

static struct caller *place_for_one(struct hf_inquiry *inquiry)
{
    struct caller *oldest = &inquiry->callers[0];
    size_t i;

    for (i = 0; i < HF_INQUIRY_CALLERS; i++) {
        struct caller *caller = &inquiry->callers[i];

        if (caller->watch.fd < 0)
            return caller;
        if (caller->since_ms < oldest->since_ms)
            oldest = caller;
    }
    drop(oldest);
    return oldest;
}

static void on_caller(struct hf_watch *watch, uint32_t events)
{
    struct hf_inquiry *inquiry = HF_ITEM(watch, struct hf_inquiry, listener);
    struct caller *caller;
    int fd = accept4(watch->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    (void)events;
    if (fd < 0)
        return;
    caller = place_for_one(inquiry);
    *caller = (struct caller){.watch = {.fd = fd, .ready = on_question},
                              .inquiry = inquiry,
                              .since_ms = hf_boot_ms()};
    if (hf_loop_watch(inquiry->loop, &caller->watch, EPOLLIN) ||
        hf_loop_arm(inquiry->loop, &inquiry->timer, HF_INQUIRY_MS * 1000))
        drop(caller);
}

/* Bound under the directory's modes, for the umask may say otherwise. */
static int listen_there(struct hf_inquiry *inquiry)
{
    struct sockaddr_un address;
    uint32_t random;

    if (hf_random(&random, sizeof(random)))
        return HF_EIO;
    (void)snprintf(inquiry->name, sizeof(inquiry->name), "%s%ld.%08x", prefix,
                   (long)getpid(), random);
    address = address_of(inquiry->dir.fd, inquiry->name);
    inquiry->listener.fd =
        socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (inquiry->listener.fd < 0 ||
        bind(inquiry->listener.fd, (const struct sockaddr *)&address,
             sizeof(address)) < 0)
        return HF_EIO;
    if (fchmodat(inquiry->dir.fd, inquiry->name, inquiry->dir.file_mode, 0) <
            0 ||
        listen(inquiry->listener.fd, (int)HF_INQUIRY_CALLERS) < 0)
        return HF_EIO;
    return hf_loop_watch(inquiry->loop, &inquiry->listener, EPOLLIN);
}

int hf_inquiry_open(struct hf_loop *loop, const struct hf_dir *dir,
                    struct hf_inquiry **out)
{
    struct hf_inquiry *inquiry = calloc(1, sizeof(*inquiry));
    size_t i;
    int err;

    if (!inquiry)
        return HF_ENOMEM;
    inquiry->loop = loop;
    inquiry->listener = (struct hf_watch){.fd = -1, .ready = on_caller};
    inquiry->timer.fire = on_timer;
    for (i = 0; i < HF_INQUIRY_CALLERS; i++)
        inquiry->callers[i].watch.fd = -1;
    err = hf_dir_copy(dir, &inquiry->dir);
    if (err) {
        free(inquiry);
        return err;
    }
    err = listen_there(inquiry);
    if (err) {
        hf_inquiry_close(inquiry);
        return err;
    }
    *out = inquiry;
    return 0;
}

void hf_inquiry_answer(struct hf_inquiry *inquiry, hf_inquiry_answer_fn answer,
                       void *ctx)
{
    if (!inquiry)
        return;
    inquiry->answer = answer;
    inquiry->ctx = ctx;
}

void hf_inquiry_close(struct hf_inquiry *inquiry)
{
    size_t i;

    if (!inquiry)
        return;
    for (i = 0; i < HF_INQUIRY_CALLERS; i++)
        drop(&inquiry->callers[i]);
    hf_loop_disarm(inquiry->loop, &inquiry->timer);
    if (inquiry->listener.fd >= 0) {
        hf_loop_unwatch(inquiry->loop, &inquiry->listener);
        (void)unlinkat(inquiry->dir.fd, inquiry->name, 0);
        hf_close(&inquiry->listener.fd);
    }
    hf_dir_close(&inquiry->dir);
    free(inquiry);
}

/* --- who asks -------------------------------------------------------------- */

struct asked {
    struct pollfd poll[HF_INQUIRY_ASKED];
    pid_t pid[HF_INQUIRY_ASKED];
    nfds_t count;
    unsigned unasked;
};

static pid_t pid_behind(int fd)
{
    struct ucred peer = {.pid = 0};
    socklen_t len = sizeof(peer);

    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 ? peer.pid
                                                                     : 0;
}

/* -1: nobody is there, or it takes no questions at present. */
static int connect_to(const struct hf_dir *dir, const char *name)
{
    struct sockaddr_un address = address_of(dir->fd, name);
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return -1;
    if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
        return fd;
    if (errno == ECONNREFUSED) /* its owner was killed */
        (void)unlinkat(dir->fd, name, 0);
    hf_close(&fd);
    return -1;
}

static void ask_one(const struct hf_dir *dir, const char *name,
                    struct hf_str question, struct asked *asked)
{
    int fd;

    if (asked->count == HF_INQUIRY_ASKED) {
        asked->unasked++;
        return;
    }
    fd = connect_to(dir, name);
    if (fd < 0)
        return;
    if (send(fd, question.at, question.len, MSG_NOSIGNAL) < 0) {
        hf_close(&fd);
        return;
    }
    asked->poll[asked->count] = (struct pollfd){.fd = fd, .events = POLLIN};
    asked->pid[asked->count++] = pid_behind(fd);
}

static int ask_all(const struct hf_dir *dir, struct hf_str question,
                   struct asked *asked)
{
    struct dirent *entry;
    DIR *listing;
    int fd = openat(dir->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    listing = fd < 0 ? NULL : fdopendir(fd);
    if (!listing) {
        hf_close(&fd);
        return HF_EIO;
    }
    while ((entry = readdir(listing)) != NULL)
        if (hf_str_starts(hf_str_of(entry->d_name), hf_str_of(prefix)))
            ask_one(dir, entry->d_name, question, asked);
    (void)closedir(listing);
    return 0;
}

static void hear(struct asked *asked, nfds_t i, char *room,
                 hf_inquiry_heard_fn heard, void *ctx)
{
    ssize_t len = recv(asked->poll[i].fd, room, HF_INQUIRY_ANSWER, 0);
    struct hf_str answer = hf_str(room, len > 0 ? (size_t)len : 0);

    if (len < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    heard(ctx, asked->pid[i], len > 0 ? &answer : NULL);
    hf_close(&asked->poll[i].fd); /* poll() passes over what is negative */
}

static void hear_all(struct asked *asked, int64_t deadline_ms, char *room,
                     hf_inquiry_heard_fn heard, void *ctx)
{
    nfds_t left = asked->count, i;
    int64_t ms;

    while (left > 0 && (ms = deadline_ms - hf_boot_ms()) > 0) {
        if (poll(asked->poll, asked->count, (int)ms) <= 0)
            continue; /* a signal; or the time is over */
        for (left = 0, i = 0; i < asked->count; i++) {
            if (asked->poll[i].fd >= 0 && asked->poll[i].revents)
                hear(asked, i, room, heard, ctx);
            left += asked->poll[i].fd >= 0;
        }
    }
    for (i = 0; i < asked->count; i++) {
        if (asked->poll[i].fd < 0)
            continue;
        heard(ctx, asked->pid[i], NULL);
        hf_close(&asked->poll[i].fd);
    }
}

int hf_inquiry_ask(const struct hf_dir *dir, struct hf_str question,
                   int64_t wait_ms, hf_inquiry_heard_fn heard, void *ctx,
                   unsigned *out_unasked)
{
    struct asked *asked;
    char *room;
    int err = HF_ENOMEM;

    if (question.len == 0 || question.len > HF_INQUIRY_QUESTION)
        return HF_ELIMIT;
    asked = calloc(1, sizeof(*asked));
    room = malloc(HF_INQUIRY_ANSWER);
    if (asked && room)
        err = ask_all(dir, question, asked);
    if (!err) {
        hear_all(asked, hf_boot_ms() + wait_ms, room, heard, ctx);
        *out_unasked = asked->unasked;
    }
    free(room);
    free(asked);
    return err;
}
