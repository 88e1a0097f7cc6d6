#include "tests/middlebox/rules.h"

#define UPGRADE     (1u << KIND_UPGRADE)
#define GET         (1u << KIND_GET)
#define POST        (1u << KIND_POST)
#define ALL         KINDS_ALL
#define MOST_DIGITS 6

static const struct {
    struct hf_str name;
    enum mode mode;
    unsigned number; /* unless another is said; 0: there is none to be said */
    unsigned usual;  /* kinds, unless others are named */
    unsigned others; /* kinds that may be named besides */
} modes[] = {
    {HF_STR_INIT("pass"), MODE_PASS, 0, ALL, 0},
    {HF_STR_INIT("refuse"), MODE_STATUS, 403, UPGRADE, ALL},
    {HF_STR_INIT("status"), MODE_STATUS, 502, ALL, 0},
    {HF_STR_INIT("portal"), MODE_PORTAL, 0, ALL, 0},
    {HF_STR_INIT("reset"), MODE_RESET, 0, UPGRADE, ALL},
    {HF_STR_INIT("hang"), MODE_HANG, 0, UPGRADE, ALL},
    {HF_STR_INIT("swallow"), MODE_HANG, 0, POST, ALL},
    {HF_STR_INIT("lose"), MODE_LOSE, 0, POST, GET},
    {HF_STR_INIT("strip"), MODE_STRIP, 0, UPGRADE, 0},
    {HF_STR_INIT("http10"), MODE_HTTP10, 0, ALL, 0},
    {HF_STR_INIT("mute"), MODE_MUTE, 0, UPGRADE, 0},
    {HF_STR_INIT("mute-up"), MODE_MUTE_UP, 0, UPGRADE, 0},
    {HF_STR_INIT("mute-down"), MODE_MUTE_DOWN, 0, UPGRADE, 0},
    {HF_STR_INIT("cut"), MODE_CUT, 1000, UPGRADE, 0},
    {HF_STR_INIT("delay"), MODE_DELAY, 1000, ALL, 0},
    {HF_STR_INIT("double"), MODE_DOUBLE, 0, GET, 0},
    {HF_STR_INIT("truncate"), MODE_TRUNCATE, 10, GET, ALL},
};

static const struct {
    struct hf_str name;
    unsigned bits;
} kinds[] = {
    {HF_STR_INIT("upgrade"), UPGRADE},
    {HF_STR_INIT("get"), GET},
    {HF_STR_INIT("post"), POST},
    {HF_STR_INIT("all"), ALL},
};

/* The first word, and the rest behind it. */
static struct hf_str next_word(struct hf_str *text)
{
    struct hf_str word = hf_str_trim(*text);
    size_t len = 0;

    while (len < word.len && word.at[len] != ' ' && word.at[len] != '\t')
        len++;
    *text = hf_str_from(word, len);
    return hf_str(word.at, len);
}

static unsigned kind_bits(struct hf_str word)
{
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (hf_str_eq(word, kinds[i].name))
            return kinds[i].bits;
    return 0;
}

int kinds_read(struct hf_str words, unsigned none, unsigned *out,
               struct hf_why *why)
{
    unsigned found = 0;
    struct hf_str word;

    while ((word = next_word(&words)).len > 0) {
        unsigned bits = kind_bits(word);

        if (bits == 0)
            return hf_explain(why, HF_EINVAL, "there is no kind '%.*s'",
                              HF_STR_ARG(word));
        found |= bits;
    }
    *out = found == 0 ? none : found;
    return 0;
}

/* Decimal digits, at most six of them; 0 is no number here. */
static unsigned read_number(struct hf_str text)
{
    unsigned number = 0;

    if (text.len > MOST_DIGITS)
        return 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] < '0' || text.at[i] > '9')
            return 0;
        number = 10 * number + (unsigned)(text.at[i] - '0');
    }
    return number;
}

static int find_mode(struct hf_str name, size_t *out)
{
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        if (hf_str_eq(name, modes[i].name)) {
            *out = i;
            return 0;
        }
    }
    return HF_ENOTFOUND;
}

/* "cut=300": which mode, and its number. */
static int read_mode(struct hf_str word, size_t *out, unsigned *out_number,
                     struct hf_why *why)
{
    const char *equals = word.len > 0 ? memchr(word.at, '=', word.len) : NULL;
    size_t len = equals ? (size_t)(equals - word.at) : word.len;

    if (find_mode(hf_str(word.at, len), out))
        return hf_explain(why, HF_EINVAL, "there is no mode '%.*s'", (int)len,
                          word.at ? word.at : "");
    *out_number = modes[*out].number;
    if (!equals)
        return 0;
    if (*out_number == 0)
        return hf_explain(why, HF_EINVAL, "%.*s takes no number", (int)len,
                          word.at);
    *out_number = read_number(hf_str_from(word, len + 1));
    if (*out_number == 0)
        return hf_explain(why, HF_EINVAL, "%.*s= wants a number from 1 on",
                          (int)len, word.at);
    return 0;
}

int rules_read(struct rules *rules, struct hf_str command, struct hf_why *why)
{
    struct hf_str word = next_word(&command);
    unsigned number = 0;
    unsigned chosen = 0;
    size_t i = 0;
    int err;

    err = read_mode(word, &i, &number, why);
    if (err)
        return err;
    err = kinds_read(command, modes[i].usual, &chosen, why);
    if (err)
        return err;
    if ((chosen & ~(modes[i].usual | modes[i].others)) != 0)
        return hf_explain(why, HF_EINVAL, "%.*s is not for those requests",
                          HF_STR_ARG(modes[i].name));
    if (modes[i].mode == MODE_STATUS && (number < 200 || number > 599))
        return hf_explain(why, HF_EINVAL, "%u is no HTTP status", number);

    for (unsigned kind = 0; kind < KINDS; kind++)
        if (chosen & (1u << kind))
            rules->of[kind] = (struct rule){modes[i].mode, number};
    return 0;
}
