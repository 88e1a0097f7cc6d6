#include "sidecar/metrics.h"

#include "sidecar/prometheus.h"

/* Nothing is measured so finely that this were more than chance: `at` and the
 * clock it is compared with are milliseconds. */
#define WAKEUP_LEAST_US 1000

/* --- what grows ------------------------------------------------------------ */

struct value {
    const char *label; /* its value; NULL: the family has none */
    enum hf_counter at;
};

static const struct {
    const char *name;
    const char *help;
    const char *label; /* its name */
    struct value values[14];
} growing[] = {
    {"holdfast_accepted_total",
     "Connections accepted, whatever became of them.",
     NULL,
     {{NULL, HF_COUNT_ACCEPTED}}},
    {"holdfast_handshakes_total",
     "WebSockets opened.",
     NULL,
     {{NULL, HF_COUNT_HANDSHAKES}}},
    {"holdfast_tls_handshakes_total",
     "TLS handshakes completed.",
     NULL,
     {{NULL, HF_COUNT_TLS}}},
    {"holdfast_refusals_total",
     "Connections refused, by reason.",
     "reason",
     {
         {"path", HF_REFUSED_PATH},
         {"request", HF_REFUSED_REQUEST},
         {"subprotocol", HF_REFUSED_SUBPROTOCOL},
         {"origin", HF_REFUSED_ORIGIN},
         {"token", HF_REFUSED_TOKEN},
         {"application", HF_REFUSED_APPLICATION},
         {"failed", HF_REFUSED_FAILED},
         {"full", HF_REFUSED_FULL},
         {"address", HF_REFUSED_ADDRESS},
         {"rate", HF_REFUSED_RATE},
         {"slow", HF_REFUSED_SLOW},
         {"tls", HF_REFUSED_TLS},
         {"leaving", HF_REFUSED_LEAVING},
     }},
    {"holdfast_joins_total",
     "Joins, by how they were answered.",
     "result",
     {{"ok", HF_COUNT_JOINS}, {"refused", HF_COUNT_JOINS_REFUSED}}},
    {"holdfast_pushes_total",
     "Pushes, by what became of them; failed: the journal did not take them.",
     "result",
     {{"ok", HF_COUNT_PUSHES},
      {"refused", HF_COUNT_PUSHES_REFUSED},
      {"failed", HF_COUNT_PUSHES_FAILED}}},
    {"holdfast_messages_received_total",
     "Messages from sockets.",
     NULL,
     {{NULL, HF_COUNT_RECEIVED}}},
    {"holdfast_messages_sent_total",
     "Messages to sockets: rows and replies.",
     NULL,
     {{NULL, HF_COUNT_SENT}}},
    {"holdfast_received_bytes_total",
     "Bytes of frames from sockets.",
     NULL,
     {{NULL, HF_COUNT_RECEIVED_BYTES}}},
    {"holdfast_sent_bytes_total",
     "Bytes of frames to sockets.",
     NULL,
     {{NULL, HF_COUNT_SENT_BYTES}}},
    {"holdfast_pings_sent_total",
     "Pings to silent sockets.",
     NULL,
     {{NULL, HF_COUNT_PINGS}}},
    {"holdfast_rows_read_total",
     "Rows of the journal that a worker read for its members.",
     NULL,
     {{NULL, HF_COUNT_ROWS_READ}}},
    {"holdfast_encodings_total",
     "Rows encoded: once for each form in use.",
     NULL,
     {{NULL, HF_COUNT_ENCODED}}},
    {"holdfast_deliveries_total",
     "Rows delivered: once for each member.",
     NULL,
     {{NULL, HF_COUNT_DELIVERED}}},
    {"holdfast_refilled_rows_total",
     "Deliveries that were read from the journal for one member.",
     NULL,
     {{NULL, HF_COUNT_REFILLED}}},
    {"holdfast_gaps_total",
     "Memberships ended because rows were deleted before they were read.",
     NULL,
     {{NULL, HF_COUNT_GAPS}}},
    {"holdfast_untimed_rows_total",
     "Rows left out of holdfast_wakeup_seconds for an impossible time.",
     NULL,
     {{NULL, HF_COUNT_UNTIMED_ROWS}}},
};

