/*
 * holdfast status - what the journal holds and who waits for it
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "channel/cursor.h"
#include "channel/witness.h"
#include "cli/cli.h"
#include "schema/bell.h"
#include "schema/failed.h"
#include "schema/holders.h"
#include "schema/holds.h"
#include "schema/inquiry.h"
#include "schema/live.h"
#include "schema/policies.h"
#include "schema/presences.h"
#include "schema/running.h"
#include "schema/space.h"

#define ASK_MS 2000 /* for the processes that are asked */

static const char help[] =
    "Usage: holdfast status\n"
    "\n"
    "Print what the journal holds and who waits for it, one fact a line: a "
    "name,\n"
    "blanks, a value.\n"
    "\n"
    "  journal      the file\n"
    "  head         the cursor of the end: everything published is before it\n"
    "  version      of this program\n"
    "  durability   as in holdfast.conf\n"
    "  publishing   yes; or no, with the reason a publisher is told and what "
    "to do\n"
    "  log          bytes of the write-ahead log, of how many at most; beyond, "
    "the\n"
    "               programs that keep a transaction open\n"
    "  room         bytes free on the disk, and those of the ballast\n"
    "  writing      the process that holds the write lock, or no\n"
    "  waiting      processes that wait for messages: how many, and their ids\n"
    "  side-car     no; or its process, and those of its workers\n"
    "  process      one line for each that stays: what it is, its version, and\n"
    "               WebSockets and members, or polls held\n"
    "  sessions     long-poll sessions seen within a lease (45 s)\n"
    "  holding      polls held, of how many that may be; sessions of stock "
    "clients\n"
    "               that count as one each; the last refusal that was told of\n"
    "  present      entries of presence, and of how many topics\n"
    "  policy       one line each: pattern, rights, echo\n";

static int print_head(struct hf_cli *cli)
{
    uint64_t head;
    int err = hf_journal_head(cli->journal, &head);

    if (err)
        return err;
    printf("journal      %s/" HF_FILE_JOURNAL "\nhead         ", cli->dir.path);
    hf_cli_print_cursor(cli, head);
    printf("version      %s\n", PACKAGE_VERSION);
    printf("durability   %s\n",
           cli->settings.durability == HF_DURABILITY_FULL ? "full" : "normal");
    return 0;
}

static int64_t log_bytes(const struct hf_cli *cli)
{
    struct stat st;

    return fstatat(cli->dir.fd, HF_FILE_JOURNAL "-wal", &st,
                   AT_SYMLINK_NOFOLLOW) == 0
               ? st.st_size
               : 0;
}

static void print_by_room(enum hf_space_state state)
{
    switch (state) {
    case HF_SPACE_ENOUGH:
        printf("publishing   yes\n");
        break;
    case HF_SPACE_TRY: /* who finds no room leaves it so */
        printf("publishing   no: journal_full; the next who publishes tries "
               "whether there is room for the ballast\n");
        break;
    case HF_SPACE_FULL:
        printf("publishing   no: journal_full; it goes on when there is "
               "room\n");
        break;
    }
}

/* Asked of the files and without trying anything, for looking changes nothing;
 * the first who publishes finds out. */
static void print_publishing(const struct hf_cli *cli)
{
    pid_t stranded = hf_journal_stranded(&cli->dir);
    char flag[HF_FAILED_TEXT];
    struct hf_space space;

    hf_journal_space(cli->journal, &space);
    if (stranded)
        printf("publishing   no: process %ld has files that were moved, "
               "replaced or deleted below it; stop all programs that use the "
               "journal, then start them again\n",
               (long)stranded);
    else if (hf_failed_read(&cli->dir, flag) != HF_ENOTFOUND)
        printf("publishing   no: journal_failed (%s); see to the disk, then "
               "run holdfast check --rescue\n",
               flag);
    else if (log_bytes(cli) > cli->settings.max_wal)
        printf("publishing   no: journal_blocked; it goes on when who keeps "
               "a transaction open ends it\n");
    else
        print_by_room(hf_space_judge(&space));
}

