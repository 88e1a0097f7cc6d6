#include "channel/report.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"
#include "base/utf8.h"

void hf_report_release(struct hf_report *report)
{
    for (size_t i = 0; i < report->count; i++)
        free(report->items[i].text);
    *report = (struct hf_report){.count = 0};
}

/* --- adding -------------------------------------------------------------- */

/* Names of files may be any bytes, and a text may be cut within a letter; JSON
 * may be neither. */
static void make_valid(char *text)
{
    if (hf_utf8_valid(hf_str_of(text)))
        return;
    for (; *text; text++)
        if ((unsigned char)*text >= 0x80)
            *text = '?';
}

/* Control characters, those of two bytes too: what a terminal would obey. */
static void make_harmless(char *text)
{
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;

        if ((c < ' ' && c != '\n') || c == 0x7f)
            *text = '?';
        else if (c == 0xc2 && (unsigned char)text[1] >= 0x80 &&
                 (unsigned char)text[1] < 0xa0)
            text[0] = text[1] = '?';
    }
}

static void add(struct hf_report *report, const struct hf_finding_kind *kind,
                enum hf_finding_level level, const char *subject,
                const char *text)
{
    struct hf_report_item *item;

    if (level > report->worst)
        report->worst = level;
    if (report->count == HF_REPORT_ITEMS)
        return; /* a host with so many troubles has been told enough */
    item = &report->items[report->count];
    *item = (struct hf_report_item){.kind = kind, .level = level};
    item->text = strndup(text, HF_REPORT_TEXT);
    if (!item->text)
        return;
    make_valid(item->text);
    make_harmless(item->text);
    (void)snprintf(item->subject, sizeof(item->subject), "%s", subject);
    make_harmless(item->subject);
    report->count++;
}

void hf_report_add(struct hf_report *report, enum hf_finding_level level,
                   const char *subject, const char *text)
{
    add(report, hf_finding_of(subject, level), level, subject, text);
}

void hf_report_fact(struct hf_report *report, const char *subject,
                    const char *format, ...)
{
    char text[HF_REPORT_TEXT];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    add(report, NULL, HF_FINDING_OK, subject, text);
}

void hf_report_trouble(struct hf_report *report, const char *subject,
                       const char *id, const char *format, ...)
{
    const struct hf_finding_kind *kind = hf_finding_kind(id);
    char text[HF_REPORT_TEXT];
    int len = snprintf(text, sizeof(text), "%s: ", kind ? kind->what : id);
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text + len, sizeof(text) - (size_t)len, format, args);
    va_end(args);
    add(report, kind, kind ? kind->level : HF_FINDING_WARNING, subject, text);
}

bool hf_report_has(const struct hf_report *report, const char *id)
{
    for (size_t i = 0; i < report->count; i++)
        if (report->items[i].kind && strcmp(report->items[i].kind->id, id) == 0)
            return true;
    return false;
}

/* --- changes ------------------------------------------------------------- */

struct now {
    const char *section, *name;
    char *value;
};

static void look_up(void *ctx, const char *section, const char *name,
                    const char *value, const char *standard)
{
    struct now *now = ctx;

    (void)standard;
    if (strcmp(section, now->section) == 0 && strcmp(name, now->name) == 0)
        (void)snprintf(now->value,
                       sizeof(((struct hf_settings_change *)0)->now), "%s",
                       value);
}

void hf_report_change(struct hf_report *report,
                      const struct hf_settings *settings, const char *section,
                      const char *name, long long value, const char *unit,
                      const char *id)
{
    struct hf_settings_change change = {section, name, "", "", id};
    struct now now = {section, name, change.now};
    size_t i;

    (void)snprintf(change.value, sizeof(change.value), "%lld%s", value, unit);
    hf_settings_each(settings, look_up, &now);
    if (strcmp(change.now, change.value) == 0)
        return;
    for (i = 0; i < report->changes_count; i++)
        if (strcmp(report->changes[i].name, name) == 0)
            break;
    if (i < report->changes_count) {
        if (value < strtoll(report->changes[i].value, NULL, 10))
            report->changes[i] = change;
    } else if (i < HF_SETTINGS_CHANGES) {
        report->changes[report->changes_count++] = change;
    }
}

/* --- telling ------------------------------------------------------------- */

static const char *level_word(const struct hf_report_item *item)
{
    switch (item->level) {
    case HF_FINDING_OK:
        return item->kind ? "note" : "ok";
    case HF_FINDING_WARNING:
        return "warning";
    case HF_FINDING_PROBLEM:
        return "problem";
    }
    return "?";
}

/* Lines of 78 columns, each after the first indented. */
static void print_wrapped(const char *begin, const char *text, int indent)
{
    int column = printf("%s", begin);

    while (*text) {
        size_t word = strcspn(text, " ");

        if (column + 1 + (int)word > 78 && column > indent)
            column = printf("\n%*s", indent, "") - 1;
        else if (column > indent)
            column += printf(" ");
        column += printf("%.*s", (int)word, text);
        text += word + strspn(text + word, " ");
    }
    putchar('\n');
}

static void print_item(const struct hf_report_item *item)
{
    char begin[64];

    (void)snprintf(begin, sizeof(begin), "%-8s %-12s", level_word(item),
                   item->subject);
    print_wrapped(begin, item->text, 21);
    if (!item->kind)
        return;
    /* the findings of an inspection say for themselves what to do */
    if (!item->kind->subject) {
        print_wrapped("         why:        ", item->kind->why, 21);
        print_wrapped("         do:         ", item->kind->fix, 21);
    }
    printf("         see:        " HF_FINDINGS_PAGE "#%s\n", item->kind->id);
}