static void write_growing(const struct hf_counts *counts, struct hf_buf *out)
{
    size_t i, k;

    for (i = 0; i < sizeof(growing) / sizeof(growing[0]); i++) {
        hf_prometheus_family(out, growing[i].name, "counter", growing[i].help);
        for (k = 0; k == 0 || growing[i].values[k].label; k++) {
            const struct value *value = &growing[i].values[k];
            const struct hf_label labels[HF_LABELS] = {
                {growing[i].label, value->label}};

            hf_prometheus_number(out, growing[i].name, labels,
                                 counts->counter[value->at]);
        }
    }
}

static void write_closes(const struct hf_counts *counts, struct hf_buf *out)
{
    static const struct {
        const char *by;
        size_t first;
    } sides[] = {{"server", HF_CLOSED_BY_US}, {"client", HF_CLOSED_BY_PEER}};
    static const char name[] = "holdfast_closes_total";
    size_t i, kind;

    hf_prometheus_family(out, name, "counter",
                         "Sockets ended, by close code and who began.");
    for (i = 0; i < 2; i++)
        for (kind = 0; kind < HF_CLOSE_KINDS; kind++) {
            const struct hf_label labels[HF_LABELS] = {
                {"by", sides[i].by}, {"code", hf_close_kind_name(kind)}};

            hf_prometheus_number(out, name, labels,
                                 counts->counter[sides[i].first + kind]);
        }
}

/* --- what there is ---------------------------------------------------------- */

static void write_gauge(struct hf_buf *out, const char *name, const char *help,
                        uint64_t value)
{
    hf_prometheus_family(out, name, "gauge", help);
    hf_prometheus_number(out, name, NULL, value);
}

static void write_bytes(struct hf_buf *out, const char *name, const char *help,
                        int64_t bytes)
{
    if (bytes >= 0)
        write_gauge(out, name, help, (uint64_t)bytes);
}

static void write_connections(const struct hf_metrics *metrics,
                              const struct hf_counts *counts,
                              struct hf_buf *out)
{
    static const char name[] = "holdfast_connections";
    uint64_t all = counts->gauge[HF_HAS_SOCKETS];
    uint64_t tls = counts->gauge[HF_HAS_TLS_SOCKETS];

    hf_prometheus_family(out, name, "gauge",
                         "Clients connected now, by transport.");
    /* read one after the other while they change */
    hf_prometheus_number(out, name,
                         (struct hf_label[HF_LABELS]){{"transport", "ws"}},
                         all > tls ? all - tls : 0);
    hf_prometheus_number(
        out, name, (struct hf_label[HF_LABELS]){{"transport", "wss"}}, tls);
    if (metrics->polls_known)
        hf_prometheus_number(
            out, name, (struct hf_label[HF_LABELS]){{"transport", "poll"}},
            metrics->polls);
}

static void write_sockets(const struct hf_metrics *metrics,
                          const struct hf_counts *counts, struct hf_buf *out)
{
    write_connections(metrics, counts, out);
    write_gauge(out, "holdfast_sockets_max",
                "WebSockets that may be open at once.",
                counts->gauge[HF_HAS_ROOM]);
    write_gauge(out, "holdfast_blocked_sockets",
                "WebSockets that take no more for now: slow readers.",
                counts->gauge[HF_HAS_BLOCKED]);
    write_gauge(out, "holdfast_handshakes_pending",
                "Connections that are not yet WebSockets.",
                counts->gauge[HF_HAS_HANDSHAKES]);
    if (metrics->polls_known)
        write_gauge(out, "holdfast_held_polls_max",
                    "Polls that may be held at once; it adapts itself.",
                    metrics->polls_max);
    write_gauge(out, "holdfast_members", "Joined topics of all WebSockets.",
                counts->gauge[HF_HAS_MEMBERS]);
    write_gauge(out, "holdfast_lagging_members",
                "Members that read from the journal, for they fell behind.",
                counts->gauge[HF_HAS_LAGGING]);
    write_gauge(out, "holdfast_topics",
                "Topics with members; of each worker that has some.",
                counts->gauge[HF_HAS_TOPICS]);
}

