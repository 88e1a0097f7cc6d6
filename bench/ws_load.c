/*
 * ws_load - thousands of WebSocket clients that check what they are sent
 *
 *     ws_load [OPTION...] unix:PATH|A.B.C.D:PORT [COMMAND]...
 *
 *     -n CLIENTS   1000; as many as there are descriptors, about 19,000
 *     -t TOPICS    1
 *     -k EACH      topics that each client joins, 1
 *     -o FIRST     number of the first topic, 0: room:0 and on
 *     -f FROM      messages of a topic are numbered from FROM + 1 on, 0
 *     -w WINDOW    handshakes under way at once, 256
 *     -b BYTES     of a payload, 100
 *     -i SECONDS   between two heartbeats of a client, 30; 0: none
 *     -a COUNT     TCP: come from so many addresses, 127.1.0.1 and on
 *     -H LINE      a further header line, "Name: value"; may be given again
 *     -r MS        who is dropped comes back within MS, or when a goodbye says
 *                  retry_ms=; without it they stay away until `resume`
 *     -S           join as stock clients do, without `since`
 *     -s           wss; any certificate will do
 *
 * Commands, one an argument, or without any one a line on standard input:
 *
 *     connect [N]   the first N clients connect and join, all of them by default
 *     run SECONDS   let time pass
 *     rate R        from here on publish R messages a second, over all topics in
 *                   turn, by each topic's first client
 *     churn R       from here on end R connections a second, in all ways there
 *                   are (see load/churn.c); half come back as new ones
 *     fan N         N messages to topic 0, each when all have the one before
 *     settle        wait until everybody has everything
 *     reach N       until every member has number N, whoever publishes
 *     cut [fin|reset|leave]   end all connections at once; they stay away
 *     resume [N]    those who are away come back, all at once as far as WINDOW
 *                   allows, and the time until each has number N is measured
 *     window N      as -w
 *     echo TEXT     on standard output
 *
 * Each command that takes time prints one line of JSON: how many clients are
 * joined, what was counted (load/fleet.h) and how long things took since the
 * line before. The last line is a sum; exit 1 if anything was lost, came twice
 * or out of order, or a command did not come to its end.
 */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "bench/load/fleet.h"

#define LONGEST (120 * HF_NS_PER_S) /* of what waits for something to happen */

static struct hf_fleet fleet;
static uint64_t sums[HF_TALLYS];
static bool unfinished;

/* --- reports --------------------------------------------------------------- */

static double ms(uint64_t ns)
{
    return (double)ns / 1e6;
}

static void report_times(const char *name, struct hf_times *times)
{
    if (times->count > 0)
        (void)printf(",\"%s_ms\":{\"n\":%" PRIu64 ",\"p50\":%.3f,\"p90\":%.3f,"
                     "\"p99\":%.3f,\"p999\":%.3f,\"max\":%.3f}",
                     name, times->count, ms(hf_times_at(times, 0.5)),
                     ms(hf_times_at(times, 0.9)), ms(hf_times_at(times, 0.99)),
                     ms(hf_times_at(times, 0.999)), ms(times->max));
    memset(times, 0, sizeof(*times));
}

