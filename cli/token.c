/*
 * holdfast token - mint and inspect tokens, and look after their keys
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/conf.h"
#include "base/jwt.h"
#include "base/sys.h"
#include "channel/identity.h"
#include "channel/keys.h"
#include "channel/topic.h"
#include "cli/cli.h"
#include "cli/token_keys.h"
#include "schema/policies.h"

static const char help[] =
    "Usage: holdfast token [--sub USER] [--topic PATTERN=RIGHTS]... [--ttl "
    "TIME]\n"
    "                      [--kid KEY]\n"
    "       holdfast token --inspect TOKEN\n"
    "       holdfast token --list-keys\n"
    "       holdfast token --add-key ALG [--kid KEY]\n"
    "       holdfast token --remove-key KEY\n"
    "\n"
    "Make a token (JWT) that lets a client connect as somebody, and print it:\n"
    "  --sub USER              who it is: 1 to 128 bytes\n"
    "  --topic PATTERN=RIGHTS  what it may do besides what policies allow\n"
    "                          everybody: RIGHTS is a list of join, publish,\n"
    "                          presence. May be given several times\n"
    "  --ttl TIME              how long it is valid: 15m, 12h. Default: 1h\n"
    "  --kid KEY               sign with this key of keys.json, not the first\n"
    "\n"
    "  --inspect TOKEN         say whether it is valid and what it allows; "
    "'-'\n"
    "                          reads it from standard input. Exit code 1: not\n"
    "                          valid\n"
    "\n"
    "Keys are in keys.json, a JWK set (RFC 7517). Running processes read it "
    "again\n"
    "when it changes:\n"
    "  --list-keys             name, algorithm and use of each, no secrets\n"
    "  --add-key ALG           make one, which signs from now on: HS256, "
    "EdDSA,\n"
    "                          ES256 or RS256. Those before stay valid\n"
    "  --remove-key KEY        take one away, and with it every token it "
    "signed\n"
    "\n"
    "Example: holdfast token --sub alice --topic 'room:*=join,publish' --ttl "
    "12h\n";

#define TOPICS_MAX 64u

enum what { MINT, INSPECT, LIST_KEYS, ADD_KEY, REMOVE_KEY };

struct asked {
    enum what what;
    const char *word; /* token, algorithm or key */
    const char *sub;
    const char *kid;
    const char *topics[TOPICS_MAX];
    size_t topics_count;
    long long ttl_ms;
    bool minting; /* an option that is for minting was given */
};

/* --- minting ------------------------------------------------------------- */

static void add_rights(struct hf_buf *claims, unsigned rights)
{
    static const struct {
        unsigned right;
        const char *word;
    } words[] = {{HF_RIGHT_JOIN, "join"},
                 {HF_RIGHT_PUBLISH, "publish"},
                 {HF_RIGHT_PRESENCE, "presence"}};
    bool first = true;
    size_t i;

    (void)hf_buf_add_byte(claims, '[');
    for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (!(rights & words[i].right))
            continue;
        (void)hf_buf_addf(claims, "%s\"%s\"", first ? "" : ",", words[i].word);
        first = false;
    }
    (void)hf_buf_add_byte(claims, ']');
}

static int add_topic(struct hf_cli *cli, struct hf_buf *claims,
                     const char *word)
{
    const char *equals = strrchr(word, '=');
    struct hf_str pattern = hf_str(word, equals ? (size_t)(equals - word) : 0);
    unsigned rights;

    if (!equals || !hf_pattern_legal(pattern))
        return hf_cli_usage(cli,
                            "--topic '%s': PATTERN=RIGHTS is needed, where "
                            "PATTERN is a topic, or a prefix and one '*'",
                            word);
    if (hf_rights_parse(hf_str_of(equals + 1), &rights) || rights == 0)
        return hf_cli_usage(cli,
                            "--topic '%s': RIGHTS are join, publish and "
                            "presence with commas between",
                            word);
    (void)hf_json_quote(claims, pattern);
    (void)hf_buf_add_byte(claims, ':');
    add_rights(claims, rights);
    return HF_EXIT_OK;
}

static int write_claims(struct hf_cli *cli, const struct asked *asked,
                        struct hf_buf *claims)
{
    long long now_s = hf_wall_ms() / 1000;
    int exit_code = HF_EXIT_OK;
    size_t i;

    (void)hf_buf_addf(claims, "{\"iat\":%lld,\"exp\":%lld", now_s,
                      now_s + asked->ttl_ms / 1000);
    if (asked->sub) {
        (void)hf_buf_add_str(claims, HF_STR(",\"sub\":"));
        (void)hf_json_quote(claims, hf_str_of(asked->sub));
    }
    if (asked->topics_count > 0)
        (void)hf_buf_add_str(claims, HF_STR(",\"topics\":{"));
    for (i = 0; i < asked->topics_count && !exit_code; i++) {
        if (i > 0)
            (void)hf_buf_add_byte(claims, ',');
        exit_code = add_topic(cli, claims, asked->topics[i]);
    }
    if (asked->topics_count > 0)
        (void)hf_buf_add_byte(claims, '}');
    (void)hf_buf_add_byte(claims, '}');
    return exit_code;
}

