#include "schema/settings.h"

#include <assert.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/conf.h"
#include "base/log.h"
#include "base/str.h"

const char hf_settings_template[] =
    "; holdfast.conf - settings of Holdfast's processes\n"
    ";\n"
    "; Each line below shows a default; take the semicolon away to change it,\n"
    "; then restart the processes. Sizes: 100, 64k, 8M, 1G. Times: 250ms, "
    "10s,\n"
    "; 5m, 24h, 2d. What clients may do is not set here but in the journal:\n"
    "; `holdfast allow PATTERN RIGHTS`.\n"
    "\n"
    "[journal]\n"
    "; full: what was acknowledged survives a power cut. normal: it survives\n"
    "; kill -9, but a power cut may take the last messages.\n"
    ";durability = full\n"
    "; Bytes of one message's payload, for scripts that INSERT too.\n"
    ";max_payload = 64k\n"
    "; Publishes that wait for the disk, and their bytes; beyond: \"busy\".\n"
    ";queue_count = 10000\n"
    ";queue_bytes = 8M\n"
    "; Longest wait for another program's write lock; then \"busy\".\n"
    ";busy = 5s\n"
    "; Bytes of the write-ahead log beyond which nothing is published: some\n"
    "; program keeps a transaction open.\n"
    ";max_wal = 256M\n"
    "; How long messages are kept, how many bytes of them at most, and how "
    "many\n"
    "; of one topic (0: any number). For the sake of clients that are about "
    "to\n"
    "; come back, bytes and number never take a message younger than "
    "keep_min,\n"
    "; and retain is not to be shorter than that.\n"
    ";retain = 24h\n"
    ";retain_bytes = 1G\n"
    ";retain_count = 0\n"
    ";keep_min = 10m\n"
    "\n"
    "[http]\n"
    "; Path under which the web server forwards to Holdfast.\n"
    ";mount = /socket\n"
    "; Host names of this site, with commas. None: listeners on loopback take\n"
    "; loopback names only, others whatever the Host header says.\n"
    ";hosts =\n"
    "; Web pages that may connect beside those of the same host:\n"
    "; https://app.example.com, *.example.com, or * for any. same-as-request:\n"
    "; those of the same host only from the same scheme and port; off: no "
    "check.\n"
    ";origins =\n"
    "; Tokens that clients bring. jwt: each must be one of keys.json.\n"
    "; application: they are not looked at, and handed to the hook connect.\n"
    ";tokens = jwt\n"
    "; Bytes of one frame on a WebSocket, and of one POST.\n"
    ";max_frame = 256k\n"
    ";max_body = 8000000\n"
    "; Topics one client may have joined.\n"
    ";max_channels = 100\n"
    "; Who is not heard of for so long counts as gone (presence). Polls are "
    "held\n"
    "; for two thirds of it at most.\n"
    ";lease = 45s\n"
    "; Pushes of one client per second, and how many at once after a pause;\n"
    "; and joins per second, where 2 * max_channels may come at once. 0: any.\n"
    ";push_rate = 50\n"
    ";push_burst = 200\n"
    ";join_rate = 20\n"
    "\n"
    "[gateway]\n"
    "; fcgid: mod_fcgid starts it, a process for each request that waits. auto\n"
    "; finds that out; resident: it is something else.\n"
    ";mode = auto\n"
    "; How long a poll is held open; 0 answers at once. As plain CGI, and under\n"
    "; mod_fcgid, each held poll is a process, hence the shorter time.\n"
    ";hold = 10s\n"
    ";cgi_hold = 5s\n"
    "; Polls held open at once, by all processes: so many at most. How many in\n"
    "; fact is found out, beginning with held_first (0: CGI 8, mod_fcgid 4,\n"
    "; behind Apache 100, else the most), for each takes a request of those "
    "the\n"
    "; host allows the whole site.\n"
    ";max_held = 5000\n"
    ";cgi_max_held = 40\n"
    ";held_first = 0\n"
    "; Who finds no room polls now and then; all of them so often per second.\n"
    ";short_polls = 50\n"
    "; Polls held for one client address, 0: any number. Loopback is exempt.\n"
    ";max_held_per_address = 16\n"
    "; A client that was away may take up its session for so long.\n"
    ";revive = 1h\n"
    "\n"
    "[sidecar]\n"
    "; unix:NAME is a socket in this directory; else 127.0.0.1:4000, "
    "[::1]:4000.\n"
    ";listen = unix:sidecar.sock\n"
    "; A WebSocket that sends nothing for so long is closed.\n"
    ";idle = 90s\n"
    "; From the connection to the end of the handshake.\n"
    ";handshake = 5s\n"
    "; WebSockets at once; 0 is as many as the limit of open files allows.\n"
    ";max_sockets = 0\n"
    "\n"
    "[hooks]\n"
    "; An application that is asked over HTTP what to do; none: pushes are\n"
    "; broadcast. See docs/HOOKS.md. Requests are signed with hook_secret.\n"
    ";hook_url =\n"
    "; What it is asked, of connect, join, push, leave; none: join and push.\n"
    ";hook_events =\n"
    "; Patterns of topics it is asked about, like room:*; none: about all.\n"
    ";hook_topics =\n"
    "; Longest wait for an answer, and for one's turn to ask.\n"
    ";hook_timeout = 5s\n"
    "; Requests under way at once, of each process.\n"
    ";hook_concurrency = 8\n"
    "\n"
    "[log]\n"
    "; debug, info, warn, error\n"
    ";level = info\n"
    ";syslog = no\n";

