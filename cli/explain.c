/*
 * holdfast explain - what became of one message, and of one client's copy
 */
#include "cli/explain.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/sys.h"
#include "channel/cursor.h"
#include "channel/token.h"

#define WAIT_MS 3000 /* for the processes that are asked */

static const char help[] =
    "Usage: holdfast explain CURSOR [SESSION]\n"
    "\n"
    "Print what is known of the message with this cursor: whether and when it\n"
    "was published, whom it was for, who may have it, to whom it was sent, by\n"
    "whom it is acknowledged. The journal is read and the running processes\n"
    "are asked; what neither knows is called unknown, with the reason.\n"
    "\n"
    "SESSION is a session's id as it is printed here, a user's name, or a\n"
    "long-poll token as a browser sends it ('token=' in the URL). Without it\n"
    "all members of the topic are listed, 200 of each process at most.\n"
    "\n"
    "After the message a blank line stands before each session:\n"
    "\n"
    "  for it        was it a member then, and not left out?\n"
    "  authorised    may it have the topic, now?\n"
    "  sent          has it left us, and when?\n"
    "  acknowledged  has the client come back from beyond it?\n"
    "  heard of      how long ago\n";

/* --- words ----------------------------------------------------------------- */

const char *hf_explain_time(int64_t ms, char out[HF_EXPLAIN_TIME])
{
    time_t seconds = (time_t)(ms / 1000);
    struct tm utc;
    size_t len;

    if (ms <= 0 || !gmtime_r(&seconds, &utc) ||
        (len = strftime(out, HF_EXPLAIN_TIME - 8, "%Y-%m-%dT%H:%M:%S", &utc)) ==
            0)
        (void)snprintf(out, HF_EXPLAIN_TIME, "unknown");
    else
        (void)snprintf(out + len, HF_EXPLAIN_TIME - len, ".%03dZ",
                       (int)(ms % 1000));
    return out;
}

const char *hf_explain_cursor(const struct hf_explain *explain, uint64_t id,
                              char out[HF_CURSOR_MAX + 1])
{
    out[hf_cursor_format((struct hf_cursor){explain->epoch, id}, out)] = '\0';
    return out;
}

bool hf_explain_is_diff(const struct hf_explain *explain)
{
    return hf_str_eq(hf_str_of(explain->trace.event), HF_STR("presence_diff"));
}

/* --- the message ------------------------------------------------------------ */

static void print_message(const struct hf_explain *explain)
{
    const struct hf_trace *trace = &explain->trace;
    char time[HF_EXPLAIN_TIME];

    printf("published    yes, %s by the publisher's clock",
           hf_explain_time(trace->at_ms, time));
    if (trace->publisher[0])
        printf(", by %s", trace->publisher);
    if (trace->key[0])
        printf(", with the key %s", trace->key);
    printf("\ntopic        %s\nevent        %s\n", trace->topic, trace->event);
    printf("payload      %llu bytes%s", (unsigned long long)trace->bytes,
           trace->binary ? "" : " of JSON");
    if (trace->redacted_ms)
        printf("; what there was before was taken away %s",
               hf_explain_time(trace->redacted_ms, time));
    putchar('\n');
    if (trace->skip[0])
        printf("left out     session %s\n", trace->skip);
}

static void print_policy(const struct hf_explain *explain)
{
    struct hf_grant grant =
        hf_rights_of(explain->rights, NULL, hf_str_of(explain->trace.topic));

    printf("may join     %s\n",
           grant.rights & HF_RIGHT_JOIN
               ? "everybody, by policy"
               : "only who has a token, or an answer of the application, that "
                 "says so");
}

/* Is there a topic whose members can be told of? */
static bool print_what_it_is(const struct hf_explain *explain)
{
    const struct hf_trace *trace = &explain->trace;
    char text[HF_CURSOR_MAX + 1];

    printf("message      %s\n", hf_explain_cursor(explain, explain->id, text));
    switch (trace->is) {
    case HF_TRACE_MESSAGE:
        print_message(explain);
        print_policy(explain);
        return true;
    case HF_TRACE_DELETED:
        printf("published    yes, and removed since, by retention or by hand\n"
               "topic        %s\n",
               trace->topic);
        print_policy(explain);
        return true;
    case HF_TRACE_JOIN:
        printf("published    no: this is the place of a join, of session %s to "
               "%s\n",
               trace->session, trace->topic);
        return false;
    case HF_TRACE_FRAME:
        printf("published    no: this is the place of an answer to session "
               "%s\n",
               trace->session);
        return false;
    case HF_TRACE_OLD:
        printf("published    unknown: all messages up to %s were removed\n",
               hf_explain_cursor(explain, trace->removed, text));
        return false;
    case HF_TRACE_AHEAD:
        printf("published    no: the journal has only come to %s\n",
               hf_explain_cursor(explain, trace->head, text));
        return false;
    case HF_TRACE_NONE:
        printf("published    no message of this place is kept: it was never "
               "given to one, or the message was deleted and others of its "
               "topic behind it\n");
        return false;
    }
    return false;
}

