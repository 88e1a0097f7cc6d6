#include "cli/lines.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/crypto.h"
#include "channel/cursor.h"
#include "cli/terminal.h"

/* Lines of one transaction at most: others want the write lock too. */
#define GROUP_MAX   500u
#define GROUP_BYTES (256u * 1024u) /* read at once */

/* --- one line ------------------------------------------------------------ */

/* The text of a JSON string into `room`; *out borrows from it. */
static int take_text(struct hf_json value, const char *name, char *room,
                     size_t cap, struct hf_str *out, struct hf_why *why)
{
    size_t len = 0;
    int err = hf_json_unescape(value, room, cap, &len);

    if (err == HF_ELIMIT)
        return hf_explain(why, HF_EMALFORMED, "%s is longer than %zu bytes",
                          name, cap);
    if (err || len == 0)
        return hf_explain(why, HF_EMALFORMED,
                          "%s is to be a string with at "
                          "least one character",
                          name);
    *out = hf_str(room, len);
    return 0;
}

static int take_member(struct hf_line *line, struct hf_str name,
                       struct hf_json value, struct hf_why *why)
{
    struct hf_publish *publish = &line->publish;

    if (hf_str_eq(name, HF_STR("\"topic\"")))
        return take_text(value, "topic", line->topic, sizeof(line->topic),
                         &publish->topic, why);
    if (hf_str_eq(name, HF_STR("\"event\"")))
        return take_text(value, "event", line->event, sizeof(line->event),
                         &publish->event, why);
    if (hf_str_eq(name, HF_STR("\"key\"")))
        return take_text(value, "key", line->key, sizeof(line->key),
                         &publish->key, why);
    if (hf_str_eq(name, HF_STR("\"publisher\"")))
        return take_text(value, "publisher", line->publisher,
                         sizeof(line->publisher), &publish->publisher, why);
    if (hf_str_eq(name, HF_STR("\"payload\""))) {
        publish->payload = value.raw;
        return 0;
    }
    if (hf_str_eq(name, HF_STR("\"cursor\"")) ||
        hf_str_eq(name, HF_STR("\"at\"")))
        return 0;
    if (name.len > 80)
        name.len = 80; /* enough to know it by */
    return hf_explain(why, HF_EMALFORMED,
                      "there is no member %.*s; there are "
                      "topic, event, payload, key and publisher",
                      HF_STR_ARG(name));
}

int hf_line_decode(struct hf_str text, struct hf_line *out, struct hf_why *why)
{
    struct hf_json object;
    struct hf_json name;
    struct hf_json value;
    struct hf_json_walk walk;
    int err;

    out->publish = (struct hf_publish){.kind = HF_KIND_JSON};
    err = hf_json_read(text, HF_JSON_DEPTH + 1, &object);
    if (err == HF_ELIMIT)
        return hf_explain(why, HF_EMALFORMED,
                          "more than %u arrays and objects "
                          "inside each other",
                          HF_JSON_DEPTH);
    if (err)
        return hf_explain(why, HF_EMALFORMED, "it is not JSON in UTF-8");
    if (object.type != HF_JSON_OBJECT)
        return hf_explain(why, HF_EMALFORMED, "it is not a JSON object");

    hf_json_walk(object, &walk);
    while (hf_json_member(&walk, &name, &value)) {
        err = take_member(out, name.raw, value, why);
        if (err)
            return err;
    }
    if (!out->publish.topic.len || !out->publish.event.len ||
        !out->publish.payload.len)
        return hf_explain(why, HF_EMALFORMED,
                          "topic, event and payload are all needed");
    return 0;
}

static void add_payload(struct hf_buf *buf, struct hf_str payload)
{
    char *room = hf_buf_room(buf, payload.len);

    for (size_t i = 0; room && i < payload.len; i++) {
        char c = payload.at[i];

        room[i] = c == '\n' || c == '\r' ? ' ' : c;
    }
    if (room)
        hf_buf_grown(buf, payload.len);
}

static void add_binary(struct hf_buf *buf, struct hf_str payload)
{
    char *room;

    hf_buf_add_byte(buf, '"');
    room = hf_buf_room(buf, HF_BASE64_LEN(payload.len));
    if (room)
        hf_buf_grown(buf, hf_base64(payload, room));
    hf_buf_add_byte(buf, '"');
}

