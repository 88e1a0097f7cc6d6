#include "base/unix_listener.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/sys.h"

/* Added to the path of the socket; of one length, which is counted once. */
#define LOCK_SUFFIX ".lock"
#define NEW_SUFFIX  ".new"

_Static_assert(sizeof(NEW_SUFFIX) <= sizeof(LOCK_SUFFIX),
               "a path that has room for the lock has room for both");

static int system_error(struct hf_why *why, const char *what, const char *path)
{
    return hf_explain(why, HF_EIO, "cannot %s %s: %s", what, path,
                      strerror(errno));
}

/* `path` with its suffix, or false when a socket cannot have so long a name. */
static bool address_of(struct sockaddr_un *out, const char *path,
                       const char *suffix)
{
    size_t len = strlen(path), suffix_len = strlen(suffix);

    if (len + suffix_len >= sizeof(out->sun_path))
        return false;
    *out = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(out->sun_path, path, len);
    memcpy(out->sun_path + len, suffix, suffix_len);
    return true;
}

static int too_long(const char *path, struct hf_why *why)
{
    return hf_explain(why, HF_EINVAL,
                      "the socket path %s is too long: at most %zu bytes; use "
                      "a directory with a shorter path",
                      path,
                      sizeof(((struct sockaddr_un *)0)->sun_path) -
                          sizeof(LOCK_SUFFIX));
}

static int no_socket(const char *path, struct hf_why *why)
{
    return hf_explain(why, HF_EINVAL,
                      "%s exists and is not a socket; it is left alone", path);
}

static int take_lock(struct hf_unix_listener *own, mode_t mode, const char *who,
                     struct hf_why *why)
{
    struct sockaddr_un lock;
    int err;

    if (!address_of(&lock, own->path, LOCK_SUFFIX))
        return too_long(own->path, why);
    own->lock =
        open(lock.sun_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (own->lock < 0)
        return system_error(why, "open", lock.sun_path);
    (void)fchmod(own->lock, mode); /* another user's already has its mode */
    err = hf_lock_try(own->lock, 0, 1);
    if (err == HF_EBUSY)
        return hf_explain(why, err,
                          "another %s listens on %s; stop it first, or choose "
                          "another path",
                          who, own->path);
    return err ? system_error(why, "lock", lock.sun_path) : 0;
}

/* Does somebody accept connections there? */
static bool is_served(const char *path)
{
    struct sockaddr_un address;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool refused;

    if (fd < 0)
        return true; /* nobody knows; leave it alone */
    (void)address_of(&address, path, "");
    refused = connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0 &&
              errno == ECONNREFUSED;
    hf_close(&fd);
    return !refused;
}

/*
 * Nobody of ours owns the path now; but is it somebody else's? Where our
 * parent was killed its worker may hold the socket a moment longer, so ask
 * for a while.
 */
static int check_path(const struct hf_unix_listener *own, struct hf_why *why)
{
    struct timespec pause = {.tv_nsec = 50 * 1000 * 1000};
    struct stat st;

    if (lstat(own->path, &st) < 0)
        return errno == ENOENT ? 0 : system_error(why, "look at", own->path);
    if (!S_ISSOCK(st.st_mode))
        return no_socket(own->path, why);
    while (is_served(own->path)) {
        if (pause.tv_nsec > 800 * 1000 * 1000)
            return hf_explain(why, HF_EBUSY, "another program listens on %s",
                              own->path);
        (void)nanosleep(&pause, NULL);
        pause.tv_nsec *= 2; /* each time a connection that it must accept */
    }
    return 0;
}

/* bind() makes the file with the mode that the mask leaves. Only one thread
 * runs yet, so changing the mask disturbs nobody. */
static int bind_new(const struct hf_unix_listener *own,
                    const struct sockaddr_un *address, mode_t mode)
{
    mode_t before;
    int result;

    if (unlink(address->sun_path) < 0 && errno != ENOENT)
        return HF_EIO;
    before = umask(0777 & ~mode);
    result = bind(own->fd, (const struct sockaddr *)address, sizeof(*address));
    (void)umask(before);
    return result < 0 ? HF_EIO : 0;
}

static int start(struct hf_unix_listener *own, mode_t mode, int backlog,
                 struct hf_why *why)
{
    struct sockaddr_un address;
    struct stat st;

    (void)address_of(&address, own->path, NEW_SUFFIX);
    own->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (own->fd < 0 || bind_new(own, &address, mode))
        return system_error(why, "make the socket", address.sun_path);
    if (lstat(address.sun_path, &st) < 0 || listen(own->fd, backlog) < 0 ||
        rename(address.sun_path, own->path) < 0) {
        int err = system_error(why, "make the socket", own->path);

        (void)unlink(address.sun_path);
        return err;
    }
    own->device = st.st_dev;
    own->inode = st.st_ino;
    return 0;
}

int hf_unix_listener_open(struct hf_unix_listener *own, const char *path,
                          mode_t mode, int backlog, const char *who,
                          struct hf_why *why)
{
    size_t len = strlen(path);
    int err;

    *own = (struct hf_unix_listener){.fd = -1, .lock = -1};
    if (len == 0 || len >= sizeof(own->path))
        return hf_explain(why, HF_EINVAL,
                          "a socket path has 1 to %zu bytes, this one %zu",
                          sizeof(own->path) - sizeof(LOCK_SUFFIX), len);
    memcpy(own->path, path, len + 1);
    err = take_lock(own, mode, who, why);
    if (!err)
        err = check_path(own, why);
    if (!err)
        err = start(own, mode, backlog, why);
    if (err) {
        hf_close(&own->fd);
        hf_close(&own->lock);
    }
    return err;
}

/* Can a file be made beside `path`? */
static int look_at_folder(const char *path, struct hf_why *why)
{
    const char *slash = strrchr(path, '/');
    char folder[PATH_MAX] = ".";

    if (slash)
        (void)snprintf(folder, sizeof(folder), "%.*s",
                       slash == path ? 1 : (int)(slash - path), path);
    if (access(folder, W_OK | X_OK) == 0)
        return 0;
    return hf_explain(why, errno == ENOENT ? HF_ENOTFOUND : HF_EDENIED,
                      "%s cannot be made: %s: %s", path, folder,
                      strerror(errno));
}

int hf_unix_listener_look(const char *path, struct hf_why *why)
{
    struct sockaddr_un longest;
    struct stat st;

    if (!address_of(&longest, path, LOCK_SUFFIX))
        return too_long(path, why);
    if (lstat(path, &st) == 0 && !S_ISSOCK(st.st_mode))
        return no_socket(path, why);
    if (lstat(path, &st) == 0 && is_served(path))
        return hf_explain(why, HF_EBUSY, "somebody listens on %s", path);
    return look_at_folder(path, why);
}

void hf_unix_listener_close(struct hf_unix_listener *own)
{
    struct stat st;

    /* A listener that was given away and closed keeps its inode number in use
     * as long as the file is there. */
    if (own->lock >= 0 && lstat(own->path, &st) == 0 &&
        st.st_dev == own->device && st.st_ino == own->inode)
        (void)unlink(own->path); /* the next start replaces it anyway */
    hf_close(&own->fd);
    hf_close(&own->lock);
}

bool hf_is_unix_socket(int fd)
{
    struct sockaddr_storage address = {0};
    socklen_t len = sizeof(address);

    return getsockname(fd, (struct sockaddr *)&address, &len) == 0 &&
           address.ss_family == AF_UNIX;
}