enum type {
    DURABILITY,
    TOKENS,
    MODE,
    SIZE,
    SIZE64,
    DURATION,
    TEXT,
    LIST,
    LEVEL,
    FLAG
};

struct setting {
    const char *section;
    const char *name;
    enum type type;
    size_t at;       /* offset in struct hf_settings */
    size_t count_at; /* LIST: offset of its count */
    long long min, max;
};

#define AT(member) offsetof(struct hf_settings, member)
#define KIB        1024LL
#define MIB        (1024LL * KIB)
#define SECONDS    1000LL
#define HOURS      (3600LL * SECONDS)
#define DAYS       (24LL * HOURS)

static const struct setting known[] = {
    {"journal", "durability", DURABILITY, AT(durability), 0, 0, 0},
    {"journal", "max_payload", SIZE, AT(max_payload), 0, 64, HF_PAYLOAD_LIMIT},
    {"journal", "queue_count", SIZE, AT(queue_count), 0, 1, 10000000},
    {"journal", "queue_bytes", SIZE, AT(queue_bytes), 0, KIB, 1024 * MIB},
    {"journal", "busy", DURATION, AT(busy_ms), 0, 10, 60 * SECONDS},
    {"journal", "retain", DURATION, AT(retain_ms), 0, 60 * SECONDS,
     3650 * DAYS},
    {"journal", "retain_bytes", SIZE64, AT(retain_bytes), 0, MIB,
     1024 * 1024 * MIB},
    {"journal", "retain_count", SIZE64, AT(retain_count), 0, 0, 1000000000},
    {"journal", "keep_min", DURATION, AT(keep_min_ms), 0, 0, 24 * HOURS},
    {"journal", "max_wal", SIZE64, AT(max_wal), 0, MIB, 1024 * 1024 * MIB},
    {"http", "mount", TEXT, AT(mount), 0, 1, 0},
    {"http", "hosts", LIST, AT(hosts), AT(hosts_count), 0, 0},
    {"http", "origins", LIST, AT(origins), AT(origins_count), 0, 0},
    {"http", "tokens", TOKENS, AT(tokens), 0, 0, 0},
    {"http", "max_frame", SIZE, AT(max_frame), 0, KIB, 64 * MIB},
    {"http", "max_body", SIZE, AT(max_body), 0, KIB, 64 * MIB},
    {"http", "max_channels", SIZE, AT(max_channels), 0, 1, 100000},
    {"http", "lease", DURATION, AT(lease_ms), 0, 2 * SECONDS, 3600 * SECONDS},
    {"http", "push_rate", SIZE, AT(push_rate), 0, 0, 1000000},
    {"http", "push_burst", SIZE, AT(push_burst), 0, 1, 1000000},
    {"http", "join_rate", SIZE, AT(join_rate), 0, 0, 1000000},
    {"gateway", "mode", MODE, AT(mode), 0, 0, 0},
    {"gateway", "hold", DURATION, AT(hold_ms), 0, 0, 600 * SECONDS},
    {"gateway", "cgi_hold", DURATION, AT(cgi_hold_ms), 0, 0, 600 * SECONDS},
    {"gateway", "max_held", SIZE, AT(max_held), 0, 0, 1000000},
    {"gateway", "cgi_max_held", SIZE, AT(cgi_max_held), 0, 0, 1000},
    {"gateway", "held_first", SIZE, AT(held_first), 0, 0, 1000000},
    {"gateway", "short_polls", SIZE, AT(short_polls), 0, 1, 100000},
    {"gateway", "max_held_per_address", SIZE, AT(max_held_per_address), 0, 0,
     1000000},
    {"gateway", "revive", DURATION, AT(revive_ms), 0, 0, 24 * HOURS},
    {"sidecar", "listen", TEXT, AT(listen), 0, 1, 0},
    {"sidecar", "idle", DURATION, AT(idle_ms), 0, 1 * SECONDS, 24 * HOURS},
    {"sidecar", "handshake", DURATION, AT(handshake_ms), 0, 100, 600 * SECONDS},
    {"sidecar", "max_sockets", SIZE, AT(max_sockets), 0, 0, 10000000},
    {"hooks", "hook_url", TEXT, AT(hook_url), 0, 0, 0},
    {"hooks", "hook_events", LIST, AT(hook_events), AT(hook_events_count), 0,
     0},
    {"hooks", "hook_topics", LIST, AT(hook_topics), AT(hook_topics_count), 0,
     0},
    {"hooks", "hook_timeout", DURATION, AT(hook_timeout_ms), 0, 100,
     60 * SECONDS},
    {"hooks", "hook_concurrency", SIZE, AT(hook_concurrency), 0, 1, 256},
    {"log", "level", LEVEL, AT(log_level), 0, 0, 0},
    {"log", "syslog", FLAG, AT(log_syslog), 0, 0, 0},
};

