/*
 * power - the power fails again and again; what was promised is kept
 *
 *     power [CUTS [SEED]]      default POWER_CUTS and a new seed
 *
 * Rounds of cuts at random moments of a random load: group commits of our
 * writer with durability full or normal, scripts beside it with SQLite's
 * defaults, deletes, checkpoints; see power.h. Then cuts while a journal is
 * made, and at the end the control: scripts with synchronous=OFF whose
 * messages count as promised. It must lose some, or the whole test proves
 * nothing.
 *
 * The seed decides what is done and where it is cut. Threads take turns as they
 * like, so the same seed repeats the same kind of round, not each byte of it.
 * The first broken rule ends the rounds; with HF_KEEP in the environment the
 * directory of that cut stays, as the judge has left it.
 */
#include "tests/crash/power.h"

#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/crypto.h"
#include "base/log.h"
#include "base/sys.h"
#include "schema/journal.h"

#define CUTS_A_ROUND 6u

/* Enough for `make check`. Where a rule is taken out the first cut that shows it
 * ends the run, so there the number is only how long luck may keep it hidden. */
#ifndef POWER_CUTS
#define POWER_CUTS 24
#endif

static const char *const sentences[RULES] = {
    [RULE_OPENS] = "the journal opens and takes messages after every cut",
    [RULE_SOUND] = "the file is sound",
    [RULE_KEPT] = "every message acknowledged with full durability is there",
    [RULE_IDS] = "each under its id, with its payload",
    [RULE_NEW_IDS] = "no id is given twice, whoever was told of it",
    [RULE_ORDER] = "the order is the order of publishing",
    [RULE_ONCE] =
        "a keyed message sent again is there once, under its first id",
    [RULE_SEEN] = "with full durability no reader has seen what is lost",
    [RULE_DELETED] = "what was deleted stays deleted",
    [RULE_CURSORS] = "a cursor from before goes on, or is told of the gap",
    [RULE_SUFFIX] = "with normal durability only the last commits are lost",
    [RULE_EPOCH] = "with full durability the epoch stays the same",
    [RULE_INIT] = "a journal whose making was cut is made whole by init",
    [RULE_MIGRATE] = "tables whose migration was cut are migrated again",
};

struct shared *shared;
static char parent[64];
static unsigned boots;
static unsigned tests, failed;

/* --- what both processes use ---------------------------------------------- */

static char boot_id[40] = "00000000-0000-4000-8000-000000000000";

int __wrap_hf_boot_id(char out[40]);

int __wrap_hf_boot_id(char out[40])
{
    memcpy(out, boot_id, sizeof(boot_id));
    return 0;
}

void power_boot(unsigned number)
{
    (void)snprintf(boot_id, sizeof(boot_id), "00000000-0000-4000-8000-%012x",
                   number);
}

void power_message(uint32_t n, struct message *out)
{
    uint64_t random = n;
    uint64_t hash = disk_random(&random);
    size_t pad = hash % 16 == 0 ? hash % (PAYLOAD - 64) : hash % 300;
    int len;

    (void)snprintf(out->topic, sizeof(out->topic), "t%u", n % TOPICS);
    out->key[0] = '\0';
    if (n % 3 == 0)
        (void)snprintf(out->key, sizeof(out->key), "%u", n);
    len =
        snprintf(out->payload, sizeof(out->payload), "{\"n\":%u,\"pad\":\"", n);
    memset(out->payload + len, 'a' + (int)(hash >> 40) % 26, pad);
    (void)snprintf(out->payload + (size_t)len + pad,
                   sizeof(out->payload) - (size_t)len - pad, "\"}");
}

void power_learnt(struct facts *facts, uint64_t id)
{
    uint64_t before = facts->highest;

    while (before < id &&
           !atomic_compare_exchange_weak(&facts->highest, &before, id))
        ;
}

void power_bad(enum rule rule, const char *format, ...)
{
    va_list words;

    if (shared->findings.bad[rule]++ == 0) {
        char text[300];

        va_start(words, format);
        (void)vsnprintf(text, sizeof(text), format, words);
        va_end(words);
        printf("# cut %u, moment %d: %s: %s\n", shared->findings.cuts,
               (int)shared->moment, sentences[rule], text);
        (void)fflush(stdout);
    }
}

_Noreturn void power_die(const char *what, const char *why)
{
    printf("Bail out! %s: %s\n", what, why);
    (void)fflush(stdout);
    _exit(1);
}

/* --- one round ------------------------------------------------------------ */

