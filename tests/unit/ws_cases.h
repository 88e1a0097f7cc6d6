/*
 * ws_cases.h - reads the cases of tests/conformance; README.md there says how
 * they are written. For tests only: what cannot be read fails the test.
 */
#ifndef HF_TESTS_WS_CASES_H
#define HF_TESTS_WS_CASES_H

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/ws_heard.h"

#define WS_CASE_STEPS 8u
#define WS_CASE_LINE  4096u

struct ws_step {
    struct hf_buf send;
    struct ws_heard want; /* all that is heard up to its end */
};

struct ws_case {
    char name[128];
    bool wslay_differs;
    bool stays_open; /* no goodbye at its end */
    size_t count;
    struct ws_step steps[WS_CASE_STEPS];
};

/* One frame, or bytes, as a line has it. */
struct ws_item {
    char word[8];
    bool more, bare; /* not final; without a mask */
    unsigned reserved;
    int code; /* -1 = none */
    struct hf_buf payload;
    size_t piece; /* bytes in each frame; 0 = all in one */
};

static inline void ws_cases_bad(const char *what, const char *at)
{
    fail_msg("a case cannot be read: %s: %s", what, at);
}

static inline int ws_opcode(const char *word)
{
    static const struct {
        const char *word;
        int opcode;
    } known[] = {{"more", 0},  {"text", 1}, {"binary", 2},
                 {"close", 8}, {"ping", 9}, {"pong", 10}};
    size_t i;

    for (i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (strcmp(word, known[i].word) == 0)
            return known[i].opcode;
    if (strncmp(word, "op", 2) == 0 && isdigit((unsigned char)word[2]))
        return atoi(word + 2);
    ws_cases_bad("no such frame", word);
    return -1;
}

/* --- one item -------------------------------------------------------------- */

static inline size_t ws_number(const char **at)
{
    char *end;
    size_t number = strtoul(*at, &end, 10);

    if (end == *at)
        ws_cases_bad("a number is missing", *at);
    *at = end;
    return number;
}

/* "..." and how often. */
static inline void ws_string(const char **at, struct hf_buf *to)
{
    char text[WS_CASE_LINE];
    size_t len = 0, times = 1;
    const char *p = *at + 1;

    for (; *p && *p != '"'; len++) {
        char hex[3] = {p[0] == '\\' ? p[2] : 0, p[0] == '\\' ? p[3] : 0, 0};

        text[len] = hex[0] ? (char)strtoul(hex, NULL, 16) : *p;
        p += hex[0] ? 4 : 1;
    }
    if (*p++ != '"')
        ws_cases_bad("a string does not end", *at);
    if (*p == '*') {
        p++;
        times = ws_number(&p);
    }
    while (times-- > 0)
        if (hf_buf_add(to, text, len))
            abort();
    *at = p;
}

static inline const char *ws_spaces(const char *at)
{
    return at + strspn(at, " \n");
}

static inline void ws_marks(const char **at, struct ws_item *item)
{
    for (;; (*at)++) {
        if (**at == '+')
            item->more = true;
        else if (**at == '!')
            item->bare = true;
        else if (**at == ':')
            item->reserved = (unsigned)(*++*at - '0');
        else
            return;
    }
}

/* The next one of a line; false at its end. */
static inline bool ws_item(const char **at, struct ws_item *item)
{
    size_t len;

    *at = ws_spaces(*at);
    if (!**at)
        return false;
    len = strspn(*at, "abcdefghijklmnopqrstuvwxyz0123456789");
    if (len == 0 || len >= sizeof(item->word))
        ws_cases_bad("no word", *at);
    *item = (struct ws_item){.code = -1};
    hf_buf_init(&item->payload, WS_HEARD_MAX);
    memcpy(item->word, *at, len);
    *at += len;
    ws_marks(at, item);
    *at = ws_spaces(*at);
    if (isdigit((unsigned char)**at))
        item->code = (int)ws_number(at);
    if (item->code >= 0 &&
        (hf_buf_add_byte(&item->payload, (char)(item->code >> 8)) ||
         hf_buf_add_byte(&item->payload, (char)item->code)))
        abort();
    for (*at = ws_spaces(*at); **at == '"'; *at = ws_spaces(*at))
        ws_string(at, &item->payload);
    if (**at == '/') {
        (*at)++;
        item->piece = ws_number(at);
    }
    return true;
}

/* --- what is sent, what is wanted ------------------------------------------ */

static inline void ws_add_frame(struct hf_buf *to, unsigned first, bool bare,
                                struct hf_str payload)
{
    static unsigned char key[4] = {0x37, 0xfa, 0x21, 0x3d};
    char room[HF_WS_HEAD_MAX];
    size_t len = hf_ws_head(room + sizeof(room), HF_WS_TEXT, payload.len);
    char *head = room + sizeof(room) - len;
    size_t i;

    head[0] = (char)first;
    head[1] = (char)((unsigned char)head[1] | (bare ? 0 : 0x80));
    key[0]++; /* never twice the same, or a wrong turn would not show */
    if (hf_buf_add(to, head, len) || (!bare && hf_buf_add(to, key, 4)) ||
        hf_buf_add_str(to, payload))
        abort();
    for (i = 0; !bare && i < payload.len; i++) {
        char *byte = to->at + to->len - payload.len + i;

        *byte = (char)((unsigned char)*byte ^ key[i % 4]);
    }
}

static inline void ws_add_frames(struct hf_buf *to, const struct ws_item *item)
{
    struct hf_str rest = hf_buf_str(&item->payload);
    unsigned opcode = (unsigned)ws_opcode(item->word);
    size_t piece = item->piece ? item->piece : rest.len;

    for (;;) {
        bool last = rest.len <= piece;
        struct hf_str now = hf_str(rest.at, last ? rest.len : piece);

        ws_add_frame(to,
                     opcode | item->reserved << 4 |
                         (last && !item->more ? 0x80u : 0),
                     item->bare, now);
        if (last)
            return;
        rest = hf_str_from(rest, piece);
        opcode = HF_WS_CONTINUATION;
    }
}

static inline void ws_read_send(struct ws_step *step, const char *line)
{
    struct ws_item item;

    while (ws_item(&line, &item)) {
        if (strcmp(item.word, "raw") != 0)
            ws_add_frames(&step->send, &item);
        else if (hf_buf_add_str(&step->send, hf_buf_str(&item.payload)))
            abort();
        hf_buf_release(&item.payload);
    }
}

static inline void ws_read_want(struct ws_case *c, const char *line)
{
    struct ws_step *step = &c->steps[c->count - 1];
    struct ws_item item;

    while (ws_item(&line, &item)) {
        c->stays_open = strcmp(item.word, "nothing") == 0;
        if (!c->stays_open)
            ws_heard_add(&step->want, (unsigned)ws_opcode(item.word),
                         hf_buf_str(&item.payload));
        hf_buf_release(&item.payload);
    }
}

/* --- cases ------------------------------------------------------------------ */

static inline void ws_case_release(struct ws_case *c)
{
    while (c->count > 0) {
        hf_buf_release(&c->steps[--c->count].send);
        ws_heard_release(&c->steps[c->count].want);
    }
}

/* What was wanted before is heard still. */
static inline struct ws_step *ws_new_step(struct ws_case *c)
{
    struct ws_step *step = &c->steps[c->count++];

    if (c->count > WS_CASE_STEPS)
        ws_cases_bad("too many steps", c->name);
    hf_buf_init(&step->send, WS_HEARD_MAX);
    if (c->count > 1)
        ws_heard_copy(&step->want, &step[-1].want);
    else
        ws_heard_init(&step->want);
    return step;
}

static inline void ws_case_line(struct ws_case *c, char last, const char *line)
{
    if (line[0] == '>') {
        if (last != '>')
            (void)ws_new_step(c);
        c->stays_open = false;
        ws_read_send(&c->steps[c->count - 1], line + 1);
    } else if (line[0] == '<') {
        ws_read_want(c, line + 1);
    } else if (line[0] == '~') {
        c->wslay_differs = true;
    } else {
        ws_cases_bad("no such line", line);
    }
}

/* Read a file of them, and do `each` with one after the other. How many. */
static inline size_t ws_cases_each(const char *path,
                                   void (*each)(const struct ws_case *c))
{
    FILE *file = fopen(path, "r");
    struct ws_case c = {.count = 0};
    char line[WS_CASE_LINE], last = 0;
    size_t count = 0;

    if (!file)
        fail_msg("%s cannot be read", path);
    while (file && fgets(line, sizeof(line), file)) {
        if (line[0] == '#' || line[0] == '\n')
            continue;
        if (line[0] == '=') {
            if (c.count > 0)
                each(&c);
            ws_case_release(&c);
            c = (struct ws_case){.count = 0};
            (void)snprintf(c.name, sizeof(c.name), "%.*s",
                           (int)strcspn(line + 2, "\n"), line + 2);
            count++;
        } else {
            ws_case_line(&c, last, line);
        }
        last = line[0];
    }
    if (c.count > 0)
        each(&c);
    ws_case_release(&c);
    if (file)
        (void)fclose(file);
    return count;
}

#endif