/* --- the processes ------------------------------------------------------------ */

static void on_process(void *ctx, struct hf_str kind)
{
    struct hf_explain *explain = ctx;

    (void)hf_buf_addf(&explain->asked, "%s%.*s %ld",
                      explain->asked_count ? ", " : "", HF_STR_ARG(kind),
                      (long)explain->pid);
}

static void on_socket(void *ctx, const struct hf_witness_socket *socket)
{
    hf_explain_socket_heard(ctx, socket);
}

static void on_elsewhere(void *ctx, const struct hf_witness_elsewhere *there)
{
    hf_explain_elsewhere_heard(ctx, there);
}

static void on_totals(void *ctx, const struct hf_witness_totals *totals)
{
    struct hf_explain *explain = ctx;

    explain->totals.members += totals->members;
    explain->totals.due += totals->due;
    explain->totals.passed += totals->passed;
}

static void on_poll(void *ctx, const struct hf_witness_poll *poll)
{
    hf_explain_poll_heard(ctx, poll);
}

static void hear(void *ctx, pid_t pid, const struct hf_str *answer)
{
    struct hf_explain *explain = ctx;
    const struct hf_witness_heard heard = {on_process, on_socket, on_elsewhere,
                                           on_totals,  on_poll,   explain};
    const char *lack = NULL;

    explain->pid = pid;
    switch (answer ? hf_witness_read(*answer, explain->epoch, &heard)
                   : HF_EBUSY) {
    case 0:
        break;
    case HF_EAGAIN:
        return; /* it has served nobody */
    case HF_EBUSY:
        explain->silent++;
        (void)hf_buf_addf(&explain->asked, "%sprocess %ld",
                          explain->asked_count ? ", " : "", (long)pid);
        lack = "did not answer";
        break;
    case HF_ENOTFOUND:
        lack = "has not read this journal yet";
        break;
    default:
        lack = "of another version, not understood";
        break;
    }
    if (lack)
        (void)hf_buf_addf(&explain->asked, " (%s)", lack);
    explain->asked_count++;
}

static int ask(struct hf_explain *explain)
{
    const struct hf_witness_question question = {
        .epoch = explain->epoch,
        .id = explain->id,
        .topic = hf_str_of(explain->trace.topic),
        .skip = hf_str_of(explain->trace.skip),
        .diff = hf_explain_is_diff(explain),
        .who = explain->who,
    };
    unsigned unasked = 0;
    struct hf_buf text;
    int err;

    hf_buf_init(&text, HF_INQUIRY_QUESTION);
    hf_witness_ask(&text, &question);
    hf_explain_polls_ask(explain, &text);
    err = hf_buf_error(&text);
    if (!err)
        err = hf_inquiry_ask(&explain->cli->dir, hf_buf_str(&text), WAIT_MS,
                             hear, explain, &unasked);
    hf_buf_release(&text);
    if (!err && unasked > 0)
        (void)hf_buf_addf(&explain->asked, ", and %u more were not asked",
                          unasked);
    return err;
}

static void print_asked(const struct hf_explain *explain)
{
    printf("asked        %.*s\n",
           HF_STR_ARG(explain->asked_count ? hf_buf_str(&explain->asked)
                                           : HF_STR("nobody: no process that "
                                                    "stays runs here")));
    printf("WebSockets   %llu members, for %llu of them, sent to %llu\n",
           (unsigned long long)explain->totals.members,
           (unsigned long long)explain->totals.due,
           (unsigned long long)explain->totals.passed);
    printf("long-poll    %zu memberships%s\n", explain->polls_count,
           explain->polls_count == HF_WITNESS_MEMBERS
               ? ", and perhaps more that are not listed"
               : "");
}

/* --- all of it ---------------------------------------------------------------- */