static void remove_tree(const char *path)
{
    char command[128];

    (void)snprintf(command, sizeof(command), "rm -rf '%s'", path);
    if (system(command))
        power_die("cannot remove", path);
}

static void wait_for(pid_t pid, const char *what, bool killed)
{
    int status;

    if (waitpid(pid, &status, 0) != pid || (status != 0 && !killed))
        power_die(what, "ended badly");
}

static pid_t fork_now(void)
{
    pid_t pid;

    (void)fflush(stdout);
    pid = fork();
    if (pid < 0)
        power_die("fork", "failed");
    return pid;
}

static void judge(const struct round *round, const char *image)
{
    unsigned boot = ++boots;
    pid_t pid = fork_now();

    if (pid == 0)
        power_judge(round, image, boot);
    wait_for(pid, "the process after the cut", false);
}

static bool all_well(void)
{
    unsigned rule, bad = 0;

    for (rule = 0; rule < RULES; rule++)
        bad += shared->findings.bad[rule];
    return bad == 0;
}

/* The cuts of a round, each judged; false: a rule was broken, which ends it. */
static bool judge_all(const struct round *round, const char *image, int told,
                      int go_on)
{
    char byte;
    unsigned i;

    for (i = 1; i <= round->cuts; i++) {
        if (read(told, &byte, 1) != 1)
            power_die("load", "ended before its last cut");
        judge(round, image);
        if (!all_well())
            return false;
        if (i == round->cuts)
            break;
        remove_tree(image);
        if (write(go_on, "g", 1) != 1)
            power_die("load", "is gone");
    }
    return true;
}

/* Ends with `directory` being what the last cut has left of it. */
static bool play(struct round *round, const char *directory)
{
    int tell[2], go_on[2];
    char image[80];
    pid_t pid;
    bool well;

    (void)snprintf(image, sizeof(image), "%s/image", parent);
    if (pipe(tell) < 0 || pipe(go_on) < 0)
        power_die("pipe", "failed");
    if (round->rebooted)
        boots++;
    round->boot = boots;
    pid = fork_now();
    if (pid == 0) {
        hf_log_open("test", HF_LOG_ERROR + 1, false);
        power_load(round, directory, image, tell[1], go_on[0]);
    }
    (void)close(tell[1]);
    (void)close(go_on[0]);
    well = judge_all(round, image, tell[0], go_on[1]);
    if (!well)
        (void)kill(pid, SIGKILL); /* it waits to go on */
    wait_for(pid, "the load", !well);
    (void)close(tell[0]);
    (void)close(go_on[1]);
    remove_tree(directory);
    if (rename(image, directory) < 0)
        power_die("rename", image);
    memcpy(&shared->now, &shared->at_cut, sizeof(shared->now));
    return well;
}

static void make_journal(const char *directory)
{
    pid_t pid = fork_now();

    if (pid == 0) {
        struct hf_why why = {""};
        bool existed;

        power_boot(boots);
        if (hf_dir_init(directory, NULL, &existed, &why))
            power_die("init", why.text);
        _exit(0);
    }
    wait_for(pid, "init", false);
    memset(&shared->now, 0, sizeof(shared->now));
}

/* The kinds take turns, so that a short run has some of each. */
static struct round next_round(unsigned number, uint64_t *seed)
{
    uint64_t random = disk_random(seed);

    return (struct round){
        .seed = random,
        .durability = number % 2 ? HF_DURABILITY_NORMAL : HF_DURABILITY_FULL,
        .foreign = random % 4 ? FOREIGN_FULL + (number / 2) % 2 : FOREIGN_NONE,
        .deletes = number % 3 == 0,
        .scripts_first = (random >> 20) % 3 == 0,
        .soon = number % 3 == 1,
        .rebooted = (random >> 28) % 2};
}

static void rounds(unsigned cuts, uint64_t seed)
{
    unsigned number = 0;
    char directory[80];

    (void)snprintf(directory, sizeof(directory), "%s/journal", parent);
    make_journal(directory);
    while (cuts > 0) {
        struct round round = next_round(number++, &seed);

        round.cuts = round.soon ? 2 : CUTS_A_ROUND;
        if (round.cuts > cuts)
            round.cuts = cuts;
        cuts -= round.cuts;
        if (!play(&round, directory))
            return;
        if (shared->now.next > MESSAGES / 2) {
            remove_tree(directory);
            make_journal(directory);
        }
    }
}

/* The power fails while a journal is made, or its tables are brought forward,
 * and right after. */