void hf_report_print(const struct hf_report *report)
{
    for (size_t i = 0; i < report->count; i++)
        print_item(&report->items[i]);
    if (report->changes_count == 0)
        return;
    puts("\nRecommended, in holdfast.conf:\n");
    for (size_t i = 0; i < report->changes_count; i++) {
        const struct hf_settings_change *change = &report->changes[i];

        printf("  [%s]  (%s)\n- %s = %s\n+ %s = %s\n", change->section,
               change->because, change->name, change->now, change->name,
               change->value);
    }
}

static void put_member(struct hf_buf *out, const char *begin, const char *text)
{
    (void)hf_buf_add_str(out, hf_str_of(begin)); /* `failed` remembers */
    (void)hf_json_quote(out, hf_str_of(text));
}

static void put_item(struct hf_buf *out, const struct hf_report_item *item)
{
    put_member(out, "{\"level\":", level_word(item));
    put_member(out, ",\"subject\":", item->subject);
    put_member(out, ",\"text\":", item->text);
    if (item->kind) {
        put_member(out, ",\"id\":", item->kind->id);
        put_member(out, ",\"why\":", item->kind->why);
        put_member(out, ",\"do\":", item->kind->fix);
        (void)hf_buf_addf(out, ",\"link\":\"" HF_FINDINGS_PAGE "#%s\"",
                          item->kind->id);
    }
    (void)hf_buf_add_byte(out, '}');
}

static void put_change(struct hf_buf *out,
                       const struct hf_settings_change *change)
{
    put_member(out, "{\"section\":", change->section);
    put_member(out, ",\"name\":", change->name);
    put_member(out, ",\"now\":", change->now);
    put_member(out, ",\"to\":", change->value);
    put_member(out, ",\"for\":", change->because);
    (void)hf_buf_add_byte(out, '}');
}

int hf_report_json(const struct hf_report *report, struct hf_buf *out)
{
    static const char *const verdicts[] = {"ok", "warning", "problem"};

    (void)hf_buf_addf(out,
                      "{\"holdfast\":\"" PACKAGE_VERSION
                      "\",\"verdict\":\"%s\","
                      "\"findings\":[",
                      verdicts[report->worst]);
    for (size_t i = 0; i < report->count; i++) {
        if (i > 0)
            (void)hf_buf_add_byte(out, ',');
        put_item(out, &report->items[i]);
    }
    (void)hf_buf_add_str(out, HF_STR("],\"changes\":["));
    for (size_t i = 0; i < report->changes_count; i++) {
        if (i > 0)
            (void)hf_buf_add_byte(out, ',');
        put_change(out, &report->changes[i]);
    }
    (void)hf_buf_add_str(out, HF_STR("]}"));
    return hf_buf_error(out);
}

/* --- reading ------------------------------------------------------------- */

static void read_text(struct hf_json object, const char *name, char *out,
                      size_t cap)
{
    struct hf_json value;
    size_t len = 0;

    if (!hf_json_find(object, hf_str_of(name), &value) ||
        hf_json_unescape(value, out, cap - 1, &len))
        len = 0;
    out[len] = '\0';
    make_harmless(out);
}

static void read_item(struct hf_report *report, struct hf_json item)
{
    static const char *const words[] = {"ok", "warning", "problem"};
    char level[16], id[64], subject[32], text[HF_REPORT_TEXT];
    size_t i;

    read_text(item, "level", level, sizeof(level));
    read_text(item, "id", id, sizeof(id));
    read_text(item, "subject", subject, sizeof(subject));
    read_text(item, "text", text, sizeof(text));
    for (i = 0; i < 3; i++)
        if (strcmp(level, words[i]) == 0)
            break;
    add(report, id[0] ? hf_finding_kind(id) : NULL,
        i < 3 ? (enum hf_finding_level)i : HF_FINDING_OK, subject, text);
}

/* A name that the doctor recommends; the text of the table, which stays. */
static const char *changeable(const char *name)
{
    static const char *const names[] = {"hold", "cgi_hold", "held_first",
                                        "cgi_max_held", "max_held"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(names[i], name) == 0)
            return names[i];
    return NULL;
}

static void read_change(struct hf_report *report, struct hf_json item)
{
    struct hf_settings_change *change = &report->changes[report->changes_count];
    const struct hf_finding_kind *kind;
    char name[64], id[64];

    if (report->changes_count == HF_SETTINGS_CHANGES)
        return;
    read_text(item, "name", name, sizeof(name));
    read_text(item, "for", id, sizeof(id));
    read_text(item, "to", change->value, sizeof(change->value));
    read_text(item, "now", change->now, sizeof(change->now));
    kind = hf_finding_kind(id);
    change->section = "gateway";
    change->name = changeable(name);
    change->because = kind ? kind->id : "";
    for (size_t i = 0; i < report->changes_count && change->name; i++)
        if (report->changes[i].name == change->name)
            return; /* the first counts */
    if (change->name && change->value[0])
        report->changes_count++;
}

int hf_report_read(struct hf_report *report, struct hf_str json)
{
    struct hf_json all, list, item;
    struct hf_json_walk walk;

    if (hf_json_read(json, 8, &all) || all.type != HF_JSON_OBJECT)
        return HF_EMALFORMED;
    if (hf_json_find(all, HF_STR("findings"), &list) &&
        list.type == HF_JSON_ARRAY)
        for (hf_json_walk(list, &walk); hf_json_element(&walk, &item);)
            read_item(report, item);
    if (hf_json_find(all, HF_STR("changes"), &list) &&
        list.type == HF_JSON_ARRAY)
        for (hf_json_walk(list, &walk); hf_json_element(&walk, &item);)
            read_change(report, item);
    return 0;
}