static void print_log(const struct hf_cli *cli)
{
    int64_t bytes = log_bytes(cli);
    char readers[160] = "";

    if (bytes > cli->settings.max_wal)
        (void)hf_holders(&cli->dir, HF_HOLD_READ, readers, sizeof(readers));
    printf("log          %lld of %lld%s%s\n", (long long)bytes,
           (long long)cli->settings.max_wal, readers[0] ? ", kept by " : "",
           readers);
}

static void print_room(const struct hf_cli *cli)
{
    int64_t room = hf_space_free(&cli->dir);

    if (room < 0)
        printf("room         unknown");
    else
        printf("room         %lld", (long long)room);
    printf(", ballast %lld\n", (long long)hf_space_ballast(&cli->dir));
}

static void print_writing(const struct hf_cli *cli)
{
    pid_t holder = hf_journal_holder(&cli->dir);
    char foreign[160];

    if (holder)
        printf("writing      process %ld\n", (long)holder);
    else if (hf_holders(&cli->dir, HF_HOLD_WRITE, foreign, sizeof(foreign)))
        printf("writing      process %s, which is not Holdfast's\n", foreign);
    else
        printf("writing      no\n");
}

static int print_waiting(const struct hf_cli *cli)
{
    struct hf_bell_owner owners[HF_BELL_SLOTS];
    struct hf_bell *bell;
    size_t count;
    int err = hf_bell_open(&cli->dir, &bell);

    if (err)
        return err;
    count = hf_bell_owners(bell, owners, HF_BELL_SLOTS);
    hf_bell_close(bell);
    printf("waiting      %zu", count);
    for (size_t i = 0; i < count; i++)
        printf("%s%lld",
               i            ? ", "
               : count == 1 ? " process: "
                            : " processes: ",
               (long long)owners[i].pid);
    putchar('\n');
    return 0;
}

static void print_sidecar(const struct hf_cli *cli)
{
    pid_t workers[HF_WORKERS_MAX];
    unsigned count, i;
    pid_t parent = hf_running_read(&cli->dir, workers, &count);

    if (!parent) {
        printf("side-car     no\n");
        return;
    }
    printf("side-car     process %ld, workers %u", (long)parent, count);
    for (i = 0; i < count; i++)
        printf("%s%ld", i ? ", " : ": ", (long)workers[i]);
    putchar('\n');
}

static void on_process(void *ctx, pid_t pid, const struct hf_str *answer)
{
    struct hf_witness_state state;
    int err = answer ? hf_witness_read_state(*answer, &state) : HF_EBUSY;

    (void)ctx;
    printf("process      %ld, ", (long)pid);
    if (err == HF_EBUSY)
        printf("did not answer\n");
    else if (err == HF_EAGAIN)
        printf("has served nobody yet\n");
    else if (err)
        printf("of another version\n");
    else if (hf_str_eq(state.kind, HF_STR("gateway")))
        printf("gateway %.*s, polls held %llu\n", HF_STR_ARG(state.version),
               (unsigned long long)state.held);
    else
        printf("side-car %.*s, WebSockets %llu, members %llu, of these behind "
               "%llu\n",
               HF_STR_ARG(state.version), (unsigned long long)state.sockets,
               (unsigned long long)state.members,
               (unsigned long long)state.lagging);
}

/* Those of plain CGI do not stay, and are not asked. */
static int print_processes(const struct hf_cli *cli)
{
    unsigned unasked = 0;
    int err = hf_inquiry_ask(&cli->dir, HF_STR(HF_WITNESS_STATE), ASK_MS,
                             on_process, NULL, &unasked);

    if (!err && unasked > 0)
        printf("process      and %u more\n", unasked);
    return err;
}

