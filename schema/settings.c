#include "schema/settings.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/address.h"
#include "base/conf.h"
#include "base/log.h"
#include "base/nearest.h"
#include "schema/setting.h"

/* In the order of their enums. */
static const char *const durabilities[] = {"full", "normal", NULL};
static const char *const token_judges[] = {"jwt", "application", NULL};
static const char *const modes[] = {"auto", "fcgid", "resident", NULL};
static const char *const starts[] = {"never", "on-demand", NULL};
static const char *const levels[] = {"debug", "info", "warn", "error", NULL};

#define AT(member) offsetof(struct hf_settings, member)
#define KIB        1024LL
#define MIB        (1024LL * KIB)
#define SECONDS    1000LL
#define HOURS      (3600LL * SECONDS)
#define DAYS       (24LL * HOURS)

/* Numbers and times have their least and greatest value, texts the least number
 * of letters. */
#define NUMBER(section, name, type, member, min, max)                          \
    {                                                                          \
        section, name, type, AT(member), 0, min, max, NULL                     \
    }
#define SIZE(section, name, member, min, max)                                  \
    NUMBER(section, name, HF_SETTING_SIZE, member, min, max)
#define SIZE64(section, name, member, min, max)                                \
    NUMBER(section, name, HF_SETTING_SIZE64, member, min, max)
#define DURATION(section, name, member, min, max)                              \
    NUMBER(section, name, HF_SETTING_DURATION, member, min, max)
#define TEXT(section, name, member, min)                                       \
    NUMBER(section, name, HF_SETTING_TEXT, member, min, 0)
#define SECRET(section, name, member)                                          \
    NUMBER(section, name, HF_SETTING_SECRET, member, 0, 0)
#define FLAG(section, name, member)                                            \
    NUMBER(section, name, HF_SETTING_FLAG, member, 0, 0)
