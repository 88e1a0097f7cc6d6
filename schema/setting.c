#include "schema/setting.h"

#include <stdio.h>
#include <string.h>

#include "base/conf.h"
#include "base/nearest.h"
#include "base/str.h"

#define NUMBER_TEXT 32

static void *member(struct hf_settings *settings, size_t at)
{
    return (char *)settings + at;
}

static const void *const_member(const struct hf_settings *settings, size_t at)
{
    return (const char *)settings + at;
}

/* --- numbers ------------------------------------------------------------- */

static bool is_duration(const struct hf_setting *setting)
{
    return setting->type == HF_SETTING_DURATION;
}

/* The first unit that divides the number is taken, from `least` on. The last
 * one divides everything. */
struct unit {
    const char *name;
    long long is;
    long long least;
};

static const struct unit times[] = {
    {"d", 24LL * 3600 * 1000, 48LL * 3600 * 1000}, /* one is rather 24h */
    {"h", 3600LL * 1000, 1},
    {"m", 60LL * 1000, 1},
    {"s", 1000, 1},
    {"ms", 1, 1},
};
static const struct unit sizes[] = {
    {"G", 1LL << 30, 1},
    {"M", 1LL << 20, 1},
    {"k", 1LL << 10, 1},
    {"", 1, 1},
};

static void print_number(const struct hf_setting *setting, long long number,
                         char out[NUMBER_TEXT])
{
    const struct unit *unit = is_duration(setting) ? times : sizes;

    if (number == 0) {
        memcpy(out, "0", 2);
        return;
    }
    while (number % unit->is != 0 || number < unit->least)
        unit++;
    (void)snprintf(out, NUMBER_TEXT, "%lld%s", number / unit->is, unit->name);
}

static long long number_of(const struct hf_setting *setting,
                           const struct hf_settings *settings)
{
    const void *at = const_member(settings, setting->at);

    return setting->type == HF_SETTING_SIZE ? (long long)*(const size_t *)at
                                            : *(const int64_t *)at;
}

static int wrong_number(const struct hf_setting *setting, const char *value,
                        const struct hf_settings *defaults, const char *what,
                        struct hf_why *why)
{
    char min[NUMBER_TEXT], max[NUMBER_TEXT], example[NUMBER_TEXT];

    print_number(setting, setting->min, min);
    print_number(setting, setting->max, max);
    print_number(setting, number_of(setting, defaults), example);
    return hf_explain(
        why, HF_EINVAL, "%s = %s: %s; from %s to %s is allowed, like %s = %s",
        setting->name, value, what, min, max, setting->name, example);
}

static int read_number(const struct hf_setting *setting,
                       struct hf_settings *settings, const char *value,
                       const struct hf_settings *defaults, struct hf_why *why)
{
    void *at = member(settings, setting->at);
    long long number;

    if (strcmp(value, "0") == 0)
        number = 0; /* for a time too, without a unit */
    else if (is_duration(setting) && !hf_conf_duration_ms(value, &number))
        return wrong_number(setting, value, defaults,
                            "not a time, which has a unit: ms, s, m, h or d",
                            why);
    else if (!is_duration(setting) && !hf_conf_size(value, &number))
        return wrong_number(setting, value, defaults,
                            "not a number, behind which k, M or G may stand",
                            why);
    if (number < setting->min)
        return wrong_number(setting, value, defaults, "too small", why);
    if (number > setting->max)
        return wrong_number(setting, value, defaults, "too large", why);
    if (setting->type == HF_SETTING_SIZE)
        *(size_t *)at = (size_t)number;
    else
        *(int64_t *)at = number;
    return 0;
}

/* --- text ---------------------------------------------------------------- */

static int read_text(const struct hf_setting *setting,
                     struct hf_settings *settings, const char *value,
                     const struct hf_settings *defaults, struct hf_why *why)
{
    size_t len = strlen(value);

    if (len < (size_t)setting->min)
        return hf_explain(why, HF_EINVAL, "%s: a value is needed, like %s = %s",
                          setting->name, setting->name,
                          (const char *)const_member(defaults, setting->at));
    if (len >= HF_SETTINGS_TEXT)
        return hf_explain(why, HF_EINVAL, "%s: longer than %u bytes",
                          setting->name, HF_SETTINGS_TEXT - 1);
    memcpy(member(settings, setting->at), value, len + 1);
    return 0;
}