#define KNOWN_COUNT (sizeof(known) / sizeof(known[0]))

struct reading {
    struct hf_settings *settings;
    bool seen[KNOWN_COUNT];
};

static void *member(struct hf_settings *settings, size_t at)
{
    return (char *)settings + at;
}

static int out_of_range(const struct setting *setting, const char *value,
                        struct hf_why *why)
{
    return hf_explain(why, HF_EINVAL, "%s = %s: from %lld to %lld%s is allowed",
                      setting->name, value, setting->min, setting->max,
                      setting->type == DURATION ? " ms" : "");
}

static int set_number(const struct setting *setting,
                      struct hf_settings *settings, const char *value,
                      struct hf_why *why)
{
    bool duration = setting->type == DURATION;
    void *at = member(settings, setting->at);
    long long number;

    if (strcmp(value, "0") == 0)
        number = 0; /* for a time too, without a unit */
    else if (duration ? !hf_conf_duration_ms(value, &number)
                      : !hf_conf_size(value, &number))
        return hf_explain(
            why, HF_EINVAL, "%s = %s: not a %s", setting->name, value,
            duration ? "time (like 10s)" : "number (like 100 or 64k)");
    if (number < setting->min || number > setting->max)
        return out_of_range(setting, value, why);
    if (setting->type == SIZE)
        *(size_t *)at = (size_t)number;
    else
        *(int64_t *)at = number;
    return 0;
}

static int set_text(const struct setting *setting, struct hf_settings *settings,
                    const char *value, struct hf_why *why)
{
    size_t len = strlen(value);

    if (len < (size_t)setting->min)
        return hf_explain(why, HF_EINVAL, "%s: a value is needed",
                          setting->name);
    if (len >= HF_SETTINGS_TEXT)
        return hf_explain(why, HF_EINVAL, "%s: longer than %u bytes",
                          setting->name, HF_SETTINGS_TEXT - 1);
    memcpy(member(settings, setting->at), value, len + 1);
    return 0;
}

static int add_to_list(const struct setting *setting,
                       struct hf_settings *settings, struct hf_str word,
                       struct hf_why *why)
{
    char(*list)[HF_SETTINGS_TEXT] = member(settings, setting->at);
    size_t *count = member(settings, setting->count_at);