static double own_cpu(void)
{
    struct rusage used;

    (void)getrusage(RUSAGE_SELF, &used);
    return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
           (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

static void report_counts(const uint64_t *counts)
{
    unsigned i;

    for (i = 0; i < HF_TALLYS; i++)
        if (counts[i] > 0)
            (void)printf(",\"%s\":%" PRIu64, hf_tally_names[i], counts[i]);
}

/* And begin to count anew. */
static void report(const char *did, int64_t began_ns)
{
    static double cpu_before;
    double cpu = own_cpu();
    unsigned i;

    (void)printf("{\"did\":\"%s\",\"seconds\":%.3f,\"joined\":%u,\"away\":%u,"
                 "\"behind\":%u",
                 did, (double)(hf_now_ns() - began_ns) / 1e9,
                 fleet.in_state[HF_CLIENT_JOINED],
                 fleet.in_state[HF_CLIENT_AWAY], hf_fleet_behind(&fleet));
    report_counts(fleet.counts);
    report_times("latency", &fleet.latency);
    report_times("ack", &fleet.ack);
    report_times("beat", &fleet.beats);
    report_times("up", &fleet.up);
    report_times("reached", &fleet.reached);
    (void)printf(",\"own_cpu\":%.3f}\n", cpu - cpu_before);
    (void)fflush(stdout);
    cpu_before = cpu;
    for (i = 0; i < HF_TALLYS; i++)
        sums[i] += fleet.counts[i];
    memset(fleet.counts, 0, sizeof(fleet.counts));
}

static int report_sum(void)
{
    bool wrong = sums[HF_TALLY_LOST] + sums[HF_TALLY_AGAIN] +
                     sums[HF_TALLY_BAD] + sums[HF_TALLY_GAPS] >
                 0;

    (void)printf("{\"did\":\"all\",\"good\":%s",
                 wrong || unfinished ? "false" : "true");
    report_counts(sums);
    (void)printf("}\n");
    return wrong || unfinished;
}

/* --- commands -------------------------------------------------------------- */

static bool all_are_there(const struct hf_fleet *f)
{
    return f->in_state[HF_CLIENT_JOINED] + f->unwanted == f->options.clients;
}

static bool none_is_leaving(const struct hf_fleet *f)
{
    return f->in_state[HF_CLIENT_LEAVING] == 0;
}

static bool goal_is_reached(const struct hf_fleet *f)
{
    return f->goal_left == 0;
}

static bool is_settled(const struct hf_fleet *f)
{
    static int64_t looked_ns; /* not at each event: it is a look at all */
    uint64_t due = f->counts[HF_TALLY_PUSHES] + sums[HF_TALLY_PUSHES];
    uint64_t answered =
        f->counts[HF_TALLY_PUSHES_OK] + sums[HF_TALLY_PUSHES_OK] +
        f->counts[HF_TALLY_PUSHES_REFUSED] + sums[HF_TALLY_PUSHES_REFUSED];

    if (answered < due || f->now_ns < looked_ns + 10 * HF_NS_PER_MS)
        return false;
    looked_ns = f->now_ns;
    return hf_fleet_behind(f) == 0;
}

static void wait_for(bool (*done)(const struct hf_fleet *f))
{
    if (!hf_fleet_run(&fleet, hf_now_ns() + LONGEST, done))
        unfinished = true;
}

static void connect_some(double count)
{
    hf_fleet_want(&fleet, count > 0 ? (unsigned)count : fleet.options.clients);
    wait_for(all_are_there);
}

static void fan(double count)
{
    unsigned i;

    for (i = 0; i < (unsigned)count && !unfinished; i++) {
        if (!hf_fleet_push(&fleet, 0)) {
            unfinished = true;
            return;
        }
        fleet.goal = fleet.topics[0].newest;
        fleet.goal_left = fleet.topics[0].joined;
        fleet.goal_ns = hf_now_ns();
        wait_for(goal_is_reached);
    }
    fleet.goal = 0;
}

static void reach(double number)
{
    hf_fleet_aim(&fleet, (uint32_t)number);
    wait_for(goal_is_reached);
    fleet.goal = 0;
}

static void cut(const char *how)
{
    unsigned i;

    fleet.now_ns = hf_now_ns();
    for (i = 0; i < fleet.options.clients; i++) {
        struct hf_client *client = &fleet.clients[i];

        if (client->state == HF_CLIENT_AWAY) {
            fleet.unwanted += client->wanted;
            client->wanted = false;
            continue;
        }
        if (strcmp(how, "leave") == 0 && client->state == HF_CLIENT_JOINED)
            hf_client_leave(&fleet, client, -1);
        else
            hf_client_cut(&fleet, client, strcmp(how, "reset") == 0, -1);
    }
    wait_for(none_is_leaving);
}

static void resume(double number)
{
    if (number > 0)
        hf_fleet_aim(&fleet, (uint32_t)number);
    hf_fleet_want(&fleet, fleet.options.clients);
    wait_for(all_are_there);
    if (number > 0)
        wait_for(goal_is_reached);
    fleet.goal = 0;
}

/* False: there is no such command. */
static bool obey(const char *line)
{
    int64_t began_ns = hf_now_ns();
    char word[16] = "", how[16] = "";
    double number = 0;

    (void)sscanf(line, "%15s %15s", word, how);
    (void)sscanf(line, "%*s %lf", &number);
    if (strcmp(word, "connect") == 0)
        connect_some(number);
    else if (strcmp(word, "run") == 0)
        (void)hf_fleet_run(&fleet, began_ns + (int64_t)(number * 1e9), NULL);
    else if (strcmp(word, "fan") == 0)
        fan(number);
    else if (strcmp(word, "settle") == 0)
        wait_for(is_settled);
    else if (strcmp(word, "reach") == 0)
        reach(number);
    else if (strcmp(word, "cut") == 0)
        cut(how);
    else if (strcmp(word, "resume") == 0)
        resume(number);
    else {
        if (strcmp(word, "rate") == 0)
            hf_fleet_push_rate(&fleet, number);
        else if (strcmp(word, "churn") == 0)
            hf_fleet_churn_rate(&fleet, number);
        else if (strcmp(word, "window") == 0)
            fleet.options.window = (unsigned)number;
        else if (strcmp(word, "echo") == 0)
            (void)printf("%s\n", line + strlen("echo "));
        else
            return false;
        return true;
    }
    report(word, began_ns);
    return true;
}

/* --- start ----------------------------------------------------------------- */

static _Noreturn void usage(void)
{
    (void)fprintf(stderr,
                  "usage: ws_load [-n CLIENTS] [-t TOPICS] [-k EACH] [-o FIRST]"
                  " [-f FROM]\n"
                  "    [-w WINDOW] [-b BYTES] [-i SECONDS] [-a COUNT]"
                  " [-H LINE] [-r MS] [-S] [-s]\n"
                  "    unix:PATH|A.B.C.D:PORT [COMMAND]...\n");
    exit(2);
}

static unsigned number_of(const char *text)
{
    char *end;
    unsigned long number = strtoul(text, &end, 10);

    if (*text == '\0' || *end != '\0' || number > 1000000000)
        usage();
    return (unsigned)number;
}

/* Options that are a number, and where it goes. */
static unsigned *numbered(struct hf_fleet_options *options, int option)
{
    switch (option) {
    case 'n':
        return &options->clients;
    case 't':
        return &options->topics;
    case 'k':
        return &options->each;
    case 'o':
        return &options->first;
    case 'f':
        return &options->from;
    case 'w':
        return &options->window;
    case 'b':
        return &options->payload;
    case 'i':
        return &options->beat_s;
    case 'a':
        return &options->to.froms;
    default:
        return NULL;
    }
}

/* Where it connects comes behind. */
static struct hf_fleet_options options_of(int argc, char **argv,
                                          struct hf_buf *headers)
{
    struct hf_fleet_options options = {
        .clients = 1000,
        .topics = 1,
        .each = 1,
        .window = 256,
        .payload = 100,
        .beat_s = 30,
        .back_ms = -1,
    };
    int option;

    while ((option = getopt(argc, argv, "n:t:k:o:f:w:b:i:a:H:r:Ss")) != -1) {
        unsigned *number = numbered(&options, option);

        if (number)
            *number = number_of(optarg);
        else if (option == 'H')
            (void)hf_buf_addf(headers, "%s\r\n", optarg);
        else if (option == 'r')
            options.back_ms = number_of(optarg);
        else if (option == 'S')
            options.stock = true;
        else if (option == 's')
            options.tls = true;
        else
            usage();
    }
    if (optind == argc || options.clients == 0 || options.topics == 0 ||
        options.each == 0 || options.each > options.topics)
        usage();
    options.headers = hf_buf_str(headers);
    return options;
}

static void obey_or_end(const char *line)
{
    if (obey(line))
        return;
    (void)fprintf(stderr, "ws_load: there is no command '%s'\n", line);
    exit(2);
}

int main(int argc, char **argv)
{
    struct hf_fleet_options options;
    struct hf_buf headers;
    char line[256];
    int i;

    hf_buf_init(&headers, 8192);
    options = options_of(argc, argv, &headers);
    (void)signal(SIGPIPE, SIG_IGN);
    if (!hf_stream_target(&options.to, argv[optind], options.tls) ||
        hf_fleet_open(&fleet, &options))
        return 2;
    for (i = optind + 1; i < argc; i++)
        obey_or_end(argv[i]);
    while (argc == optind + 1 && fgets(line, sizeof(line), stdin)) {
        line[strcspn(line, "\n")] = '\0';
        if (line[0] != '\0')
            obey_or_end(line);
    }
    i = report_sum();
    hf_fleet_close(&fleet);
    hf_buf_release(&headers);
    return i;
}
