#include "base/passed.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "base/sys.h"

/* The number that a variable of our start holds; 0: none. */
static long number_in(const char *name)
{
    const char *text = getenv(name);
    char *end = NULL;
    long number = text && *text ? strtol(text, &end, 10) : 0;

    return end && *end == '\0' && number > 0 ? number : 0;
}

static long count_ours(void)
{
    return number_in("LISTEN_PID") == getpid() ? number_in("LISTEN_FDS") : 0;
}

bool hf_passed_any(void)
{
    return count_ours() > 0;
}

void hf_passed_open(struct hf_passed *passed)
{
    const char *names = getenv("LISTEN_FDNAMES");

    passed->count = count_ours();
    passed->names = passed->count > 0 && names ? strdup(names) : NULL;
    (void)unsetenv("LISTEN_PID");
    (void)unsetenv("LISTEN_FDS");
    (void)unsetenv("LISTEN_FDNAMES");
}

void hf_passed_release(struct hf_passed *passed)
{
    free(passed->names);
    *passed = (struct hf_passed){.count = 0};
}

bool hf_passed_is_named(const struct hf_passed *passed, long n,
                        const char *name)
{
    const char *names = passed->names;
    size_t len = strlen(name);

    for (; names && n > 0; n--) {
        names = strchr(names, ':');
        names = names ? names + 1 : NULL;
    }
    return names && strncmp(names, name, len) == 0 &&
           (names[len] == ':' || names[len] == '\0');
}

static bool is_listening_stream(int fd)
{
    int type = 0, listening = 0;
    socklen_t len = sizeof(type);

    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0 ||
        type != SOCK_STREAM)
        return false;
    len = sizeof(listening);
    return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) == 0 &&
           listening;
}

int hf_passed_take(long n)
{
    int fd = HF_PASSED_FIRST + (int)n;

    if (!is_listening_stream(fd) || hf_set_nonblocking(fd, true) ||
        hf_set_cloexec(fd))
        return HF_EINVAL;
    return fd;
}