static void beginnings(unsigned cuts, uint64_t seed)
{
    char directory[80], image[80];
    pid_t pid;

    (void)snprintf(directory, sizeof(directory), "%s/init", parent);
    (void)snprintf(image, sizeof(image), "%s/init-image", parent);
    while (cuts-- > 0 && all_well()) {
        uint64_t random = disk_random(&seed);

        power_boot(++boots);
        pid = fork_now();
        if (pid == 0 && cuts % 2)
            power_init(directory, image, random);
        if (pid == 0)
            power_migrate(directory, image, random);
        wait_for(pid, "the beginning", false);
        power_boot(++boots);
        pid = fork_now();
        if (pid == 0 && cuts % 2)
            power_judge_init(image);
        if (pid == 0)
            power_judge_migrate(image);
        wait_for(pid, "the beginning after the cut", false);
        remove_tree(directory);
        if (all_well())
            remove_tree(image);
    }
}

/* --- verdict -------------------------------------------------------------- */

static void test(bool passed, const char *sentence)
{
    printf("%sok %u - %s\n", passed ? "" : "not ", ++tests, sentence);
    failed += !passed;
}

static void report(void)
{
    const struct findings *f = &shared->findings;

    printf("# %u cuts: %u at any change, %u at a write to the WAL, %u at its "
           "restart, %u before its sync, %u in a checkpoint, %u before its "
           "sync, %u at a truncation, %u at a name\n",
           f->cuts, f->at[DISK_ANY], f->at[DISK_WAL_WRITE],
           f->at[DISK_WAL_RESTART], f->at[DISK_WAL_SYNC],
           f->at[DISK_MAIN_WRITE], f->at[DISK_MAIN_SYNC], f->at[DISK_TRUNCATE],
           f->at[DISK_NAME]);
    printf("# %" PRIu64 " promised and there, %" PRIu64 " deleted, %" PRIu64
           " unpromised and there, %" PRIu64 " lost; of those published with "
           "durability normal %" PRIu64 " lost\n",
           f->promised, f->deleted, f->unpromised, f->lost, f->lost_normal);
    printf("# %" PRIu64 " cursors came back: %" PRIu64 " gaps, %" PRIu64
           " resets; %" PRIu64 " new epochs; %" PRIu64
           " keyed repeats, %" PRIu64 " new ids\n",
           f->cursors, f->gaps, f->resets, f->new_epochs, f->repeats, f->fresh);
}

static void verdict(void)
{
    unsigned rule;

    report();
    for (rule = 0; rule < RULES; rule++)
        test(shared->findings.bad[rule] == 0, sentences[rule]);
    test(shared->findings.promised > 100, "there was something to lose");
}

/* The same with scripts that do not sync: the test must see what is lost. */
static void control(uint64_t seed)
{
    struct round round = {.seed = disk_random(&seed),
                          .cuts = 6,
                          .foreign = FOREIGN_OFF,
                          .control = true};
    char directory[80];

    memset(&shared->findings, 0, sizeof(shared->findings));
    (void)snprintf(directory, sizeof(directory), "%s/control", parent);
    make_journal(directory);
    (void)play(&round, directory);
    printf("# control, synchronous=OFF: %u cuts, %" PRIu64
           " promised messages lost, %u times the file was damaged\n",
           shared->findings.cuts, shared->findings.lost,
           shared->findings.corrupt);
    test(shared->findings.lost > 0 || shared->findings.corrupt > 0,
         "without sync messages are lost, and this test notices");
}

int main(int argc, char **argv)
{
    unsigned cuts =
        argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : POWER_CUTS;
    const char *tmp = getenv("TMPDIR");
    uint64_t seed;

    if (hf_random(&seed, sizeof(seed)))
        power_die("random", "failed");
    seed &= UINT32_MAX;
    if (argc > 2)
        seed = strtoull(argv[2], NULL, 10);
    printf("# seed %" PRIu64 "\n", seed);
    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    (void)snprintf(parent, sizeof(parent), "%.30s/holdfast-power.XXXXXX",
                   tmp ? tmp : "/tmp");
    if (shared == MAP_FAILED || !mkdtemp(parent))
        power_die("memory or directory", "failed");
    rounds(cuts, seed);
    beginnings(cuts / 2, seed);
    verdict();
    control(seed);
    printf("1..%u\n", tests);
    if (failed > 0 && getenv("HF_KEEP"))
        printf("# what was left: %s\n", parent);
    else
        remove_tree(parent);
    return failed > 0;
}