static const struct hf_jwk *signing_key(const struct hf_jwks *set,
                                        const char *kid)
{
    const struct hf_jwk *named = kid ? hf_jwks_find(set, hf_str_of(kid)) : NULL;
    size_t i;

    if (kid)
        return named && named->can_sign ? named : NULL;
    for (i = 0; i < set->count; i++) {
        if (set->keys[i].can_sign)
            return &set->keys[i];
    }
    return NULL;
}

/* What is given out must be what is taken: it is verified once. */
static int print_token(struct hf_cli *cli, const struct hf_jwks *set,
                       struct hf_str token)
{
    struct hf_identity *identity;
    const char *why;

    if (hf_identity_of_token(set, token, hf_wall_ms(), &identity, &why))
        return hf_cli_fail(cli, "this token would not be taken: %s", why);
    hf_identity_unref(identity);
    printf("%.*s\n", HF_STR_ARG(token));
    return hf_cli_flush(cli);
}

static int mint(struct hf_cli *cli, const struct asked *asked,
                const struct hf_jwks *set)
{
    const struct hf_jwk *key = signing_key(set, asked->kid);
    struct hf_buf claims, token;
    int exit_code;

    if (!key)
        return hf_cli_fail(cli,
                           "%s/" HF_FILE_KEYS " has no %s that can sign; make "
                           "one: holdfast token --add-key HS256",
                           cli->dir.path, asked->kid ? "such key" : "key");
    hf_buf_init(&claims, HF_JWT_MAX);
    hf_buf_init(&token, 2 * HF_JWT_MAX);
    exit_code = write_claims(cli, asked, &claims);
    if (!exit_code && (hf_buf_error(&claims) ||
                       hf_jwt_make(key, hf_buf_str(&claims), &token)))
        exit_code = hf_cli_fail(cli,
                                "a token has at most %u bytes: name fewer "
                                "topics",
                                HF_JWT_MAX);
    if (!exit_code)
        exit_code = print_token(cli, set, hf_buf_str(&token));
    hf_buf_release(&claims);
    hf_buf_release(&token);
    return exit_code;
}

/* --- inspecting ---------------------------------------------------------- */

/* A text of somebody else's, for a terminal. */
static void print_text(const char *name, struct hf_str text)
{
    size_t i;

    printf("%-8s ", name);
    for (i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.at[i];

        putchar(c < ' ' || c == 0x7f ? '?' : c);
    }
    putchar('\n');
}

static void print_member(struct hf_json object, const char *member,
                         const char *name)
{
    char text[256];
    struct hf_str plain = hf_str(text, 0);
    struct hf_json value;

    if (!hf_json_find(object, hf_str_of(member), &value))
        return;
    if (hf_json_unescape(value, text, sizeof(text), &plain.len))
        plain = value.raw;
    print_text(name, plain);
}

static void print_date(struct hf_json claims, const char *member,
                       const char *name)
{
    struct hf_json value;
    long long at_s;
    struct tm date;
    char text[40];

    if (!hf_json_find(claims, hf_str_of(member), &value) ||
        hf_json_integer(value, &at_s) ||
        !gmtime_r(&(time_t){(time_t)at_s}, &date) ||
        strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &date) == 0)
        return;
    printf("%-8s %s (%+lld s)\n", name, text, at_s - hf_wall_ms() / 1000);
}

static void print_topics(struct hf_json claims)
{
    struct hf_json topics, pattern, rights;
    struct hf_json_walk walk;

    if (!hf_json_find(claims, HF_STR("topics"), &topics) ||
        topics.type != HF_JSON_OBJECT)
        return;
    hf_json_walk(topics, &walk);
    while (hf_json_member(&walk, &pattern, &rights))
        printf("%-8s %.*s %.*s\n", "topic", HF_STR_ARG(pattern.raw),
               HF_STR_ARG(rights.raw));
}

static int inspect(struct hf_cli *cli, const struct hf_jwks *set,
                   struct hf_str token)
{
    struct hf_identity *identity = NULL;
    struct hf_jwt jwt;
    const char *why = "";
    int64_t now_ms = hf_wall_ms();
    int err = hf_identity_of_token(set, token, now_ms, &identity, &why);
    int exit_code;

    (void)hf_jwt_verify(&jwt, token, set, now_ms / 1000);
    if (err)
        printf("not valid: %s\n", why);
    else
        puts("valid");
    print_member(jwt.header, "alg", "alg");
    print_member(jwt.header, "kid", "kid");
    if (jwt.claims.type == HF_JSON_OBJECT) {
        print_member(jwt.claims, "sub", "sub");
        print_date(jwt.claims, "iat", "issued");
        print_date(jwt.claims, "nbf", "from");
        print_date(jwt.claims, "exp", "expires");
        print_topics(jwt.claims);
    }
    hf_identity_unref(identity);
    exit_code = hf_cli_flush(cli);
    return exit_code ? exit_code : err ? HF_EXIT_FAILED : HF_EXIT_OK;
}

