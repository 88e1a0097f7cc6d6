#include "schema/starts.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/sys.h"

#define TEXT_MAX 160u /* the file: one line */

/* --- the rules ------------------------------------------------------------ */

/* `least`, doubled for each time after the first. */
static int64_t pause_ms(unsigned times, int64_t least, int64_t longest)
{
    int64_t ms = least;

    while (times-- > 1 && ms < longest)
        ms *= 2;
    return ms < longest ? ms : longest;
}

bool hf_starts_may(const struct hf_starts *starts, int64_t now_ms)
{
    return !starts->stopped && now_ms >= starts->next_ms;
}

static unsigned one_more(unsigned times)
{
    return times < 1000 ? times + 1 : times;
}

void hf_starts_begin(struct hf_starts *starts, int64_t now_ms)
{
    starts->deaths = one_more(starts->deaths);
    starts->next_ms = now_ms + pause_ms(starts->deaths, HF_STARTS_LEAST_MS,
                                        HF_STARTS_LONGEST_MS);
}

void hf_starts_proven(struct hf_starts *starts)
{
    starts->deaths = 0;
    starts->vain = 0;
    starts->next_ms = 0;
}

void hf_starts_in_vain(struct hf_starts *starts, int64_t now_ms)
{
    starts->deaths = 0;
    starts->vain = one_more(starts->vain);
    starts->next_ms = now_ms + pause_ms(starts->vain, HF_STARTS_VAIN_MS,
                                        HF_STARTS_VAIN_LONGEST_MS);
}

/* --- the file ------------------------------------------------------------- */

/* "BOOT NEXT DEATHS VAIN STOPPED\n"; what is none, or half of one, is nothing.
 * In another boot only the last counts. */
static void read_text(const char *text, struct hf_starts *out)
{
    struct hf_starts starts = {0};
    char boot[40], ours[40] = "";
    int stopped = 0;

    *out = (struct hf_starts){0};
    if (sscanf(text, "%39s %" SCNd64 " %u %u %d", boot, &starts.next_ms,
               &starts.deaths, &starts.vain, &stopped) != 5)
        return;
    if (hf_boot_id(ours) == 0 && strcmp(boot, ours) == 0)
        *out = starts;
    out->stopped = stopped == 1;
}

static void read_file(int fd, struct hf_starts *out)
{
    char text[TEXT_MAX + 1];
    ssize_t len = pread(fd, text, TEXT_MAX, 0);

    text[len > 0 ? len : 0] = '\0';
    read_text(text, out);
}

void hf_starts_read(const struct hf_dir *dir, struct hf_starts *out)
{
    int fd = openat(dir->fd, HF_FILE_STARTS, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

    *out = (struct hf_starts){0};
    if (fd >= 0)
        read_file(fd, out);
    hf_close(&fd);
}

int hf_starts_lock(const struct hf_dir *dir, int64_t wait_ms, int *out_fd,
                   struct hf_starts *out)
{
    int fd = openat(dir->fd, HF_FILE_STARTS,
                    O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, dir->file_mode);
    int err;

    if (fd < 0)
        return HF_EIO;
    err = wait_ms > 0 ? hf_lock_wait(fd, 0, 1, hf_boot_ms() + wait_ms)
                      : hf_lock_try(fd, 0, 1);
    if (err) {
        hf_close(&fd);
        return err;
    }
    read_file(fd, out);
    *out_fd = fd;
    return 0;
}

int hf_starts_write(int fd, const struct hf_starts *starts)
{
    char text[TEXT_MAX], boot[40];
    int len;

    if (hf_boot_id(boot))
        return HF_EIO;
    len = snprintf(text, sizeof(text), "%s %" PRId64 " %u %u %d\n", boot,
                   starts->next_ms, starts->deaths, starts->vain,
                   starts->stopped);
    if (pwrite(fd, text, (size_t)len, 0) != len)
        return HF_EIO;
    return ftruncate(fd, len) < 0 ? HF_EIO : 0;
}

void hf_starts_unlock(int *fd)
{
    hf_close(fd);
}
