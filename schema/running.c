#include "schema/running.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/sys.h"

/* Bytes of the file that are locked: the first by who may tell, the second once
 * what stands there is its own. Between the two it is what a killed one left, and
 * whoever signalled that process would hit another one. */
#define TELLS 0
#define TOLD  1

#define PID_TEXT  12 /* of ten digits, a blank and more */
#define FILE_TEXT (PID_TEXT * (HF_WORKERS_MAX + 1) + 1)

/* "PARENT WORKER ... \n": a reader that sees half of it shows half. */
static bool write_text(int fd, const pid_t *workers, unsigned count)
{
    char text[FILE_TEXT];
    size_t len;
    unsigned i;

    len = (size_t)snprintf(text, sizeof(text), "%ld", (long)getpid());
    for (i = 0; i < count; i++)
        if (workers[i])
            len += (size_t)snprintf(text + len, sizeof(text) - len, " %ld",
                                    (long)workers[i]);
    text[len++] = '\n';
    if (pwrite(fd, text, len, 0) != (ssize_t)len)
        return false;
    (void)!ftruncate(fd, (off_t)len); /* the rest is ignored */
    return true;
}

void hf_running_open(struct hf_running *running, const struct hf_dir *dir)
{
    running->fd =
        openat(dir->fd, HF_FILE_RUNNING,
               O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, dir->file_mode);
    if (running->fd >= 0 && (hf_lock_try(running->fd, TELLS, 1) ||
                             !write_text(running->fd, NULL, 0) ||
                             hf_lock_try(running->fd, TOLD, 1)))
        hf_close(&running->fd);
}

void hf_running_close(struct hf_running *running)
{
    hf_close(&running->fd);
}

void hf_running_tell(const struct hf_running *running, const pid_t *workers,
                     unsigned count)
{
    if (running->fd >= 0)
        (void)write_text(running->fd, workers, count);
}

pid_t hf_running_read(const struct hf_dir *dir, pid_t workers[HF_WORKERS_MAX],
                      unsigned *out_count)
{
    int fd = openat(dir->fd, HF_FILE_RUNNING, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    char text[FILE_TEXT + 1];
    pid_t parent = 0;
    ssize_t len = -1;
    char *at = text;

    *out_count = 0;
    if (fd >= 0 && hf_locked(fd, TOLD, 1))
        len = pread(fd, text, FILE_TEXT, 0);
    hf_close(&fd);
    if (len <= 0)
        return 0;
    text[len] = '\0';
    text[strcspn(text, "\n")] = '\0';
    parent = (pid_t)strtol(at, &at, 10);
    while (*at == ' ' && *out_count < HF_WORKERS_MAX)
        workers[(*out_count)++] = (pid_t)strtol(at, &at, 10);
    return parent;
}
