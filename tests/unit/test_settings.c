#include "schema/settings.h"

#include "schema_fixture.h"

/* The text as the whole holdfast.conf, read. */
static int read_text(const char *text, struct hf_settings *out,
                     struct hf_why *why)
{
    FILE *file = fopen(path_of(HF_FILE_SETTINGS), "w");

    assert_non_null(file);
    assert_int_equal(fputs(text, file) >= 0, 1);
    assert_int_equal(fclose(file), 0);
    *why = (struct hf_why){""};
    return hf_settings_read(&f.dir, out, why);
}

static void refused(const char *text, const char *words)
{
    struct hf_settings settings;
    struct hf_why why;

    if (read_text(text, &settings, &why) != HF_EINVAL)
        fail_msg("taken: %s", text);
    if (!strstr(why.text, words))
        fail_msg("\"%s\" does not say \"%s\"", why.text, words);
}

static void the_file_of_init_says_the_defaults(void **state)
{
    struct hf_settings settings, defaults;
    struct hf_why why = {""};
    char text[16384];
    const char *from;
    char *to = text;

    (void)state;
    hf_settings_default(&defaults);
    ok_or_why(hf_settings_read(&f.dir, &settings, &why), &why);
    assert_memory_equal(&settings, &defaults, sizeof(settings));

    /* And so it does with each ";name = value" made a setting. */
    assert_true(strlen(hf_settings_template) < sizeof(text));
    for (from = hf_settings_template; *from; from++) {
        if (*from == ';' && from[1] != ' ' && from[1] != '\n')
            continue;
        *to++ = *from;
    }
    *to = '\0';
    ok_or_why(read_text(text, &settings, &why), &why);
    assert_memory_equal(&settings, &defaults, sizeof(settings));
}

static void what_was_meant_is_suggested(void **state)
{
    (void)state;
    refused("[gateway]\n\n\nmax_hold = 3\n",
            "holdfast.conf:4: unknown name 'max_hold' in [gateway]: did you "
            "mean 'max_held'?");
    refused("[gatway]\nhold = 3s\n",
            ":2: unknown section [gatway]: did you mean [gateway]?");
    refused("[server]\nhold = 3s\n", "unknown section [server]: there are ");
    refused("[http]\nhold = 3s\n",
            "'hold' stands in [http]: it belongs in [gateway]");
    refused("[http]\nmax_heldd = 3\n",
            "unknown name 'max_heldd' in [http]: did you mean 'max_held' of "
            "[gateway]?");
    refused("[http]\nworkers = 3\n",
            "'workers' stands in [http]: it belongs in [sidecar]");
    refused("[http]\nthreads = 3\n",
            "unknown name 'threads' in [http]: holdfast.conf(5) has");
    refused("threads = 3\n", "unknown name 'threads' in []");
    refused("[journal]\ndurability = fulll\n", "did you mean full?");
    refused("[log]\nlevel = warning\n", "it is debug, info, warn or error");
    refused("[sidecar]\nproxy_secret = short\n",
            "proxy_secret: 16 characters at least");
    refused("[sidecar]\nproxies = 10.0.0.0/8, cdn.example\n",
            "proxies: cdn.example is no address");
}

struct listing {
    char *text;
    size_t cap;
    unsigned settings;
};

static void list_changed(void *ctx, const char *section, const char *name,
                         const char *value, const char *standard)
{
    struct listing *listing = ctx;
    size_t len = strlen(listing->text);

    listing->settings++;
    if (strcmp(value, standard) != 0)
        (void)snprintf(listing->text + len, listing->cap - len,
                       "%s.%s=%s(%s)\n", section, name, value, standard);
}

static void what_differs_from_the_defaults_is_told_as_written(void **state)
{
    char text[1024] = "";
    struct listing listing = {.text = text, .cap = sizeof(text)};
    struct hf_settings settings;
    struct hf_why why;

    (void)state;
    hf_settings_default(&settings);
    hf_settings_each(&settings, list_changed, &listing);
    assert_string_equal(text, "");
    assert_true(listing.settings > 30);

    ok_or_why(read_text("[journal]\ndurability = normal\nretain = 48h\n"
                        "retain_bytes = 2048M\nretain_count = 1000\n"
                        "[http]\nmount = /chat\nhosts = a.example,b.example\n"
                        "max_body = 1023k\n"
                        "[gateway]\nmode = resident\nhold = 0\n"
                        "revive = 90s\ncgi_hold = 1500ms\n"
                        "[sidecar]\nproxy_secret = 0123456789abcdef\n"
                        "proxies = 192.0.2.1 2001:db8::/32\n"
                        "[log]\nlevel = debug\nsyslog = on\n",
                        &settings, &why),
              &why);
    hf_settings_each(&settings, list_changed, &listing);
    assert_string_equal(text, "journal.durability=normal(full)\n"
                              "journal.retain=2d(24h)\n"
                              "journal.retain_bytes=2G(1G)\n"
                              "journal.retain_count=1000(0)\n"
                              "http.mount=/chat(/socket)\n"
                              "http.hosts=a.example b.example()\n"
                              "http.max_body=1023k(8000000)\n"
                              "gateway.mode=resident(auto)\n"
                              "gateway.hold=0(25s)\n"
                              "gateway.cgi_hold=1500ms(5s)\n"
                              "gateway.revive=90s(1h)\n"
                              "sidecar.proxy_secret=(set)()\n"
                              "sidecar.proxies=192.0.2.1 2001:db8::/32()\n"
                              "log.level=debug(info)\n"
                              "log.syslog=yes(no)\n");
}