    if (*count >= HF_SETTINGS_LIST)
        return hf_explain(why, HF_EINVAL, "%s: more than %u", setting->name,
                          HF_SETTINGS_LIST);
    if (word.len >= HF_SETTINGS_TEXT)
        return hf_explain(why, HF_EINVAL, "%s: one is longer than %u bytes",
                          setting->name, HF_SETTINGS_TEXT - 1);
    memcpy(list[*count], word.at, word.len);
    list[*count][word.len] = '\0';
    (*count)++;
    return 0;
}

static int set_list(const struct setting *setting, struct hf_settings *settings,
                    const char *value, struct hf_why *why)
{
    int err = 0;

    for (;;) {
        struct hf_str word;

        value += strspn(value, ", \t");
        word = hf_str(value, strcspn(value, ", \t"));
        if (err || word.len == 0)
            return err;
        err = add_to_list(setting, settings, word, why);
        value += word.len;
    }
}

static int set_word(const struct setting *setting, int *out, const char *value,
                    const char *const *words, struct hf_why *why)
{
    int i;

    for (i = 0; words[i]; i++) {
        if (strcmp(value, words[i]) == 0) {
            *out = i;
            return 0;
        }
    }
    return hf_explain(why, HF_EINVAL, "%s = %s: not known here, try %s",
                      setting->name, value, words[0]);
}

static int set(const struct setting *setting, struct hf_settings *settings,
               const char *value, struct hf_why *why)
{
    /* In the order of the enums. */
    static const char *const durabilities[] = {"full", "normal", NULL};
    static const char *const tokens[] = {"jwt", "application", NULL};
    static const char *const modes[] = {"auto", "fcgid", "resident", NULL};
    static const char *const levels[] = {"debug", "info", "warn", "error",
                                         NULL};
    int word = 0, err = 0;

    switch (setting->type) {
    case SIZE:
    case SIZE64:
    case DURATION:
        return set_number(setting, settings, value, why);
    case TEXT:
        return set_text(setting, settings, value, why);
    case LIST:
        return set_list(setting, settings, value, why);
    case DURABILITY:
        err = set_word(setting, &word, value, durabilities, why);
        if (!err)
            settings->durability = (enum hf_durability)word;
        return err;
    case TOKENS:
        err = set_word(setting, &word, value, tokens, why);
        if (!err)
            settings->tokens = (enum hf_tokens)word;
        return err;
    case MODE:
        err = set_word(setting, &word, value, modes, why);
        if (!err)
            settings->mode = (enum hf_mode)word;
        return err;
    case LEVEL:
        return set_word(setting, &settings->log_level, value, levels, why);
    case FLAG:
        if (hf_conf_bool(value, member(settings, setting->at)))
            return 0;
        return hf_explain(why, HF_EINVAL, "%s = %s: yes or no", setting->name,
                          value);
    }
    return HF_EINVAL; /* not reached: the switch has every type */
}

static int take(void *ctx, const char *section, const char *name,
                const char *value, struct hf_why *why)
{
    struct reading *reading = ctx;
    size_t i;

    for (i = 0; i < KNOWN_COUNT; i++) {
        if (strcmp(known[i].section, section) != 0 ||
            strcmp(known[i].name, name) != 0)
            continue;
        if (reading->seen[i] && known[i].type != LIST)
            return hf_explain(why, HF_EINVAL, "%s: set twice", name);
        reading->seen[i] = true;
        return set(&known[i], reading->settings, value, why);
    }
    return hf_explain(why, HF_EINVAL, "no setting \"%s\" in [%s]", name,
                      section);
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
        .hold_ms = 10 * SECONDS,
        .cgi_hold_ms = 5 * SECONDS,
        .max_held = 5000,
        .cgi_max_held = 40,
        .short_polls = 50,
        .max_held_per_address = 16,
        .revive_ms = 1 * HOURS,
        .listen = "unix:sidecar.sock",
        .idle_ms = 90 * SECONDS,
        .handshake_ms = 5 * SECONDS,
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

int hf_settings_read(const struct hf_dir *dir, struct hf_settings *settings,
                     struct hf_why *why)
{
    struct reading reading = {.settings = settings};
    char path[PATH_MAX];
    int err;

    hf_settings_default(settings);
    err = hf_dir_file(dir, HF_FILE_SETTINGS, path, sizeof(path));
    if (err)
        return hf_explain(why, err, "%s: the path is too long", dir->path);
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
        err = check_tokens(settings, why);
    return err ? err : check_keep_min(settings, why);
}