/* Blanks around it come from copying. */
static struct hf_str trim(struct hf_str text)
{
    while (text.len > 0 && strchr(" \t\r\n", text.at[0]))
        text = hf_str_from(text, 1);
    while (text.len > 0 && strchr(" \t\r\n", text.at[text.len - 1]))
        text.len--;
    return text;
}

static int inspect_word(struct hf_cli *cli, const struct hf_jwks *set,
                        const char *word)
{
    char text[2 * HF_JWT_MAX];
    size_t len;

    if (strcmp(word, "-") != 0)
        return inspect(cli, set, trim(hf_str_of(word)));
    len = fread(text, 1, sizeof(text), stdin);
    if (ferror(stdin))
        return hf_cli_fail(cli, "cannot read standard input");
    return inspect(cli, set, trim(hf_str(text, len)));
}

/* --- arguments ----------------------------------------------------------- */

static int take_option(struct hf_cli *cli, int option, struct asked *asked)
{
    switch (option) {
    case 's':
        asked->sub = optarg;
        asked->minting = true;
        return HF_EXIT_OK;
    case 't':
        if (asked->topics_count == TOPICS_MAX)
            return hf_cli_usage(cli, "at most %u --topic", TOPICS_MAX);
        asked->topics[asked->topics_count++] = optarg;
        asked->minting = true;
        return HF_EXIT_OK;
    case 'T':
        asked->minting = true;
        if (!hf_conf_duration_ms(optarg, &asked->ttl_ms) ||
            asked->ttl_ms < 1000)
            return hf_cli_usage(cli,
                                "--ttl '%s': a time of 1s or more, as "
                                "30s, 15m, 12h or 2d",
                                optarg);
        return HF_EXIT_OK;
    case 'k':
        asked->kid = optarg;
        return HF_EXIT_OK;
    default:
        break;
    }
    if (asked->what != MINT)
        return hf_cli_usage(cli, "one of --inspect, --list-keys, --add-key and "
                                 "--remove-key at a time");
    asked->what = option == 'i'   ? INSPECT
                  : option == 'l' ? LIST_KEYS
                  : option == 'a' ? ADD_KEY
                                  : REMOVE_KEY;
    asked->word = optarg;
    return HF_EXIT_OK;
}

static int check(struct hf_cli *cli, const struct asked *asked)
{
    if (asked->what != MINT && asked->minting)
        return hf_cli_usage(cli, "--sub, --topic and --ttl are for making a "
                                 "token");
    if (asked->what != MINT && asked->what != ADD_KEY && asked->kid)
        return hf_cli_usage(cli, "--kid is for making a token or a key");
    if (asked->sub && asked->sub[0] == '\0')
        return hf_cli_usage(cli, "--sub is a name; leave it out for nobody");
    return HF_EXIT_OK;
}

static int carry_out(struct hf_cli *cli, const struct asked *asked)
{
    struct hf_jwks set = {0};
    char text[HF_JWKS_MAX];
    struct hf_why why = {""};
    size_t len = 0;
    int exit_code;

    if (asked->what == ADD_KEY)
        return hf_token_add_key(cli, asked->word, asked->kid);
    if (asked->what == REMOVE_KEY)
        return hf_token_remove_key(cli, asked->word);
    if (hf_keys_read(&cli->dir, text, &len, &set, &why))
        return hf_cli_fail(cli, "%s", why.text);
    explicit_bzero(text, len);
    exit_code = asked->what == MINT      ? mint(cli, asked, &set)
                : asked->what == INSPECT ? inspect_word(cli, &set, asked->word)
                                         : hf_token_list_keys(cli, &set);
    hf_jwks_release(&set);
    return exit_code;
}

static int run(struct hf_cli *cli, int argc, char **argv)
{
    static const struct option options[] = {
        {"sub", required_argument, NULL, 's'},
        {"topic", required_argument, NULL, 't'},
        {"ttl", required_argument, NULL, 'T'},
        {"kid", required_argument, NULL, 'k'},
        {"inspect", required_argument, NULL, 'i'},
        {"list-keys", no_argument, NULL, 'l'},
        {"add-key", required_argument, NULL, 'a'},
        {"remove-key", required_argument, NULL, 'r'},
        HF_CLI_OPTIONS,
    };
    struct asked asked = {.ttl_ms = 3600 * 1000};
    int exit_code = HF_EXIT_OK;
    int option;

    while ((option = hf_cli_option(cli, argc, argv, ":h", options,
                                   &exit_code)) > 0) {
        exit_code = take_option(cli, option, &asked);
        if (exit_code)
            return exit_code;
    }
    if (option < 0)
        return exit_code;
    if (optind < argc)
        return hf_cli_usage(cli, "token takes no operand");
    exit_code = check(cli, &asked);
    if (!exit_code)
        exit_code = hf_cli_open(cli, HF_JOURNAL_READ);
    if (!exit_code)
        exit_code = carry_out(cli, &asked);
    hf_cli_close(cli);
    return exit_code;
}

const struct hf_command hf_command_token = {
    "token",
    "mint and inspect tokens, and look after their keys",
    help,
    run,
};