static void without_a_file_the_defaults_hold(void **state)
{
    struct hf_settings settings, defaults;
    struct hf_why why = {""};

    (void)state;
    hf_settings_default(&defaults);
    assert_int_equal(unlink(path_of(HF_FILE_SETTINGS)), 0);
    ok_or_why(hf_settings_read(&f.dir, &settings, &why), &why);
    assert_memory_equal(&settings, &defaults, sizeof(settings));
    assert_string_equal(why.text, "");
}

static void every_setting_is_read(void **state)
{
    static const char text[] =
        "[journal]\ndurability = normal\nmax_payload = 1k\nqueue_count = 5\n"
        "queue_bytes = 2M\nbusy = 250ms\nretain = 2d\nretain_bytes = 3G\n"
        "[http]\nmount = /live\nhosts = a.example, b.example\nhosts = c\n"
        "origins = https://a.example *.b\nmax_frame = 2k\nmax_body = 3000\n"
        "max_channels = 7\n"
        "[gateway]\nhold = 0\ncgi_hold = 1s\nmax_held = 8\nrevive = 5m\n"
        "[sidecar]\nlisten = 127.0.0.1:4000, unix:a.sock\nlisten = [::1]:1\n"
        "workers = 3\ndrain = 0\nidle = 2s\nhandshake = 3s\n"
        "monitor = unix:m\n"
        "max_sockets = 9\n[hooks]\nhook_url = http://127.0.0.1/\n"
        "hook_events = push, leave\nhook_topics = room:*\nhook_timeout = 1s\n"
        "hook_events = connect\nhook_concurrency = 3\n"
        "[http]\ntokens = application\n[log]\nlevel = warn\nsyslog = yes\n";
    struct hf_settings s;
    struct hf_why why;

    (void)state;
    ok_or_why(read_text(text, &s, &why), &why);
    assert_int_equal(s.durability, HF_DURABILITY_NORMAL);
    assert_int_equal(s.max_payload, 1024);
    assert_int_equal(s.queue_count, 5);
    assert_int_equal(s.queue_bytes, 2 << 20);
    assert_int_equal(s.busy_ms, 250);
    assert_int_equal(s.retain_ms, 2 * 86400000);
    assert_int_equal(s.retain_bytes, 3LL << 30);
    assert_string_equal(s.mount, "/live");
    assert_int_equal(s.hosts_count, 3);
    assert_string_equal(s.hosts[1], "b.example");
    assert_string_equal(s.hosts[2], "c");
    assert_int_equal(s.origins_count, 2);
    assert_string_equal(s.origins[1], "*.b");
    assert_int_equal(s.max_frame, 2048);
    assert_int_equal(s.max_body, 3000);
    assert_int_equal(s.max_channels, 7);
    assert_int_equal(s.hold_ms, 0);
    assert_int_equal(s.cgi_hold_ms, 1000);
    assert_int_equal(s.max_held, 8);
    assert_int_equal(s.revive_ms, 300000);
    assert_int_equal(s.listen_count, 3);
    assert_string_equal(s.listen[0], "127.0.0.1:4000");
    assert_string_equal(s.listen[1], "unix:a.sock");
    assert_string_equal(s.listen[2], "[::1]:1");
    assert_int_equal(s.workers, 3);
    assert_int_equal(s.drain_ms, 0);
    assert_int_equal(s.idle_ms, 2000);
    assert_int_equal(s.handshake_ms, 3000);
    assert_int_equal(s.max_sockets, 9);
    assert_string_equal(s.monitor, "unix:m");
    assert_string_equal(s.hook_url, "http://127.0.0.1/");
    assert_int_equal(s.tokens, HF_TOKENS_APPLICATION);
    assert_int_equal(s.hook_events_count, 3);
    assert_string_equal(s.hook_events[1], "leave");
    assert_string_equal(s.hook_topics[0], "room:*");
    assert_int_equal(s.hook_timeout_ms, 1000);
    assert_int_equal(s.hook_concurrency, 3);
    assert_int_equal(s.log_level, HF_LOG_WARN);
    assert_true(s.log_syslog);
}