int hf_line_encode(struct hf_buf *buf, uint64_t epoch, const struct hf_row *row)
{
    char cursor[HF_CURSOR_MAX];
    size_t len = hf_cursor_format((struct hf_cursor){epoch, row->id}, cursor);

    hf_buf_addf(buf, "{\"cursor\":\"%.*s\",\"at\":%lld,\"topic\":", (int)len,
                cursor, (long long)row->at_ms);
    hf_json_quote(buf, row->topic);
    hf_buf_add_str(buf, HF_STR(",\"event\":"));
    hf_json_quote(buf, row->event);
    if (row->kind == HF_KIND_BINARY) {
        hf_buf_add_str(buf, HF_STR(",\"binary\":"));
        add_binary(buf, row->payload);
    } else {
        hf_buf_add_str(buf, HF_STR(",\"payload\":"));
        add_payload(buf, row->payload);
    }
    hf_buf_add_str(buf, HF_STR("}\n"));
    return hf_buf_error(buf);
}

/* --- reading ------------------------------------------------------------- */

struct input {
    const struct hf_lines *from;
    char *at;
    size_t start; /* bytes before it are done with */
    size_t len;   /* bytes read, `start` included; at most cap */
    size_t cap;   /* bytes; no line is longer */
    bool ended;
    uint64_t line; /* number of the line taken last, from 1 */
};

static bool is_blank(struct hf_str line)
{
    for (size_t i = 0; i < line.len; i++)
        if (!strchr(" \t\r", line.at[i]))
            return false;
    return true;
}

/* The next whole line that is not blank; borrowed until more is read. */
static bool take_line(struct input *input, struct hf_str *out)
{
    while (input->start < input->len) {
        char *at = input->at + input->start;
        size_t left = input->len - input->start;
        char *end = memchr(at, '\n', left);

        if (!end && !input->ended)
            return false;
        *out = hf_str(at, end ? (size_t)(end - at) : left);
        input->start += out->len + (end ? 1 : 0);
        input->line++;
        if (!is_blank(*out))
            return true;
    }
    return false;
}

static int read_more(struct hf_cli *cli, struct input *input,
                     struct hf_progress *progress)
{
    ssize_t got;

    memmove(input->at, input->at + input->start, input->len - input->start);
    input->len -= input->start;
    input->start = 0;
    if (input->len == input->cap) {
        hf_progress_end(progress);
        return hf_cli_fail(cli,
                           "line %llu is longer than %zu bytes; the limit "
                           "comes from max_payload in %s/" HF_FILE_SETTINGS,
                           (unsigned long long)input->line + 1, input->cap,
                           cli->dir.path);
    }
    do
        got = read(input->from->fd, input->at + input->len,
                   input->cap - input->len);
    while (got < 0 && errno == EINTR && !hf_interrupted());
    if (got < 0 && errno == EINTR)
        return HF_EXIT_OK; /* whoever called us sees why */
    if (got < 0) {
        hf_progress_end(progress);
        return hf_cli_fail(cli, "cannot read %s: %s", input->from->name,
                           strerror(errno));
    }
    input->len += (size_t)got;
    input->ended = got == 0;
    return HF_EXIT_OK;
}

/* --- publishing in groups ------------------------------------------------ */

struct group {
    uint64_t ids[GROUP_MAX];
    size_t count;
    size_t repeats; /* of them, were there before */
    bool failed;    /* the line taken last: see why */
    struct hf_why why;
};

/* All groups. */
struct total {
    struct hf_progress progress;
    uint64_t published; /* lines, repeats not counted */
    uint64_t repeats;
    uint64_t last_id; /* 0 = none */
};

static int append_line(struct hf_cli *cli, struct hf_str text,
                       struct hf_str publisher, struct group *group)
{
    struct hf_line line;
    bool repeated = false;
    int err = hf_line_decode(text, &line, &group->why);

    if (err)
        return err;
    if (!line.publish.publisher.len)
        line.publish.publisher = publisher;
    err = hf_cli_append(cli, &line.publish, &group->ids[group->count],
                        &repeated, &group->why);
    if (err)
        return err;
    group->count++;
    group->repeats += repeated;
    return 0;
}

static int fail_from(struct hf_cli *cli, struct hf_progress *progress,
                     uint64_t line, int err)
{
    struct hf_why why = {""};

    hf_progress_end(progress);
    hf_cli_explain(cli, err, &why);
    return hf_cli_fail(cli,
                       "line %llu and those after it are not published: %s",
                       (unsigned long long)line, why.text);
}

