/*
 * fuzz_handshake.c - any headers of a WebSocket handshake
 *
 * Each line is a header, "Name: value". Whoever is upgraded has shown one host
 * and one key of 16 bytes, and a value said twice is refused where only one can
 * be meant. In which order they come, and in which letters their names are,
 * makes no difference.
 */
#include "tests/fuzz/fuzz.h"

#include <string.h>
#include <strings.h>

#include "base/crypto.h"
#include "sidecar/handshake.h"

static struct hf_str take_line(struct hf_str *rest)
{
    const char *stop = memchr(rest->at, '\n', rest->len);
    struct hf_str line = *rest;

    if (stop)
        line.len = (size_t)(stop - rest->at);
    *rest = hf_str_from(*rest, stop ? line.len + 1 : line.len);
    return line;
}

/* How many headers there were of this name. */
static unsigned feed(struct hf_str text, const char *counted,
                     struct hf_handshake *handshake)
{
    unsigned count = 0;

    while (text.len > 0) {
        struct hf_str line = take_line(&text), name = line;
        const char *colon =
            line.len > 0 ? memchr(line.at, ':', line.len) : NULL;

        if (!colon)
            continue;
        name.len = (size_t)(colon - line.at);
        line = hf_str_from(line, name.len + 1);
        if (name.len == strlen(counted) &&
            strncasecmp(name.at, counted, name.len) == 0)
            count++;
        if (handshake)
            hf_handshake_header(handshake, name, line);
    }
    return count;
}

static bool is_upgraded(const struct hf_handshake *handshake)
{
    return hf_handshake_request(handshake, HF_STR("GET")).status == 0 &&
           !hf_handshake_foreign(handshake) &&
           hf_handshake_upgrade(handshake, HF_STR("HTTP/1.1")).status == 0;
}

/* From the last line to the first. */
static void feed_backwards(struct hf_str text, struct hf_handshake *handshake)
{
    while (text.len > 0) {
        const char *stop = memrchr(text.at, '\n', text.len);
        struct hf_str line =
            stop ? hf_str_from(text, (size_t)(stop - text.at) + 1) : text;

        (void)feed(line, "", handshake);
        text.len = stop ? (size_t)(stop - text.at) : 0;
    }
}

/* The names in the other letters; values stay. */
static void feed_shouting(struct hf_str text, struct hf_handshake *handshake,
                          char *copy)
{
    bool value = false;
    size_t i;

    for (i = 0; i < text.len; i++) {
        bool letter = (text.at[i] >= 'a' && text.at[i] <= 'z') ||
                      (text.at[i] >= 'A' && text.at[i] <= 'Z');

        value = text.at[i] != '\n' && (value || text.at[i] == ':');
        copy[i] = (char)(text.at[i] ^ (letter && !value ? 0x20 : 0));
    }
    (void)feed(hf_str(copy, text.len), "", handshake);
}

static void check_others(struct hf_str text, bool upgraded)
{
    struct hf_handshake backwards = {0}, shouted = {0};
    char *copy = malloc(text.len + 1);

    CHECK(copy);
    feed_backwards(text, &backwards);
    CHECK(is_upgraded(&backwards) == upgraded);
    feed_shouting(text, &shouted, copy);
    CHECK(is_upgraded(&shouted) == upgraded);
    free(copy);
}

static void check_upgraded(const struct hf_handshake *handshake)
{
    char accept[HF_ACCEPT_LEN + 1];
    unsigned char bytes[64];
    struct hf_str key = handshake->key;
    size_t len = 0;

    CHECK(handshake->version_13 && handshake->upgrade_websocket);
    CHECK(handshake->connection_upgrade && !handshake->body);
    CHECK(key.len == 24 && !hf_base64_decode(key, bytes, &len) && len == 16);
    CHECK(!hf_handshake_accept(handshake, accept));
    CHECK(strlen(accept) == HF_ACCEPT_LEN);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hf_str text = hf_str((const char *)data, size);
    struct hf_handshake handshake = {0};
    struct hf_refusal request, upgrade;
    unsigned hosts, keys, origins;

    hosts = feed(text, "Host", &handshake);
    keys = feed(text, "Sec-WebSocket-Key", NULL);
    origins = feed(text, "Origin", NULL);
    CHECK(handshake.hosts == hosts && handshake.keys == keys);

    request = hf_handshake_request(&handshake, HF_STR("GET"));
    upgrade = hf_handshake_upgrade(&handshake, HF_STR("HTTP/1.1"));
    CHECK(request.status == 0 || (request.status >= 400 && request.text));
    CHECK(upgrade.status == 0 || (upgrade.status >= 400 && upgrade.text));
    CHECK(hf_handshake_request(&handshake, HF_STR("POST")).status != 0);
    CHECK(hf_handshake_upgrade(&handshake, HF_STR("HTTP/1.0")).status != 0);
    if (hosts != 1 || origins > 1)
        CHECK(request.status != 0);
    if (handshake.bearers == 0 && handshake.phoenix)
        CHECK(!hf_handshake_foreign(&handshake));
    check_others(text, is_upgraded(&handshake));
    if (request.status == 0 && upgrade.status == 0) {
        CHECK(keys == 1);
        check_upgraded(&handshake);
    }
    return 0;
}
