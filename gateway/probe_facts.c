#include "gateway/probe_facts.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/list.h"
#include "base/sys.h"
#include "channel/report.h"
#include "gateway/probe.h"

#define VARIABLES 6

void hf_probe_facts_init(struct hf_probe_facts *facts)
{
    *facts = (struct hf_probe_facts){.watch = {.fd = -1}};
}

void hf_probe_facts_end(struct hf_probe_facts *facts)
{
    int status;

    if (!facts->loop)
        return;
    hf_loop_unwatch(facts->loop, &facts->watch);
    hf_loop_disarm(facts->loop, &facts->deadline);
    hf_close(&facts->watch.fd);
    /* It has said all, or nobody listens: either way it ends now. */
    (void)kill(facts->child, SIGKILL);
    while (waitpid(facts->child, &status, 0) < 0 && errno == EINTR)
        ;
    hf_buf_release(&facts->text);
    facts->loop = NULL;
}

static void tell(struct hf_probe_facts *facts)
{
    facts->known(facts->ctx, hf_buf_str(&facts->text));
}

/* Nothing is known, and half of what it has said is no JSON. */
static void tell_why_not(struct hf_probe_facts *facts, const char *why)
{
    struct hf_report report = {.count = 0};

    hf_report_trouble(&report, "processes", "no-child-process", "%s", why);
    hf_buf_reset(&facts->text);
    (void)hf_report_json(&report, &facts->text); /* for want of memory: empty */
    hf_report_release(&report);
    tell(facts);
}

static void can_read(struct hf_watch *watch, uint32_t events)
{
    struct hf_probe_facts *facts = HF_ITEM(watch, struct hf_probe_facts, watch);
    char *at = hf_buf_room(&facts->text, 4096);
    ssize_t n = at ? read(watch->fd, at, 4096) : 0;

    (void)events;
    if (n > 0)
        hf_buf_grown(&facts->text, (size_t)n);
    else if (n == 0 && facts->text.len > 0)
        tell(facts);
    else if (n == 0 || (errno != EINTR && errno != EAGAIN))
        tell_why_not(facts, "it ended without an answer");
}

static void too_late(struct hf_timer *timer)
{
    struct hf_probe_facts *facts =
        HF_ITEM(timer, struct hf_probe_facts, deadline);

    tell_why_not(facts, "it gave no answer in time");
}

/* --- the process --------------------------------------------------------- */

/* Of our own environment what it is to have, and the script by which it finds
 * the journal that this request means. */
static void fill_environment(char *script, char *env[VARIABLES + 1])
{
    static const char *const names[] = {"PATH", "HOME",
                                        "HOLDFAST_ALLOW_NETWORK_FS",
                                        HF_PLACE_VARIABLE, "TMPDIR"};
    extern char **environ;
    size_t count = 0;

    if (script[0])
        env[count++] = script;
    for (char **own = environ; own && *own && count < VARIABLES; own++)
        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
            size_t len = strlen(names[i]);

            if (strncmp(*own, names[i], len) == 0 && (*own)[len] == '=' &&
                count < VARIABLES)
                env[count++] = *own;
        }
    env[count] = NULL;
}

static int spawn(const struct hf_visit *visit, int out, pid_t *child)
{
    char option[] = "--doctor", named[] = "--dir";
    char who[16], dir[PATH_MAX], script[PATH_MAX + 20] = "";
    char program[PATH_MAX];
    char *args[] = {program, option, who, NULL, NULL, NULL};
    char *env[VARIABLES + 1];
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    sigset_t none;
    int err;

    (void)snprintf(program, sizeof(program), "%s", hf_place_program());
    (void)snprintf(who, sizeof(who), "%s", visit->served_by);
    if (visit->found != HF_VISIT_NOTHING) {
        (void)snprintf(dir, sizeof(dir), "%s", visit->place.dir);
        args[3] = named;
        args[4] = dir;
    } else if (visit->request->script.len > 0) {
        (void)snprintf(script, sizeof(script), "SCRIPT_FILENAME=%s",
                       visit->request->script.at);
    }
    fill_environment(script, env);
    if (posix_spawn_file_actions_init(&files))
        return ENOMEM;
    err = posix_spawnattr_init(&attributes);
    if (err) {
        (void)posix_spawn_file_actions_destroy(&files);
        return err;
    }
    (void)sigemptyset(&none); /* ours are blocked for a signalfd */
    err = posix_spawnattr_setsigmask(&attributes, &none);
    if (!err)
        err = posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    if (!err)
        err = posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY,
                                               0);
    if (!err)
        err = posix_spawn_file_actions_adddup2(&files, out, 1);
    if (!err)
        err = posix_spawn_file_actions_addopen(&files, 2, "/dev/null", O_WRONLY,
                                               0);
    if (!err)
        err = posix_spawn(child, program, &files, &attributes, args, env);
    (void)posix_spawnattr_destroy(&attributes);
    (void)posix_spawn_file_actions_destroy(&files);
    return err;
}

int hf_probe_facts_start(struct hf_probe_facts *facts, struct hf_loop *loop,
                         const struct hf_visit *visit,
                         void (*known)(void *ctx, struct hf_str json),
                         void *ctx)
{
    int pipes[2];

    if (pipe2(pipes, O_CLOEXEC) < 0) {
        facts->error = errno;
        return HF_EIO;
    }
    facts->error = spawn(visit, pipes[1], &facts->child);
    hf_close(&pipes[1]);
    if (facts->error) {
        hf_close(&pipes[0]);
        return HF_EIO;
    }
    facts->loop = loop;
    facts->known = known;
    facts->ctx = ctx;
    facts->watch = (struct hf_watch){.fd = pipes[0], .ready = can_read};
    facts->deadline.fire = too_late;
    hf_buf_init(&facts->text, HF_REPORT_MAX);
    if (hf_set_nonblocking(pipes[0], true) == 0 &&
        hf_loop_watch(loop, &facts->watch, EPOLLIN) == 0 &&
        hf_loop_arm(loop, &facts->deadline, HF_PROBE_FACTS_MS * 1000) == 0)
        return 0;
    facts->error = ENOMEM;
    hf_probe_facts_end(facts);
    return HF_EIO;
}
