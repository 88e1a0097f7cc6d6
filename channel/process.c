#include "channel/process.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/sys.h"

/* As it is known in the log: "gateway", not "holdfast-gateway". */
static const char *program_name(void)
{
    static const char ours[] = "holdfast-";
    const char *name = program_invocation_short_name;

    return strncmp(name, ours, sizeof(ours) - 1) == 0 ? name + sizeof(ours) - 1
                                                      : name;
}

static int check_secret_mode(const struct hf_dir *dir, struct hf_why *why)
{
    struct stat st;

    if (fstatat(dir->fd, HF_FILE_SECRET, &st, 0) != 0)
        return 0; /* reading it will say what is wrong */
    if ((st.st_mode & 0777 & ~dir->file_mode) == 0)
        return 0;
    return hf_explain(why, HF_EDENIED,
                      "%s/%s can be read or changed by others (mode %03o); "
                      "whoever read it can take over sessions. Remove it, let "
                      "`holdfast init` make a new one, and start again",
                      dir->path, HF_FILE_SECRET, (unsigned)(st.st_mode & 0777));
}

static int read_secret(struct hf_process *process, struct hf_why *why)
{
    const struct hf_dir *dir = &process->dir;
    char secret[32];
    size_t len = 0;
    int err;

    err = check_secret_mode(dir, why);
    if (err)
        return err;
    err = hf_file_read(dir->fd, HF_FILE_SECRET, secret, sizeof(secret), &len);
    if (!err && len == sizeof(secret)) {
        hf_hmac_key(&process->secret, hf_str(secret, len));
        explicit_bzero(secret, sizeof(secret));
        return 0;
    }
    if (err == HF_EIO)
        return hf_explain(why, err, "cannot read %s/%s: %s", dir->path,
                          HF_FILE_SECRET, strerror(errno));
    return hf_explain(
        why, err == HF_ENOTFOUND ? err : HF_EINVAL,
        "%s/%s %s; `holdfast init %s` makes a new one%s", dir->path,
        HF_FILE_SECRET,
        err == HF_ENOTFOUND ? "is missing" : "is not a key of 32 bytes",
        dir->path, err == HF_ENOTFOUND ? "" : " once it is removed");
}

/* Like the functions that fill *why, for those that do not. */
static int open_rights(struct hf_process *process, struct hf_why *why)
{
    int err;

    err = hf_rights_new(&process->rights);
    if (!err)
        err = hf_rights_refresh(process->rights, process->journal, NULL);
    if (err)
        return hf_explain(why, err, "cannot read the policies in %s/%s: %s",
                          process->dir.path, HF_FILE_JOURNAL, hf_strerror(err));
    return 0;
}

static int open_all(struct hf_process *process, const char *path, bool threaded,
                    struct hf_why *why)
{
    struct hf_settings *settings = &process->settings;
    int err;

    err = hf_dir_open(&process->dir, path, why);
    if (err)
        return err;
    err = hf_settings_read(&process->dir, settings, why);
    if (err)
        return err;
    hf_log_open(program_name(), (enum hf_log_level)settings->log_level,
                settings->log_syslog);
    err = read_secret(process, why);
    if (err)
        return err;
    err = threaded ? hf_keys_open(&process->dir, &process->keys, why)
                   : hf_keys_open_later(&process->dir, &process->keys);
    if (err)
        return err;
    err = hf_journal_open(&process->dir, settings, HF_JOURNAL_READ,
                          &process->journal, why);
    if (err)
        return err;
    err = open_rights(process, why);
    if (err)
        return err;
    err = hf_live_open(&process->dir, &process->live, why);
    if (err)
        return err;
    err = hf_hooks_open(process->loop, &process->dir, settings, &process->hooks,
                        why);
    if (err == 0 && threaded)
        err = hf_hooks_prepare(process->hooks, why);
    if (err)
        return err;
    return hf_writer_open(threaded ? process->loop : NULL, &process->dir,
                          settings, &process->writer, why);
}

int hf_process_open(struct hf_process *process, struct hf_loop *loop,
                    const char *path, bool threaded, struct hf_why *why)
{
    int err;

    memset(process, 0, sizeof(*process));
    process->dir.fd = -1;
    process->loop = loop;
    process->threaded = threaded;
    hf_losses_init(&process->losses);
    if (!threaded)
        hf_journal_be_small();
    err = open_all(process, path, threaded, why);
    if (err)
        hf_process_close(process);
    if (!err && threaded) {
        if (hf_inquiry_open(loop, &process->dir, &process->inquiry))
            HF_LOG(HF_LOG_WARN, "cannot_be_asked",
                   hf_field("effect", "`holdfast explain` does not see what "
                                      "this process has sent"));
        hf_keeper_start(&process->keeper, process);
        hf_leases_start(&process->leases, process);
    }
    return err;
}

void hf_process_rest(struct hf_process *process)
{
    hf_journal_shed(process->journal);
    hf_live_rest(process->live);
    hf_trim_memory();
}

void hf_process_finish_writes(struct hf_process *process)
{
    hf_hooks_close(process->hooks); /* whose answers may want to be written */
    process->hooks = NULL;
    if (process->writer)
        hf_writer_close(process->writer);
    process->writer = NULL;
}

void hf_process_close(struct hf_process *process)
{
    /* The writer first: what is queued is finished, and its callbacks may
     * still look at everything else. */
    hf_process_finish_writes(process);
    hf_inquiry_close(process->inquiry);
    hf_keeper_stop(&process->keeper);
    hf_leases_stop(&process->leases);
    if (process->live)
        hf_live_close(process->live);
    hf_rights_free(process->rights);
    hf_keys_close(process->keys);
    hf_journal_close(process->journal);
    /* A zeroed struct has no directory open, whatever its fd says. */
    if (process->dir.path[0] != '\0')
        hf_dir_close(&process->dir);
    explicit_bzero(&process->secret, sizeof(process->secret));
    memset(process, 0, sizeof(*process));
    process->dir.fd = -1;
}