/* Nobody lags where nobody is joined: then no worker has a cursor. */
static uint64_t lag(const struct hf_metrics *metrics)
{
    uint64_t least = hf_counters_least(metrics->counters, HF_HAS_CURSOR);

    return least > 0 && least <= metrics->head ? metrics->head + 1 - least : 0;
}

static void write_journal(const struct hf_metrics *metrics, struct hf_buf *out)
{
    if (metrics->head_known)
        write_gauge(out, "holdfast_journal_lag_rows",
                    "Newest id less the id that the last worker has read.",
                    lag(metrics));
    write_bytes(out, "holdfast_journal_bytes", "Size of journal.db.",
                metrics->journal_bytes);
    write_bytes(out, "holdfast_wal_bytes", "Size of its write-ahead log.",
                metrics->wal_bytes);
    write_bytes(out, "holdfast_wal_max_bytes",
                "Above it nothing is published (max_wal).", metrics->max_wal);
    write_bytes(out, "holdfast_disk_free_bytes",
                "Room on the disk of the journal, quotas not counted.",
                metrics->disk_free);
}

/* --- the processes ----------------------------------------------------------- */

static void write_processes(const struct hf_metrics *metrics,
                            const struct hf_counts *counts, struct hf_buf *out)
{
    static const char info[] = "holdfast_build_info";
    static const char start[] = "holdfast_start_time_seconds";
    static const char restarts[] = "holdfast_worker_restarts_total";
    static const char cpu[] = "holdfast_cpu_seconds_total";
    const struct hf_counters *counters = metrics->counters;

    hf_prometheus_family(out, info, "gauge", "What is running; always 1.");
    hf_prometheus_number(
        out, info,
        (struct hf_label[HF_LABELS]){{"version", PACKAGE_VERSION},
                                     {"libmicrohttpd", metrics->http_version}},
        1);
    hf_prometheus_family(out, start, "gauge",
                         "When the side-car was started, since 1970.");
    hf_prometheus_seconds(out, start, NULL,
                          (uint64_t)hf_counters_since_ms(counters) * 1000);
    write_gauge(out, "holdfast_ready", "1 where /healthz/ready answers 200.",
                metrics->ready);
    write_gauge(out, "holdfast_workers", "Workers that take connections.",
                counts->gauge[HF_HAS_SERVING]);
    write_gauge(out, "holdfast_workers_wanted", "Workers there should be.",
                hf_counters_workers(counters));
    hf_prometheus_family(out, restarts, "counter",
                         "Workers that died and were replaced.");
    hf_prometheus_number(out, restarts, NULL, hf_counters_restarts(counters));
    hf_prometheus_family(out, cpu, "counter", "Processor time of the workers.");
    hf_prometheus_seconds(out, cpu, NULL, counts->counter[HF_COUNT_CPU_US]);
    write_gauge(out, "holdfast_resident_bytes",
                "Memory of the workers; what they share is counted in each.",
                counts->gauge[HF_HAS_RESIDENT]);
    if (counts->gauge[HF_HAS_HEAP] > 0)
        write_gauge(out, "holdfast_heap_bytes",
                    "Memory in use by the workers' heaps.",
                    counts->gauge[HF_HAS_HEAP]);
}

void hf_metrics_write(const struct hf_metrics *metrics, struct hf_buf *out)
{
    struct hf_counts counts;

    hf_counters_sum(metrics->counters, &counts);
    write_processes(metrics, &counts, out);
    write_sockets(metrics, &counts, out);
    write_growing(&counts, out);
    write_closes(&counts, out);
    write_journal(metrics, out);
    hf_prometheus_histogram(
        out, "holdfast_wakeup_seconds",
        "From a row's time to its being read by a worker with members.",
        &counts.timed[HF_TIMED_WAKEUP], WAKEUP_LEAST_US);
    hf_prometheus_histogram(out, "holdfast_turn_seconds",
                            "How long a worker was busy before it looked "
                            "at its sockets again.",
                            &counts.timed[HF_TIMED_TURN], 0);
    hf_prometheus_histogram(out, "holdfast_loop_delay_seconds",
                            "How late a worker's timer fired, once a second.",
                            &counts.timed[HF_TIMED_DELAY], 0);
}
