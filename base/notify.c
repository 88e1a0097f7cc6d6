#include "base/notify.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/sys.h"

bool hf_notify_address(struct hf_notify *out, const char *text)
{
    size_t len = strlen(text);

    *out = (struct hf_notify){.address = {.sun_family = AF_UNIX}};
    if ((text[0] != '/' && text[0] != '@') || len < 2 ||
        len >= sizeof(out->address.sun_path))
        return false;
    memcpy(out->address.sun_path, text, len);
    if (text[0] == '@')
        out->address.sun_path[0] = '\0';
    /* Of an abstract name every byte counts, a terminator too. */
    out->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
    return true;
}

void hf_notify_open(struct hf_notify *notify)
{
    const char *text = getenv(HF_NOTIFY_VARIABLE);

    if (!text || !hf_notify_address(notify, text))
        *notify = (struct hf_notify){.len = 0};
    (void)unsetenv(HF_NOTIFY_VARIABLE);
}

void hf_notify(const struct hf_notify *notify, const char *state)
{
    int fd;

    if (!hf_notify_wanted(notify))
        return;
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return;
    (void)sendto(fd, state, strlen(state), MSG_NOSIGNAL,
                 (const struct sockaddr *)&notify->address, notify->len);
    hf_close(&fd);
}