#define LIST(section, name, member)                                            \
    {                                                                          \
        section, name, HF_SETTING_LIST, AT(member), AT(member##_count), 0, 0,  \
            NULL                                                               \
    }
#define WORD(section, name, member, words)                                     \
    {                                                                          \
        section, name, HF_SETTING_WORD, AT(member), 0, 0, 0, words             \
    }

static const struct hf_setting known[] = {
    WORD("journal", "durability", durability, durabilities),
    SIZE("journal", "max_payload", max_payload, 64, HF_PAYLOAD_LIMIT),
    SIZE("journal", "queue_count", queue_count, 1, 10000000),
    SIZE("journal", "queue_bytes", queue_bytes, KIB, 1024 * MIB),
    DURATION("journal", "busy", busy_ms, 10, 60 * SECONDS),
    DURATION("journal", "retain", retain_ms, 60 * SECONDS, 3650 * DAYS),
    SIZE64("journal", "retain_bytes", retain_bytes, MIB, 1024 * 1024 * MIB),
    SIZE64("journal", "retain_count", retain_count, 0, 1000000000),
    DURATION("journal", "keep_min", keep_min_ms, 0, 24 * HOURS),
    SIZE64("journal", "max_wal", max_wal, MIB, 1024 * 1024 * MIB),
    TEXT("http", "mount", mount, 1),
    LIST("http", "hosts", hosts),
    LIST("http", "origins", origins),
    WORD("http", "tokens", tokens, token_judges),
    SIZE("http", "max_frame", max_frame, KIB, 64 * MIB),
    SIZE("http", "max_body", max_body, KIB, HF_BODY_LIMIT),
    SIZE("http", "max_channels", max_channels, 1, 100000),
    DURATION("http", "lease", lease_ms, 2 * SECONDS, 3600 * SECONDS),
    SIZE("http", "push_rate", push_rate, 0, 1000000),
    SIZE("http", "push_burst", push_burst, 1, 1000000),
    SIZE("http", "join_rate", join_rate, 0, 1000000),
    WORD("gateway", "mode", mode, modes),
    DURATION("gateway", "hold", hold_ms, 0, 600 * SECONDS),
    DURATION("gateway", "cgi_hold", cgi_hold_ms, 0, 600 * SECONDS),
    SIZE("gateway", "max_held", max_held, 0, 1000000),
    SIZE("gateway", "cgi_max_held", cgi_max_held, 0, 1000),
    SIZE("gateway", "held_first", held_first, 0, 1000000),
    SIZE("gateway", "short_polls", short_polls, 1, 100000),
    SIZE("gateway", "max_held_per_address", max_held_per_address, 0, 1000000),
    DURATION("gateway", "revive", revive_ms, 0, 24 * HOURS),
    LIST("sidecar", "listen", listen),
    LIST("sidecar", "listen_tls", listen_tls),
    TEXT("sidecar", "certificate", certificate, 0),
    TEXT("sidecar", "private_key", private_key, 0),
    WORD("sidecar", "start", start, starts),
    TEXT("sidecar", "program", program, 0),
    DURATION("sidecar", "idle_exit", idle_exit_ms, 1 * SECONDS, 24 * HOURS),
    SIZE("sidecar", "workers", workers, 1, HF_WORKERS_MAX),
    DURATION("sidecar", "drain", drain_ms, 0, 600 * SECONDS),
    DURATION("sidecar", "ping", ping_ms, 0, 24 * HOURS),
    DURATION("sidecar", "idle", idle_ms, 1 * SECONDS, 24 * HOURS),
    DURATION("sidecar", "handshake", handshake_ms, 100, 600 * SECONDS),
    SIZE("sidecar", "max_sockets", max_sockets, 0, 10000000),
    SIZE("sidecar", "max_sockets_per_address", max_sockets_per_address, 0,
         10000000),
    SIZE("sidecar", "connect_rate_per_address", connect_rate_per_address, 0,
         1000000),
    SECRET("sidecar", "proxy_secret", proxy_secret),
    LIST("sidecar", "proxies", proxies),
    TEXT("sidecar", "monitor", monitor, 0),
    TEXT("hooks", "hook_url", hook_url, 0),
    LIST("hooks", "hook_events", hook_events),
    LIST("hooks", "hook_topics", hook_topics),
    DURATION("hooks", "hook_timeout", hook_timeout_ms, 100, 60 * SECONDS),
    SIZE("hooks", "hook_concurrency", hook_concurrency, 1, 256),
    WORD("log", "level", log_level, levels),
    FLAG("log", "syslog", log_syslog),
};

#define KNOWN_COUNT (sizeof(known) / sizeof(known[0]))

/* --- names --------------------------------------------------------------- */

/* A setting of that name in whatever section. */
static const struct hf_setting *find(const char *name)
{
    size_t i;

    for (i = 0; i < KNOWN_COUNT; i++)
        if (strcmp(known[i].name, name) == 0)
            return &known[i];
    return NULL;
}

static bool is_section(const char *section)
{
    size_t i;

    for (i = 0; i < KNOWN_COUNT; i++)
        if (strcmp(known[i].section, section) == 0)
            return true;
    return false;
}

static int unknown_section(const char *section, struct hf_why *why)
{
    struct hf_nearest nearest = {.word = section};
    size_t i;

    for (i = 0; i < KNOWN_COUNT; i++)
        hf_nearest_offer(&nearest, known[i].section);
    if (nearest.found)
        return hf_explain(why, HF_EINVAL,
                          "unknown section [%s]: did you mean [%s]?", section,
                          nearest.found);
    return hf_explain(why, HF_EINVAL,
                      "unknown section [%s]: there are [journal], [http], "
                      "[gateway], [sidecar], [hooks] and [log]",
                      section);
}

/* Those of the same section first: of two equally near, the first counts. */
static int unknown_name(const char *section, const char *name,
                        struct hf_why *why)
{
    const struct hf_setting *elsewhere = find(name);
    struct hf_nearest nearest = {.word = name};
    size_t i;

    if (elsewhere && !*section)
        return hf_explain(why, HF_EINVAL,
                          "'%s' stands before any section: put it below [%s]",
                          name, elsewhere->section);
    if (elsewhere)
        return hf_explain(why, HF_EINVAL,
                          "'%s' stands in [%s]: it belongs in [%s]", name,
                          section, elsewhere->section);
    for (i = 0; i < KNOWN_COUNT; i++)
        if (strcmp(known[i].section, section) == 0)
            hf_nearest_offer(&nearest, known[i].name);
    if (nearest.found)
        return hf_explain(why, HF_EINVAL,
                          "unknown name '%s' in [%s]: did you mean '%s'?", name,
                          section, nearest.found);
    for (i = 0; i < KNOWN_COUNT; i++)
        hf_nearest_offer(&nearest, known[i].name);
    if (nearest.found)
        return hf_explain(
            why, HF_EINVAL,
            "unknown name '%s' in [%s]: did you mean '%s' of [%s]?", name,
            section, nearest.found, find(nearest.found)->section);
    return hf_explain(why, HF_EINVAL,
                      "unknown name '%s' in [%s]: holdfast.conf(5) has all "
                      "there are",
                      name, section);
}

/* --- reading ------------------------------------------------------------- */

struct reading {
    struct hf_settings *settings;
    struct hf_settings defaults;
    bool seen[KNOWN_COUNT];
};

static int take(void *ctx, const char *section, const char *name,
                const char *value, struct hf_why *why)
{
    struct reading *reading = ctx;
    size_t i;

    for (i = 0; i < KNOWN_COUNT; i++) {
        if (strcmp(known[i].section, section) != 0 ||
            strcmp(known[i].name, name) != 0)
            continue;
        if (reading->seen[i] && known[i].type != HF_SETTING_LIST)
            return hf_explain(why, HF_EINVAL, "%s: set twice", name);
        if (!reading->seen[i])
            hf_setting_clear(&known[i], reading->settings);
        reading->seen[i] = true;
        return hf_setting_read(&known[i], reading->settings, value,
                               &reading->defaults, why);
    }
    return *section && !is_section(section) ? unknown_section(section, why)
                                            : unknown_name(section, name, why);
}

void hf_settings_default(struct hf_settings *settings)
{
    *settings = (struct hf_settings){
        .durability = HF_DURABILITY_FULL,
        .max_payload = 64 * KIB,
        .queue_count = 10000,
        .queue_bytes = 8 * MIB,
        .busy_ms = 5 * SECONDS,
        .retain_ms = 24 * HOURS,
        .retain_bytes = 1024 * MIB,
        .keep_min_ms = 600 * SECONDS,
        .max_wal = 256 * MIB,
        .mount = "/socket",
        .max_frame = 256 * KIB,
        .max_body = 8000000,
        .max_channels = 100,
        .lease_ms = 45 * SECONDS,
        .push_rate = 50,
        .push_burst = 200,
        .join_rate = 20,
        .hold_ms = 25 * SECONDS,
        .cgi_hold_ms = 5 * SECONDS,
        .max_held = 5000,
        .cgi_max_held = 40,
        .short_polls = 50,
        .max_held_per_address = 16,
        .revive_ms = 1 * HOURS,
        .listen = {"unix:sidecar.sock"},
        .listen_count = 1,
        .idle_exit_ms = 600 * SECONDS,
        .workers = 1,
        .drain_ms = 10 * SECONDS,
        .ping_ms = 25 * SECONDS,
        .idle_ms = 60 * SECONDS,
        .handshake_ms = 5 * SECONDS,
        .max_sockets_per_address = 500,
        .connect_rate_per_address = 20,
        .hook_timeout_ms = 5 * SECONDS,
        .hook_concurrency = 8,
        .log_level = HF_LOG_INFO,
    };
}

static int check_mount(const struct hf_settings *settings, struct hf_why *why)
{
    size_t len = strlen(settings->mount);

    if (settings->mount[0] != '/' ||
        (len > 1 && settings->mount[len - 1] == '/'))
        return hf_explain(why, HF_EINVAL,
                          HF_FILE_SETTINGS
                          ": mount = %s: begins with a slash and does not end "
                          "with one, like /socket",
                          settings->mount);
    return 0;
}

/* keep_min is a promise: who was away for less misses nothing. */
static int check_keep_min(const struct hf_settings *settings,
                          struct hf_why *why)
{
    if (settings->retain_ms < settings->keep_min_ms)
        return hf_explain(why, HF_EINVAL,
                          HF_FILE_SETTINGS
                          ": retain, %lld s, is shorter than keep_min, %lld s; "
                          "nothing goes before keep_min, so make that as "
                          "short, too",
                          (long long)(settings->retain_ms / SECONDS),
                          (long long)(settings->keep_min_ms / SECONDS));
    return 0;
}

static int check_hooks(const struct hf_settings *settings, struct hf_why *why)
{
    static const char *const events[] = {"connect", "join", "push", "leave"};
    const char *url = settings->hook_url;
    size_t i, k;

    if (url[0] && strncmp(url, "http://", 7) != 0 &&
        strncmp(url, "https://", 8) != 0)
        return hf_explain(why, HF_EINVAL,
                          HF_FILE_SETTINGS
                          ": hook_url = %s: begins with http:// or https://",
                          url);
    for (i = 0; i < settings->hook_events_count; i++) {
        for (k = 0; k < 4; k++)
            if (strcmp(settings->hook_events[i], events[k]) == 0)
                break;
        if (k == 4)
            return hf_explain(why, HF_EINVAL,
                              HF_FILE_SETTINGS
                              ": hook_events: %s is none of connect, join, "
                              "push, leave",
                              settings->hook_events[i]);
    }
    return 0;
}

/* Who guesses the secret says who he is as he likes. */
static int check_proxies(const struct hf_settings *settings, struct hf_why *why)
{
    size_t len = strlen(settings->proxy_secret);
    struct hf_network network;
    size_t i;

    if (len > 0 && len < HF_PROXY_SECRET_MIN)
        return hf_explain(why, HF_EINVAL,
                          HF_FILE_SETTINGS
                          ": proxy_secret: %u characters at least, as of "
                          "`openssl rand -hex 16`",
                          HF_PROXY_SECRET_MIN);
    for (i = 0; i < settings->proxies_count; i++)
        if (!hf_network_read(hf_str_of(settings->proxies[i]), &network))
            return hf_explain(why, HF_EINVAL,
                              HF_FILE_SETTINGS
                              ": proxies: %s is no address, like 192.0.2.1, "
                              "and no network, like 2001:db8::/32",
                              settings->proxies[i]);
    return 0;
}

/* Without being asked about connects the application would never see them. */
static int check_tokens(const struct hf_settings *settings, struct hf_why *why)
{
    size_t i;

    if (settings->tokens != HF_TOKENS_APPLICATION)
        return 0;
    for (i = 0; settings->hook_url[0] && i < settings->hook_events_count; i++)
        if (strcmp(settings->hook_events[i], "connect") == 0)
            return 0;
    return hf_explain(why, HF_EINVAL,
                      HF_FILE_SETTINGS ": tokens = application: needs hook_url,"
                                       " and connect among hook_events");
}

int hf_settings_read_file(const char *path, struct hf_settings *settings,
                          struct hf_why *why)
{
    struct reading reading = {.settings = settings};
    int err;

    hf_settings_default(settings);
    reading.defaults = *settings;
    err = hf_conf_read(path, take, &reading, why);
    if (err == HF_ENOTFOUND) {
        if (why)
            why->text[0] = '\0';
        return 0;
    }
    if (err)
        return err;
    err = check_mount(settings, why);
    if (!err)
        err = check_hooks(settings, why);
    if (err == 0)
        err = check_proxies(settings, why);
    if (err == 0)
        err = check_tokens(settings, why);
    return err ? err : check_keep_min(settings, why);
}

int hf_settings_read(const struct hf_dir *dir, struct hf_settings *settings,
                     struct hf_why *why)
{
    char path[PATH_MAX];

    if (hf_dir_file(dir, HF_FILE_SETTINGS, path, sizeof(path)))
        return hf_explain(why, HF_ELIMIT, "%s: the path is too long",
                          dir->path);
    return hf_settings_read_file(path, settings, why);
}

void hf_settings_each(const struct hf_settings *settings, hf_settings_fn each,
                      void *ctx)
{
    char value[HF_SETTING_VALUE], standard[HF_SETTING_VALUE];
    struct hf_settings defaults;
    size_t i;

    hf_settings_default(&defaults);
    for (i = 0; i < KNOWN_COUNT; i++) {
        hf_setting_print(&known[i], settings, value);
        hf_setting_print(&known[i], &defaults, standard);
        each(ctx, known[i].section, known[i].name, value, standard);
    }
}
