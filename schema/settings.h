/*
 * settings.h - holdfast.conf: settings of our processes
 *
 * What clients may do stands in the table `policies`, never here. A setting
 * that is absent has the default written below and in holdfast.conf itself.
 * Lists are separated by commas or blanks and may be continued by naming the
 * setting again; what the file lists stands instead of the default. Anything
 * else may be named once.
 */
#ifndef HF_SCHEMA_SETTINGS_H
#define HF_SCHEMA_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "schema/dir.h"

#define HF_SETTINGS_LIST 16u  /* hosts, origins: at most so many */
#define HF_SETTINGS_TEXT 256u /* bytes of one value, terminator included */

/* Characters of proxy_secret, if there is one. */
#define HF_PROXY_SECRET_MIN 16u

/* The side-car's: more than the cores of the largest machine that SQLite's one
 * writer keeps up with. */
#define HF_WORKERS_MAX 64u

/* The greatest max_payload there may be, bytes. What is read is measured by it
 * too: the limit in use stands in the file, where others can change it. */
#define HF_PAYLOAD_LIMIT (16u * 1024u * 1024u)

/* The greatest max_body there may be, bytes. */
#define HF_BODY_LIMIT (64u * 1024u * 1024u)

enum hf_durability { HF_DURABILITY_FULL, HF_DURABILITY_NORMAL };

/* Who judges the tokens that clients bring? */
enum hf_tokens {
    HF_TOKENS_JWT,         /* we do, by keys.json */
    HF_TOKENS_APPLICATION, /* they are handed to the hook `connect` as they are */
};

/* Is a gateway started by the web server mod_fcgid's, which gives each of its
 * processes one request at a time? */
enum hf_mode {
    HF_MODE_AUTO, /* yes, if Apache started it */
    HF_MODE_FCGID,
    HF_MODE_RESIDENT, /* no: any number of requests at once */
};

/* May a gateway start the side-car? */
enum hf_sidecar_start {
    HF_START_NEVER,
    HF_START_ON_DEMAND, /* when a client comes that could use it */
};

struct hf_settings {
    /* [journal] */
    enum hf_durability durability; /* full */
    size_t max_payload;            /* bytes of one payload, scripts' too; 64k */
    size_t queue_count;            /* publishes waiting for the writer; 10000 */
    size_t queue_bytes;            /* their bytes; 8M */
    int64_t busy_ms;               /* longest wait for the write lock; 5s */
    int64_t max_wal;      /* bytes; beyond, publishes are refused; 256M */
    int64_t retain_ms;    /* messages are kept so long; 24h */
    int64_t retain_bytes; /* and at most so many bytes; 1G */
    int64_t retain_count; /* and so many of one topic; 0 = any number */
    int64_t keep_min_ms;  /* never younger than this; at most retain_ms; 10m */

    /* [http] what both transports share */
    /* URL prefix of the socket; "/socket" */
    char mount[HF_SETTINGS_TEXT];
    /* Own host names. None: loopback listeners take loopback names, others
     * take the Host header as it is. */
    char hosts[HF_SETTINGS_LIST][HF_SETTINGS_TEXT];
    size_t hosts_count;
    /* Allowed beside the same host: [scheme://]host[:port], where host may be
     * *.example.com; a single "*" allows any. */
    char origins[HF_SETTINGS_LIST][HF_SETTINGS_TEXT];
    size_t origins_count;
    enum hf_tokens tokens; /* jwt */
    size_t max_frame;      /* bytes of one client frame, WebSocket; 256k */
    size_t max_body;       /* bytes of one POST; 8000000 */
    size_t max_channels;   /* joined topics per client; 100 */
    int64_t lease_ms;      /* who is not heard of so long is not present; 45s */
    size_t push_rate;      /* pushes of one client per second; 50, 0 = any */
    size_t push_burst;     /* and so many at once, after a pause; 200 */
    size_t join_rate;      /* joins of one client per second; 20, 0 = any */