static int print_sessions(const struct hf_cli *cli, struct hf_why *why)
{
    struct hf_live *live;
    uint64_t count;
    int err = hf_live_open(&cli->dir, &live, why);

    if (err)
        return err;
    err = hf_live_count(live, cli->settings.lease_ms, &count);
    hf_live_close(live);
    if (err)
        return err;
    printf("sessions     %llu\n", (unsigned long long)count);
    return 0;
}

/* What a killed process held is not to be counted: it is taken out here, as
 * whoever finds no room does. */
static int print_holding(const struct hf_cli *cli)
{
    int64_t now = hf_boot_ms(), ago;
    const struct hf_budget *budget;
    struct hf_holds_sum sum;
    struct hf_holds *holds;
    int err = hf_holds_open(&cli->dir, &holds);

    if (err)
        return err;
    (void)hf_holds_bury(holds);
    sum = hf_holds_sum(holds, 0);
    budget = hf_holds_budget(holds);
    ago = now - atomic_load(&budget->report_ms);
    printf("holding      %u", sum.held[HF_HELD_FULL] + sum.held[HF_HELD_BRIEF] +
                                  sum.held[HF_HELD_STOCK]);
    if (atomic_load(&budget->first) == 0)
        printf(", nobody has asked yet");
    else
        printf(" of %u", atomic_load(&budget->now));
    if (atomic_load(&budget->ceiling) > 0 &&
        atomic_load(&budget->ceiling) < UINT32_MAX)
        printf(", at most %u", atomic_load(&budget->ceiling));
    printf(", stock sessions %u", atomic_load(&budget->stock));
    if (atomic_load(&budget->reports) > 0 && ago >= 0)
        printf(", refused with %u %lld s ago",
               atomic_load(&budget->report_status), (long long)ago / 1000);
    putchar('\n');
    hf_holds_close(holds);
    return 0;
}

static int print_present(const struct hf_cli *cli)
{
    uint64_t entries, topics;
    int err = hf_presences_count(cli->journal, &entries, &topics);

    if (!err)
        printf("present      %llu, on %llu topics\n",
               (unsigned long long)entries, (unsigned long long)topics);
    return err;
}

static int print_policy(void *ctx, const struct hf_policy *policy)
{
    char rights[32];

    (void)ctx;
    hf_rights_format(policy->rights, rights);
    printf("policy       %.*s  %s  echo %s", HF_STR_ARG(policy->pattern),
           rights, policy->echo ? "on" : "off");
    if (policy->rate > 0)
        printf("  rate %u", policy->rate);
    printf("\n");
    return 0;
}

static int print_status(struct hf_cli *cli)
{
    struct hf_why why = {""};
    int err;

    err = print_head(cli);
    if (!err) {
        print_publishing(cli);
        print_log(cli);
        print_room(cli);
        print_writing(cli);
        err = print_waiting(cli);
        print_sidecar(cli);
    }
    if (!err)
        err = print_processes(cli);
    if (!err)
        err = print_sessions(cli, &why);
    if (!err)
        err = print_holding(cli);
    if (!err)
        err = print_present(cli);
    if (!err)
        err = hf_policies_each(cli->journal, print_policy, NULL);
    if (!err)
        return hf_cli_flush(cli);

    (void)hf_cli_flush(cli); /* what we know, before what went wrong */
    if (!why.text[0])
        hf_cli_explain(cli, err, &why);
    return hf_cli_fail(cli, "%s", why.text);
}

static int run(struct hf_cli *cli, int argc, char **argv)
{
    static const struct option options[] = {HF_CLI_OPTIONS};
    int exit_code = HF_EXIT_OK;

    if (hf_cli_option(cli, argc, argv, ":h", options, &exit_code) < 0)
        return exit_code;
    if (optind < argc)
        return hf_cli_usage(cli, "status takes no operand");

    exit_code = hf_cli_open(cli, HF_JOURNAL_READ);
    if (!exit_code)
        exit_code = print_status(cli);
    hf_cli_close(cli);
    return exit_code;
}

const struct hf_command hf_command_status = {
    "status",
    "print what the journal holds and who waits for it",
    help,
    run,
};