/* As for an address that is to be listened on no more. */
static void a_list_in_the_file_stands_instead_of_the_default(void **state)
{
    struct hf_settings s;
    struct hf_why why;

    (void)state;
    ok_or_why(read_text("[log]\nlevel = info\n", &s, &why), &why);
    assert_int_equal(s.listen_count, 1);
    assert_string_equal(s.listen[0], "unix:sidecar.sock");
    ok_or_why(read_text("[sidecar]\nlisten = unix:b\n", &s, &why), &why);
    assert_int_equal(s.listen_count, 1);
    assert_string_equal(s.listen[0], "unix:b");
    ok_or_why(read_text("[sidecar]\nlisten =\n", &s, &why), &why);
    assert_int_equal(s.listen_count, 0);
}

static void a_mistake_is_named_with_its_line(void **state)
{
    (void)state;
    refused("[journal]\n\ndurabillity = full\n",
            "holdfast.conf:3: unknown name 'durabillity' in [journal]: did you "
            "mean 'durability'?");
    refused("durability = full\n",
            "'durability' stands before any section: put it below [journal]");
    refused("[log]\nlevel = loud\n",
            "level = loud: it is debug, info, warn or error");
    refused("[log]\nsyslog = perhaps\n", "syslog = perhaps: it is yes or no");
    refused("[journal]\ndurability = off\n",
            "durability = off: it is full or normal");
    refused("[journal]\nbusy = 5\n", "busy = 5: not a time, which has a unit: "
                                     "ms, s, m, h or d; from 10ms to "
                                     "1m is allowed, like busy = 5s");
    refused("[journal]\nbusy = 5m\n",
            "busy = 5m: too large; from 10ms to 1m is allowed, like busy = 5s");
    refused(
        "[journal]\nmax_payload = 64 kB\n",
        "max_payload = 64 kB: not a number, behind which k, M or G may stand; "
        "from 64 to 16M is allowed, like max_payload = 64k");
    refused("[journal]\nmax_payload = 1G\n", "is allowed");
    refused("[http]\nmax_channels = 0\n",
            "max_channels = 0: too small; from 1 to 100000 is allowed, like "
            "max_channels = 100");
    refused("[http]\nmax_channels = -1\n", "not a number");
    refused("[http]\nmount = socket\n", "begins with a slash");
    refused("[http]\nmount = /socket/\n", "does not end with one");
    refused("[sidecar]\nworkers = 0\n",
            "workers = 0: too small; from 1 to 64 is allowed");
    refused("[journal]\nretain = 2m\n",
            "retain, 120 s, is shorter than keep_min, 600 s");
    refused("[journal]\nkeep_min = 3h\nretain = 2h\n", "keep_min");
    refused("[gateway]\nhold = 1s\nhold = 2s\n", "set twice");
    refused("[hooks]\nhook_url = ftp://a/\n", "begins with http");
    refused("[hooks]\nhook_events = push,pull\n", "pull is none of");
    refused("[http]\ntokens = none\n", "tokens = none");
    refused("[http]\ntokens = application\n", "needs hook_url");
    refused("[http]\ntokens = application\n"
            "[hooks]\nhook_url = http://a/\nhook_events = push\n",
            "connect among");
    refused("[hooks]\nhook_timeout = 50ms\n", "is allowed");
    refused("[http]\nhosts = 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17\n",
            "more than 16");
}

static void messages_may_be_kept_for_a_short_time(void **state)
{
    struct hf_settings settings;
    struct hf_why why;

    (void)state;
    ok_or_why(
        read_text("[journal]\nretain = 1m\nkeep_min = 1m\n", &settings, &why),
        &why);
    assert_int_equal(settings.retain_ms, 60000);
    assert_int_equal(settings.keep_min_ms, 60000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(the_file_of_init_says_the_defaults),
        FIXTURE_TEST(without_a_file_the_defaults_hold),
        FIXTURE_TEST(what_was_meant_is_suggested),
        FIXTURE_TEST(what_differs_from_the_defaults_is_told_as_written),
        FIXTURE_TEST(every_setting_is_read),
        FIXTURE_TEST(a_list_in_the_file_stands_instead_of_the_default),
        FIXTURE_TEST(a_mistake_is_named_with_its_line),
        FIXTURE_TEST(messages_may_be_kept_for_a_short_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