    /* [gateway] */
    enum hf_mode mode;   /* auto */
    int64_t hold_ms;     /* longest hold of a poll; 25s, 0 = never hold */
    int64_t cgi_hold_ms; /* the same where it takes a process; 5s */
    size_t max_held;     /* polls held at once, at most; 5000 */
    size_t cgi_max_held; /* the same where each takes a process; 40 */
    size_t held_first;   /* what the budget begins with; 0 = by the host */
    size_t short_polls;  /* per second, of all who found no room; 50 */
    size_t max_held_per_address; /* of one client address; 16, 0 = any */
    int64_t revive_ms;           /* a session may come back so long after; 1h */

    /* [sidecar] */
    /* "unix:sidecar.sock" (in the directory; the default), "127.0.0.1:4000",
     * "[::1]:4000" */
    char listen[HF_SETTINGS_LIST][HF_SETTINGS_TEXT];
    size_t listen_count;
    /* The same for wss, TCP only; then both files, PEM, are needed. Paths are
     * from the directory on. */
    char listen_tls[HF_SETTINGS_LIST][HF_SETTINGS_TEXT];
    size_t listen_tls_count;
    char certificate[HF_SETTINGS_TEXT]; /* with its chain */
    char private_key[HF_SETTINGS_TEXT];
    enum hf_sidecar_start start;  /* never */
    /* The program that is started; "" = holdfast-sidecar beside the gateway. */
    char program[HF_SETTINGS_TEXT];
    /* One that was started on demand ends after so long without a WebSocket;
     * 10m */
    int64_t idle_exit_ms;
    size_t workers;       /* processes that serve; 1 */
    int64_t drain_ms;     /* goodbyes are spread over this time; 10s */
    int64_t ping_ms;      /* ask who sent nothing so long; 25s, 0 = never */
    int64_t idle_ms;      /* close who sent nothing so long; 60s */
    int64_t handshake_ms; /* from accept to upgrade; 5s */
    size_t max_sockets;   /* 0 = as many as descriptors allow */
    size_t max_sockets_per_address;  /* of one worker; 500, 0 = any number */
    size_t connect_rate_per_address; /* new ones per second; 20, 0 = any */
    /* Whoever says it in X-Holdfast-Proxy is our proxy, and believed in what it
     * says of its client; "" = nobody over TCP. */
    char proxy_secret[HF_SETTINGS_TEXT];
    /* Addresses and networks of proxies in front of ours. */
    char proxies[HF_SETTINGS_LIST][HF_SETTINGS_TEXT];
    size_t proxies_count;
    /* Where /metrics and /healthz are served: as listen, loopback; "" =
     * nowhere. */
    char monitor[HF_SETTINGS_TEXT];

    /* [hooks] */
    /* Where the application answers; "" = there are no hooks. */
    char hook_url[HF_SETTINGS_TEXT];
    /* Which of connect, join, push, leave it is asked; none: join, push. */
    char hook_events[HF_SETTINGS_LIST][HF_SETTINGS_TEXT];
    size_t hook_events_count;
    /* Patterns of topics it is asked about; none: of all. */
    char hook_topics[HF_SETTINGS_LIST][HF_SETTINGS_TEXT];
    size_t hook_topics_count;
    int64_t hook_timeout_ms; /* for one answer, and for its turn to come; 5s */
    size_t hook_concurrency; /* calls at once, of one process; 8 */

    /* [log] */
    int log_level;   /* enum hf_log_level; info */
    bool log_syslog; /* to syslog instead of standard error; no */
};

/* The defaults. */
void hf_settings_default(struct hf_settings *settings);

/* Defaults, then the file of the directory (none: defaults); an unknown name
 * or a bad value is an error that names the line and says what is meant. 0, HF_EINVAL, HF_EIO. */
int hf_settings_read(const struct hf_dir *dir, struct hf_settings *settings,
                     struct hf_why *why);
/* The same of a file by its path. */
int hf_settings_read_file(const char *path, struct hf_settings *settings,
                          struct hf_why *why);

/* Each setting in turn: its value and its default as they would be written, in
 * sections. All texts are borrowed for the call. */
typedef void (*hf_settings_fn)(void *ctx, const char *section, const char *name,
                               const char *value, const char *standard);
void hf_settings_each(const struct hf_settings *settings, hf_settings_fn each,
                      void *ctx);

/* The commented file that `init` writes: every setting with its default. */
extern const char hf_settings_template[];

#endif
