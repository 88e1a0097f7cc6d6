#include "cli/lines.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/crypto.h"
#include "channel/cursor.h"

/* Lines of one transaction at most: others want the write lock too. */
#define GROUP_MAX 500u

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

/* --- standard input ------------------------------------------------------ */

struct input {
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

static int read_more(struct hf_cli *cli, struct input *input)
{
    ssize_t got;

    memmove(input->at, input->at + input->start, input->len - input->start);
    input->len -= input->start;
    input->start = 0;
    if (input->len == input->cap)
        return hf_cli_fail(cli,
                           "line %llu is longer than %zu bytes; the limit "
                           "comes from max_payload in %s/" HF_FILE_SETTINGS,
                           (unsigned long long)input->line + 1, input->cap,
                           cli->dir.path);
    do
        got =
            read(STDIN_FILENO, input->at + input->len, input->cap - input->len);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return hf_cli_fail(cli, "cannot read standard input: %s",
                           strerror(errno));
    input->len += (size_t)got;
    input->ended = got == 0;
    return HF_EXIT_OK;
}

struct group {
    uint64_t ids[GROUP_MAX];
    size_t count;
    bool failed; /* the line taken last: see why */
    struct hf_why why;
};

static int append_line(struct hf_cli *cli, struct hf_str text,
                       struct hf_str publisher, struct group *group)
{
    struct hf_line line;
    int err = hf_line_decode(text, &line, &group->why);

    if (err)
        return err;
    if (!line.publish.publisher.len)
        line.publish.publisher = publisher;
    err = hf_cli_append(cli, &line.publish, &group->ids[group->count],
                        &group->why);
    if (!err)
        group->count++;
    return err;
}

/* Append `line` and those after it that are here already; then commit. */
static int publish_group(struct hf_cli *cli, struct input *input,
                         struct hf_str line, struct hf_str publisher,
                         struct group *group)
{
    uint64_t first = input->line;
    struct hf_why why = {""};
    int err = hf_journal_begin(cli->journal);

    if (err) {
        hf_cli_explain(cli, err, &why);
        return hf_cli_fail(cli,
                           "line %llu and those after it are not "
                           "published: %s",
                           (unsigned long long)first, why.text);
    }
    do
        group->failed = append_line(cli, line, publisher, group) != 0;
    while (!group->failed && group->count < GROUP_MAX &&
           take_line(input, &line));

    err = hf_journal_commit(cli->journal);
    if (!err)
        return HF_EXIT_OK;
    hf_cli_explain(cli, err, &why);
    return hf_cli_fail(cli,
                       "line %llu and those after it are not published: "
                       "%s",
                       (unsigned long long)first, why.text);
}

/* Everything that has arrived whole. */
static int publish_arrived(struct hf_cli *cli, struct input *input,
                           struct hf_str publisher)
{
    struct hf_str line;
    int exit_code;

    while (take_line(input, &line)) {
        struct group group = {.count = 0};

        exit_code = publish_group(cli, input, line, publisher, &group);
        if (exit_code)
            return exit_code;
        for (size_t i = 0; i < group.count; i++)
            hf_cli_print_cursor(cli, group.ids[i]);
        exit_code = hf_cli_flush(cli);
        if (group.failed)
            return hf_cli_fail(cli,
                               "line %llu is not published: %s. Lines "
                               "before it are; those after it are not",
                               (unsigned long long)input->line, group.why.text);
        if (exit_code)
            return exit_code;
    }
    return HF_EXIT_OK;
}

int hf_lines_publish(struct hf_cli *cli, struct hf_str publisher)
{
    struct input input = {
        .cap = cli->settings.max_payload + HF_LINE_EXTRA_BYTES,
    };
    int exit_code = HF_EXIT_OK;

    input.at = malloc(input.cap);
    if (!input.at)
        return hf_cli_fail(cli, "%s", hf_strerror(HF_ENOMEM));
    while (!exit_code && !input.ended) {
        exit_code = read_more(cli, &input);
        if (!exit_code)
            exit_code = publish_arrived(cli, &input, publisher);
    }
    free(input.at);
    return exit_code;
}