/* Append `line` and those after it that are here already; then commit. */
static int publish_group(struct hf_cli *cli, struct input *input,
                         struct hf_str line, struct group *group,
                         struct hf_progress *progress)
{
    uint64_t first = input->line;
    int err = hf_journal_begin(cli->journal);

    if (err)
        return fail_from(cli, progress, first, err);
    do
        group->failed =
            append_line(cli, line, input->from->publisher, group) != 0;
    while (!group->failed && group->count < GROUP_MAX &&
           take_line(input, &line));

    err = hf_journal_commit(cli->journal);
    return err ? fail_from(cli, progress, first, err) : HF_EXIT_OK;
}

static int count_group(struct hf_cli *cli, struct total *total,
                       const struct group *group, bool batch)
{
    total->repeats += group->repeats;
    total->published += group->count - group->repeats;
    if (group->count)
        total->last_id = group->ids[group->count - 1];
    if (batch) {
        hf_progress_say(
            &total->progress, "%llu published, %llu a second",
            (unsigned long long)total->published,
            (unsigned long long)(total->published * 1000 /
                                 (uint64_t)hf_progress_ms(&total->progress)));
        return HF_EXIT_OK;
    }
    for (size_t i = 0; i < group->count; i++)
        hf_cli_print_cursor(cli, group->ids[i]);
    return hf_cli_flush(cli);
}

/* Everything that has arrived whole. */
static int publish_arrived(struct hf_cli *cli, struct input *input,
                           struct total *total)
{
    struct hf_str line;
    int exit_code = HF_EXIT_OK;

    while (!exit_code && !hf_interrupted() && take_line(input, &line)) {
        struct group group = {.count = 0};

        exit_code = publish_group(cli, input, line, &group, &total->progress);
        if (exit_code)
            return exit_code;
        exit_code = count_group(cli, total, &group, input->from->batch);
        if (!group.failed)
            continue;
        hf_progress_end(&total->progress);
        return hf_cli_fail(cli,
                           "line %llu is not published: %s. Lines "
                           "before it are; those after it are not",
                           (unsigned long long)input->line, group.why.text);
    }
    return exit_code;
}

static int sum_up(struct hf_cli *cli, struct total *total)
{
    double seconds = (double)hf_progress_ms(&total->progress) / 1000;

    fprintf(stderr, "%llu published in %.1f s, %.0f a second",
            (unsigned long long)total->published, seconds,
            (double)total->published / seconds);
    if (total->repeats)
        fprintf(stderr, "; %llu were there already",
                (unsigned long long)total->repeats);
    fputc('\n', stderr);
    if (total->last_id)
        hf_cli_print_cursor(cli, total->last_id);
    return hf_cli_flush(cli);
}

static int publish_all(struct hf_cli *cli, struct input *input,
                       struct total *total)
{
    int exit_code = HF_EXIT_OK;

    while (!exit_code && !input->ended && !hf_interrupted()) {
        exit_code = read_more(cli, input, &total->progress);
        if (!exit_code)
            exit_code = publish_arrived(cli, input, total);
    }
    hf_progress_end(&total->progress);
    /* A last line without its end is taken only once reading has ended. */
    if (!exit_code && hf_interrupted() &&
        (!input->ended || input->start < input->len))
        exit_code = hf_cli_fail(cli,
                                "stopped: lines up to %llu are published, "
                                "those after it are not",
                                (unsigned long long)input->line);
    if (input->from->batch) {
        int summed = sum_up(cli, total);

        return exit_code ? exit_code : summed;
    }
    return exit_code;
}

int hf_lines_publish(struct hf_cli *cli, const struct hf_lines *lines)
{
    size_t longest = cli->settings.max_payload + HF_LINE_EXTRA_BYTES;
    struct input input = {
        .from = lines,
        .cap = longest > GROUP_BYTES ? longest : GROUP_BYTES,
    };
    struct total total = {.published = 0};
    int exit_code;

    input.at = malloc(input.cap);
    if (!input.at)
        return hf_cli_fail(cli, "%s", hf_strerror(HF_ENOMEM));
    hf_progress_start(&total.progress);
    if (lines->batch)
        hf_catch_signals();
    exit_code = publish_all(cli, &input, &total);
    free(input.at);
    return exit_code;
}
