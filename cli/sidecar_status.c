#include "cli/sidecar.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "channel/launch.h"
#include "schema/running.h"
#include "schema/starts.h"

/* --- status --------------------------------------------------------------- */

static pid_t print_process(const struct hf_cli *cli)
{
    pid_t workers[HF_WORKERS_MAX];
    unsigned count, i;
    pid_t parent = hf_running_read(&cli->dir, workers, &count);

    if (!parent) {
        printf("side-car     no\n");
        return 0;
    }
    printf("side-car     process %ld, workers %u", (long)parent, count);
    for (i = 0; i < count; i++)
        printf("%s%ld", i ? ", " : ": ", (long)workers[i]);
    printf("%s\n", hf_sidecar_is_managed(parent)
                       ? ", started by a service manager"
                       : "");
    return parent;
}

static void print_listen(const struct hf_settings *settings)
{
    size_t i;

    printf("listen      ");
    for (i = 0; i < settings->listen_count; i++)
        printf(" %s", settings->listen[i]);
    for (i = 0; i < settings->listen_tls_count; i++)
        printf(" tls:%s", settings->listen_tls[i]);
    putchar('\n');
}

static void print_program(const struct hf_cli *cli)
{
    char path[PATH_MAX];
    struct hf_why why = {""};

    printf("program      %s\n",
           hf_launch_find(&cli->settings, path, &why) ? why.text : path);
}

static void print_next(const struct hf_cli *cli)
{
    int64_t left_ms, now_ms = hf_boot_ms();
    struct hf_starts starts;

    hf_starts_read(&cli->dir, &starts);
    left_ms = starts.next_ms - now_ms;
    if (starts.stopped)
        printf("next start   by hand: it was stopped by hand\n");
    else if (hf_starts_may(&starts, now_ms))
        printf("next start   at any time\n");
    else if (starts.vain > 0 && starts.deaths == 0)
        printf("next start   by hand, or in %lld s: nobody came to the last "
               "%u\n",
               (long long)(left_ms + 999) / 1000, starts.vain);
    else
        printf("next start   by hand, or in %lld s: the last was of no use "
               "yet, %u in a row\n",
               (long long)(left_ms + 999) / 1000, starts.deaths);
}

static void print_log(const struct hf_cli *cli)
{
    struct stat st;

    if (fstatat(cli->dir.fd, HF_FILE_LOG, &st, AT_SYMLINK_NOFOLLOW) == 0)
        printf("log          %s/" HF_FILE_LOG ", %lld bytes\n", cli->dir.path,
               (long long)st.st_size);
}

int hf_sidecar_status(struct hf_cli *cli)
{
    pid_t parent = print_process(cli);
    int exit_code;

    print_listen(&cli->settings);
    if (cli->settings.start == HF_START_ON_DEMAND)
        printf("start        on-demand, by a gateway; ends after %lld s "
               "without a WebSocket\n",
               (long long)cli->settings.idle_exit_ms / 1000);
    else
        printf("start        never by a gateway; by hand, by cron, or by a "
               "service manager\n");
    print_program(cli);
    if (!parent)
        print_next(cli);
    print_log(cli);
    exit_code = hf_cli_flush(cli);
    return exit_code ? exit_code : parent ? HF_EXIT_OK : HF_EXIT_FAILED;
}

/* --- cron ----------------------------------------------------------------- */

/* A word of a shell in a line of crontab(5), which makes of % a line end. */
static void print_word(const char *word)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyz"
                                "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "_@+=:,./-";
    const char *at;

    if (word[0] && word[strspn(word, plain)] == '\0') {
        printf("%s", word);
        return;
    }
    putchar('\'');
    for (at = word; *at; at++) {
        if (*at == '\'')
            printf("'\\''");
        else if (*at == '%')
            printf("\\%%");
        else
            putchar(*at);
    }
    putchar('\'');
}

int hf_sidecar_cron(struct hf_cli *cli)
{
    char program[PATH_MAX];
    ssize_t len = readlink("/proc/self/exe", program, sizeof(program) - 1);

    if (strchr(cli->dir.path, '\n'))
        return hf_cli_fail(cli, "a path with a line end cannot stand in a "
                                "crontab");
    program[len > 0 ? len : 0] = '\0';
    printf("* * * * * ");
    print_word(len > 0 ? program : "holdfast");
    printf(" --dir ");
    print_word(cli->dir.path);
    printf(" sidecar start --cron\n");
    return hf_cli_flush(cli);
}