static int print_sessions(struct hf_explain *explain)
{
    int err = 0;

    if (hf_explain_polls_print(explain))
        return HF_EXIT_FAILED;
    if (explain->sockets.len > 0)
        (void)fwrite(explain->sockets.at, 1, explain->sockets.len, stdout);
    if (explain->who.len == 0 || explain->polls_count > 0 ||
        explain->sockets_count > 0)
        return hf_cli_flush(explain->cli);
    err = hf_explain_stranger(explain);
    if (err == HF_ENOTFOUND)
        printf("\nsession      %.*s\n"
               "for it       unknown: no such session or user is known. A "
               "WebSocket leaves nothing behind when it ends, and a long-poll "
               "session goes some time after its last poll; one that has "
               "joined nothing is not seen here\n",
               HF_STR_ARG(explain->who));
    return hf_cli_flush(explain->cli);
}

static int explain_all(struct hf_explain *explain, struct hf_why *why)
{
    int err;

    err = hf_trace_id(explain->cli->journal, explain->id, &explain->trace);
    if (!err)
        err = hf_rights_new(&explain->rights);
    if (!err)
        err = hf_rights_refresh(explain->rights, explain->cli->journal, NULL);
    if (err)
        return err;
    if (!print_what_it_is(explain))
        return hf_cli_flush(explain->cli);
    err = hf_live_open(&explain->cli->dir, &explain->live, why);
    if (!err)
        err = hf_explain_polls_find(explain);
    if (!err)
        err = ask(explain);
    if (err)
        return err;
    print_asked(explain);
    return print_sessions(explain);
}

/* A token is a secret; what counts of it is whose it is. */
static struct hf_str session_of_token(const struct hf_cli *cli,
                                      struct hf_str text,
                                      struct hf_token *token)
{
    struct hf_hmac_key key;
    char secret[32];
    size_t len = 0;

    if (hf_file_read(cli->dir.fd, HF_FILE_SECRET, secret, sizeof(secret),
                     &len) ||
        len != sizeof(secret))
        return text;
    hf_hmac_key(&key, hf_str(secret, len));
    if (hf_token_parse(text, &key, token) == 0)
        text = hf_str(token->session, sizeof(token->session));
    explicit_bzero(&key, sizeof(key));
    explicit_bzero(secret, sizeof(secret));
    return text;
}

static int explain_cursor(struct hf_cli *cli, struct hf_cursor cursor,
                          const char *who)
{
    struct hf_explain explain = {
        .cli = cli, .epoch = hf_journal_epoch(cli->journal), .id = cursor.id};
    struct hf_token token;
    struct hf_why why = {""};
    int err;

    if (cursor.epoch != explain.epoch)
        return hf_cli_fail(cli, "the cursor is of another journal, or of this "
                                "one before it was restored or rescued: of "
                                "that nothing is known here");
    explain.who = session_of_token(cli, hf_str_of(who), &token);
    if (explain.who.len > HF_USER_MAX)
        return hf_cli_fail(cli, "SESSION is neither an id, nor a user, nor a "
                                "token of this journal");
    hf_buf_init(&explain.sockets, 1024u * 1024u);
    hf_buf_init(&explain.asked, 64u * 1024u);
    err = explain_all(&explain, &why);
    hf_live_close(explain.live);
    hf_rights_free(explain.rights);
    hf_explain_polls_free(&explain);
    hf_buf_release(&explain.sockets);
    hf_buf_release(&explain.asked);
    if (err >= 0)
        return err; /* an exit code */
    (void)hf_cli_flush(cli);
    if (!why.text[0])
        hf_cli_explain(cli, err, &why);
    return hf_cli_fail(cli, "%s", why.text);
}

static int run(struct hf_cli *cli, int argc, char **argv)
{
    static const struct option options[] = {HF_CLI_OPTIONS};
    int exit_code = HF_EXIT_OK;
    struct hf_cursor cursor;

    if (hf_cli_option(cli, argc, argv, ":h", options, &exit_code) < 0)
        return exit_code;
    if (argc - optind < 1 || argc - optind > 2)
        return hf_cli_usage(cli, "say which CURSOR, and perhaps which SESSION");
    if (hf_cursor_parse(hf_str_of(argv[optind]), &cursor))
        return hf_cli_usage(cli,
                            "'%s' is not a cursor; one looks like "
                            "j:mYcp-eDbWX4.42",
                            argv[optind]);

    exit_code = hf_cli_open(cli, HF_JOURNAL_READ);
    if (!exit_code)
        exit_code = explain_cursor(cli, cursor,
                                   argc - optind == 2 ? argv[optind + 1] : "");
    hf_cli_close(cli);
    return exit_code;
}

const struct hf_command hf_command_explain = {
    "explain",
    "print what became of one message, and of a client's copy",
    help,
    run,
};
