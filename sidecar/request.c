#include "sidecar/request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crypto.h"
#include "base/jwt.h"
#include "base/log.h"

/* What HF_JWT_MAX bytes in base64 need to be decoded. */
#define BEARER_ROOM (HF_BASE64_LEN(HF_JWT_MAX) / 4 * 3 + 3)

/* A mount ends with a slash only when it is nothing else. */
void hf_rules_init(struct hf_rules *rules, const struct hf_settings *settings,
                   struct hf_process *process)
{
    rules->settings = settings;
    rules->process = process;
    (void)snprintf(rules->path, sizeof(rules->path), "%s/websocket",
                   strcmp(settings->mount, "/") == 0 ? "" : settings->mount);
}

int hf_request_init(struct hf_request *request, const char *uri)
{
    request->uri = strdup(uri);
    return request->uri ? 0 : HF_ENOMEM;
}

void hf_request_release(struct hf_request *request)
{
    hf_connecting_cancel(&request->connecting);
    hf_client_release(&request->client);
    free(request->uri);
    request->uri = NULL;
}

/* The token among the subprotocols, decoded to `room`. Without the token there
 * is none; one that cannot be read, or several, is a bad one. */
static void read_bearer(const struct hf_handshake *handshake,
                        unsigned char room[BEARER_ROOM], struct hf_hello *hello)
{
    struct hf_str text = handshake->bearer;
    size_t len = 0;

    if (handshake->bearers == 0)
        return;
    hello->auth_token_bad = handshake->bearers > 1 ||
                            text.len > HF_BASE64_LEN(HF_JWT_MAX) ||
                            hf_base64_decode(text, room, &len) || len == 0;
    if (!hello->auth_token_bad)
        hello->auth_token = hf_str((const char *)room, len);
}

static void connected(struct hf_connecting *connecting, int err)
{
    struct hf_request *request =
        HF_ITEM(connecting, struct hf_request, connecting);

    request->checking = HF_REFUSED_APPLICATION;
    request->state = err == 0            ? HF_REQUEST_ADMITTED
                     : err == HF_EDENIED ? HF_REQUEST_REFUSED
                                         : HF_REQUEST_FAILED;
    request->answered(request);
}

void hf_request_give_up(struct hf_request *request)
{
    hf_connecting_cancel(&request->connecting);
    request->state = HF_REQUEST_FAILED;
}

static int ask(struct hf_request *request, const struct hf_rules *rules,
               const struct hf_hello *hello)
{
    int err;

    request->connecting.done = connected;
    request->connecting.client = &request->client;
    err = hf_connecting_start(&request->connecting, rules->process, hello,
                              "websocket");
    if (!err)
        request->state = HF_REQUEST_ASKING;
    return err;
}

/* Who connects, and from where? */
static int identify(struct hf_request *request, const struct hf_rules *rules,
                    const struct hf_hello *hello)
{
    int err;

    request->checking = HF_REFUSED_ORIGIN;
    err = hf_connect_check(rules->settings, hello, &request->client);
    if (err)
        return err;
    request->checking = HF_REFUSED_TOKEN;
    err = hf_connect_identify(rules->settings, rules->process->keys, hello,
                              &request->client);
    if (err)
        return err;
    request->checking = HF_REFUSED_REQUEST;
    return hf_connect_params(rules->process, hello, &request->client);
}

/* By which the client came to us, or to the web server in front. */
static struct hf_str scheme_of(const struct hf_asked *asked)
{
    if (asked->believed)
        return asked->handshake->forwarded_proto;
    return asked->through->tls ? HF_STR("https") : HF_STR("http");
}

static int connect_client(struct hf_request *request,
                          const struct hf_rules *rules,
                          const struct hf_asked *asked, struct hf_str query)
{
    const struct hf_handshake *handshake = asked->handshake;
    struct hf_hello hello = {
        .query = query,
        .from = {.origin = handshake->origin,
                 .host = handshake->host,
                 .sec_fetch_site = handshake->sec_fetch_site,
                 .scheme = scheme_of(asked),
                 /* no page makes a browser say what a proxy of ours says */
                 .loopback_listener =
                     asked->through->loopback && !asked->believed},
        .peer = asked->peer,
        .authorization = handshake->authorization,
    };
    unsigned char room[BEARER_ROOM];
    int err;

    read_bearer(handshake, room, &hello);
    err = identify(request, rules, &hello);
    if (err == 0 && hf_connecting_wanted(rules->process))
        return ask(request, rules, &hello);
    request->state = err ? HF_REQUEST_REFUSED : HF_REQUEST_ADMITTED;
    return 0;
}

/* What comes before it is known who connects. */
static struct hf_refusal judge_new(struct hf_request *request,
                                   const struct hf_rules *rules,
                                   const struct hf_asked *asked)
{
    const char *uri = request->uri;
    size_t path_len = strcspn(uri, "?");
    const char *query = uri + path_len + (uri[path_len] == '?');
    struct hf_refusal refusal;

    request->checking = HF_REFUSED_PATH;
    request->echo =
        rules->echo && hf_str_eq(hf_str(uri, path_len), hf_str_of(rules->echo));
    if (!request->echo &&
        !hf_str_eq(hf_str(uri, path_len), hf_str_of(rules->path)))
        return (struct hf_refusal){.status = 404,
                                   .text = "there is nothing here\n"};
    request->checking = HF_REFUSED_REQUEST;
    refusal = hf_handshake_request(asked->handshake, asked->method);
    if (refusal.status)
        return refusal;
    if (request->echo) {
        request->state = HF_REQUEST_ADMITTED;
        return refusal;
    }
    request->checking = HF_REFUSED_SUBPROTOCOL;
    if (hf_handshake_foreign(asked->handshake)) {
        HF_LOG(HF_LOG_WARN, "connect_refused",
               hf_field("reason", "subprotocol"),
               hf_field("hint", "the client offers subprotocols, and none of "
                                "them is 'phoenix'"),
               hf_field_s("peer", asked->peer));
        return (struct hf_refusal){.status = 403, .text = ""};
    }
    if (connect_client(request, rules, asked, hf_str_of(query)))
        request->state = HF_REQUEST_FAILED; /* it could not be asked */
    return refusal;
}

static struct hf_refusal judge(struct hf_request *request,
                               const struct hf_rules *rules,
                               const struct hf_asked *asked)
{
    struct hf_refusal refusal = {.status = 0};

    if (request->state == HF_REQUEST_NEW)
        refusal = judge_new(request, rules, asked);
    if (refusal.status || request->state == HF_REQUEST_ASKING)
        return refusal;
    if (request->state == HF_REQUEST_REFUSED)
        return (struct hf_refusal){.status = 403, .text = ""};
    request->checking = HF_REFUSED_FAILED;
    if (request->state == HF_REQUEST_FAILED)
        return (struct hf_refusal){.status = 500, .text = ""};
    request->checking = HF_REFUSED_REQUEST;
    return hf_handshake_upgrade(asked->handshake, asked->version);
}

struct hf_refusal hf_request_judge(struct hf_request *request,
                                   const struct hf_rules *rules,
                                   const struct hf_asked *asked)
{
    struct hf_refusal refusal = judge(request, rules, asked);

    if (refusal.status)
        hf_count(request->checking);
    return refusal;
}