static int add_to_list(const struct hf_setting *setting,
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

static int read_list(const struct hf_setting *setting,
                     struct hf_settings *settings, const char *value,
                     struct hf_why *why)
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

/* "a, b or c" */
static void list_words(const char *const *words, char *out, size_t cap)
{
    size_t len = 0, i;

    for (i = 0; words[i] && len < cap; i++)
        len += (size_t)snprintf(out + len, cap - len, "%s%s",
                                i == 0         ? ""
                                : words[i + 1] ? ", "
                                               : " or ",
                                words[i]);
}

static int read_word(const struct hf_setting *setting,
                     struct hf_settings *settings, const char *value,
                     struct hf_why *why)
{
    struct hf_nearest nearest = {.word = value};
    char all[128];
    int i;

    for (i = 0; setting->words[i]; i++) {
        if (strcmp(value, setting->words[i]) == 0) {
            *(int *)member(settings, setting->at) = i;
            return 0;
        }
        hf_nearest_offer(&nearest, setting->words[i]);
    }
    list_words(setting->words, all, sizeof(all));
    return hf_explain(why, HF_EINVAL, "%s = %s: it is %s%s%s%s", setting->name,
                      value, all, nearest.found ? "; did you mean " : "",
                      nearest.found ? nearest.found : "",
                      nearest.found ? "?" : "");
}

/* ------------------------------------------------------------------------- */

void hf_setting_clear(const struct hf_setting *setting,
                      struct hf_settings *settings)
{
    if (setting->type != HF_SETTING_LIST)
        return;
    memset(member(settings, setting->at), 0,
           HF_SETTINGS_LIST * HF_SETTINGS_TEXT);
    *(size_t *)member(settings, setting->count_at) = 0;
}

int hf_setting_read(const struct hf_setting *setting,
                    struct hf_settings *settings, const char *value,
                    const struct hf_settings *defaults, struct hf_why *why)
{
    switch (setting->type) {
    case HF_SETTING_SIZE:
    case HF_SETTING_SIZE64:
    case HF_SETTING_DURATION:
        return read_number(setting, settings, value, defaults, why);
    case HF_SETTING_TEXT:
    case HF_SETTING_SECRET:
        return read_text(setting, settings, value, defaults, why);
    case HF_SETTING_LIST:
        return read_list(setting, settings, value, why);
    case HF_SETTING_WORD:
        return read_word(setting, settings, value, why);
    case HF_SETTING_FLAG:
        if (hf_conf_bool(value, member(settings, setting->at)))
            return 0;
        return hf_explain(why, HF_EINVAL, "%s = %s: it is yes or no",
                          setting->name, value);
    }
    return HF_EINVAL; /* not reached: the switch has every type */
}

static void print_list(const struct hf_setting *setting,
                       const struct hf_settings *settings,
                       char out[HF_SETTING_VALUE])
{
    const char(*list)[HF_SETTINGS_TEXT] = const_member(settings, setting->at);
    size_t count = *(const size_t *)const_member(settings, setting->count_at);
    size_t len = 0, i;

    out[0] = '\0';
    for (i = 0; i < count; i++)
        len += (size_t)snprintf(out + len, HF_SETTING_VALUE - len, "%s%s",
                                i == 0 ? "" : " ", list[i]);
}

void hf_setting_print(const struct hf_setting *setting,
                      const struct hf_settings *settings,
                      char out[HF_SETTING_VALUE])
{
    const void *at = const_member(settings, setting->at);
    const char *text = "";

    switch (setting->type) {
    case HF_SETTING_SIZE:
    case HF_SETTING_SIZE64:
    case HF_SETTING_DURATION:
        print_number(setting, number_of(setting, settings), out);
        return;
    case HF_SETTING_LIST:
        print_list(setting, settings, out);
        return;
    case HF_SETTING_TEXT:
        text = at;
        break;
    case HF_SETTING_SECRET:
        text = *(const char *)at ? "(set)" : "";
        break;
    case HF_SETTING_WORD:
        text = setting->words[*(const int *)at];
        break;
    case HF_SETTING_FLAG:
        text = *(const bool *)at ? "yes" : "no";
        break;
    }
    (void)snprintf(out, HF_SETTING_VALUE, "%s", text);
}
