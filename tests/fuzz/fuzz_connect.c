/*
 * fuzz_connect.c - any bytes as what a client says when it connects
 *
 * Six lines: query, Host, Origin, Sec-Fetch-Site, phoenix.js' token,
 * Authorization. Whoever gives no token is nobody, and to be somebody takes a
 * token that was signed: those of the corpus all say the same name.
 */
#include "tests/fuzz/fuzz.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "channel/connect.h"
#include "tests/fuzz/keys.h"

/* A folder of keys, which goes with us; where we die of an input it stays. */
static char folder[] = "/tmp/holdfast-fuzz.XXXXXX";
static struct hf_settings settings;
static struct hf_dir dir;
static struct hf_keys *keys;

static void end(void)
{
    hf_keys_close(keys);
    (void)unlinkat(dir.fd, HF_FILE_KEYS, 0);
    hf_dir_close(&dir);
    (void)rmdir(folder);
}

static void begin(void)
{
    struct hf_why why = {""};
    int fd;

    hf_log_open("fuzz", HF_LOG_ERROR, false);
    hf_settings_default(&settings);
    CHECK(mkdtemp(folder));
    memcpy(dir.path, folder, sizeof(folder)); /* no journal is needed in it */
    dir.file_mode = 0600;
    dir.fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CHECK(dir.fd >= 0);
    fd = openat(dir.fd, HF_FILE_KEYS, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    CHECK(fd >= 0 && write(fd, FUZZ_KEYS, sizeof(FUZZ_KEYS) - 1) ==
                         (ssize_t)sizeof(FUZZ_KEYS) - 1);
    (void)close(fd);
    CHECK(!hf_keys_open(&dir, &keys, &why));
    (void)atexit(end);
}

static struct hf_str take_line(struct hf_str *rest)
{
    const char *stop = rest->len > 0 ? memchr(rest->at, '\n', rest->len) : NULL;
    struct hf_str line = *rest;

    if (stop)
        line.len = (size_t)(stop - rest->at);
    *rest = hf_str_from(*rest, stop ? line.len + 1 : line.len);
    return line;
}

static void check_client(const struct hf_client *client,
                         const struct hf_hello *hello)
{
    if (!client->identity) {
        CHECK(client->user.len == 0);
        CHECK(hello->auth_token.len == 0);
        return;
    }
    CHECK(hf_str_eq(client->user, HF_STR("ann")));
    CHECK(client->user.at == client->identity->user.at);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hf_str rest = hf_str((const char *)data, size);
    struct hf_hello hello = {.peer = HF_STR("192.0.2.1")};
    struct hf_identity *fresher;
    struct hf_client client;
    int err;

    if (!keys)
        begin();
    hello.query = take_line(&rest);
    hello.from.host = take_line(&rest);
    hello.from.origin = take_line(&rest);
    hello.from.sec_fetch_site = take_line(&rest);
    hello.auth_token = take_line(&rest);
    hello.authorization = rest;

    err = hf_connect_check(&settings, &hello, &client);
    CHECK(err == 0 || err == HF_EDENIED);
    if (err)
        client = (struct hf_client){.vsn = HF_VSN_2};
    CHECK(client.vsn == HF_VSN_1 || client.vsn == HF_VSN_2);
    err = hf_connect_identify(&settings, keys, &hello, &client);
    CHECK(err == 0 || err == HF_EDENIED);
    if (err == 0)
        check_client(&client, &hello);
    if (hf_connect_fresher(keys, &hello, &client, &fresher))
        CHECK(false); /* it is the very token that the client came with */
    hf_client_release(&client);
    return 0;
}
