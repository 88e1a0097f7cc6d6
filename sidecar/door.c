#include "sidecar/door.h"

#include <stdio.h>
#include <unistd.h>

#include "base/crypto.h"
#include "base/log.h"
#include "sidecar/counters.h"

#define TOO_MANY "too many connections from this address\n"

void hf_door_init(struct hf_door *door, const struct hf_settings *settings)
{
    size_t i;

    *door = (struct hf_door){.settings = settings};
    hf_visitors_init(&door->visitors, settings->max_sockets_per_address,
                     settings->connect_rate_per_address);
    for (i = 0; i < settings->proxies_count; i++) /* it was judged when read */
        (void)hf_network_read(hf_str_of(settings->proxies[i]),
                              &door->proxies[i]);
}

void hf_door_release(struct hf_door *door)
{
    hf_visitors_release(&door->visitors);
}

/* --- who is it? ------------------------------------------------------------ */

static bool is_proxy(const struct hf_door *door,
                     const struct hf_address *address)
{
    size_t i;

    for (i = 0; i < door->settings->proxies_count; i++)
        if (hf_network_has(&door->proxies[i], address))
            return true;
    return false;
}

static bool is_believed(const struct hf_door *door,
                        const struct hf_listener *through,
                        const struct hf_handshake *handshake)
{
    struct hf_str secret = hf_str_of(door->settings->proxy_secret);

    if (through->is_unix)
        return true;
    if (secret.len == 0 || handshake->proxies == 0)
        return false;
    if (handshake->proxies == 1 && hf_equal_secret(handshake->proxy, secret))
        return true;
    HF_LOG(HF_LOG_WARN, "proxy_not_believed",
           hf_field("why", "its X-Holdfast-Proxy is not proxy_secret of "
                           "holdfast.conf"),
           hf_field("effect", "it is taken for the client itself"));
    return false;
}

/* From left to right: whoever is no proxy of ours makes what stood before a
 * mere claim. What is no address ("unknown") does so, too. */
static void follow(const struct hf_door *door, struct hf_str list,
                   struct hf_address *client)
{
    while (list.len > 0) {
        const char *comma = memchr(list.at, ',', list.len);
        size_t len = comma ? (size_t)(comma - list.at) : list.len;
        struct hf_str item = hf_str_trim(hf_str(list.at, len));
        struct hf_address address = hf_address_read(item);

        if (item.len > 0 && !is_proxy(door, &address))
            *client = address;
        list = hf_str_from(list, comma ? len + 1 : len);
    }
}

static struct hf_address client_of(const struct hf_door *door,
                                   const struct hf_handshake *handshake)
{
    struct hf_address client = {.known = false};
    unsigned i;

    for (i = 0; i < HF_FORWARDED_MAX; i++)
        follow(door, handshake->forwarded_for[i], &client);
    return client;
}

/* --- is there room for it? ------------------------------------------------- */

static void log_refused(enum hf_welcome welcome,
                        const struct hf_address *address)
{
    bool often = welcome == HF_TOO_OFTEN;
    char text[HF_ADDRESS_TEXT];

    hf_address_write(address, text);
    hf_count(often ? HF_REFUSED_RATE : HF_REFUSED_ADDRESS);
    HF_LOG(HF_LOG_WARN, "address_refused", hf_field("address", text),
           hf_field("reason", often ? "connect_rate_per_address"
                                    : "max_sockets_per_address"),
           hf_field("effect", "told to come back later, HTTP 429"),
           hf_field("hint", "where many clients share an address raise it; "
                            "of a proxy of yours see proxy_secret"));
}

static unsigned seconds(int64_t ms)
{
    return (unsigned)((ms + 999) / 1000);
}

/* Two calls whatever it sends. What has come already is read, or closing would
 * reset the connection and could take the answer back. */
static void answer_at_once(int fd, unsigned retry_s)
{
    static const char body[] = TOO_MANY;
    char text[256], sink[1024];
    int len = snprintf(text, sizeof(text),
                       "HTTP/1.1 429 Too Many Requests\r\n"
                       "Retry-After: %u\r\n"
                       "Cache-Control: no-store\r\n"
                       "X-Content-Type-Options: nosniff\r\n"
                       "Content-Type: text/plain; charset=utf-8\r\n"
                       "Content-Length: %zu\r\n"
                       "Connection: close\r\n\r\n%s",
                       retry_s, sizeof(body) - 1, body);

    (void)send(fd, text, (size_t)len, MSG_NOSIGNAL | MSG_DONTWAIT);
    (void)recv(fd, sink, sizeof(sink), MSG_DONTWAIT);
}

bool hf_door_open(struct hf_door *door, const struct hf_guest *guest,
                  struct hf_caller *out)
{
    int64_t retry_ms = 0;
    struct hf_caller caller = {
        .address = hf_address_of((const struct sockaddr *)&guest->address),
    };
    enum hf_welcome welcome = hf_visitors_enter(
        &door->visitors, &caller.address, &caller.visitor, &retry_ms);

    if (welcome == HF_WELCOME) {
        *out = caller;
        return true;
    }
    log_refused(welcome, &caller.address);
    if (!guest->through->tls) /* who would not understand it */
        answer_at_once(guest->fd, seconds(retry_ms));
    (void)close(guest->fd);
    return false;
}

struct hf_refusal hf_door_ask(struct hf_door *door,
                              const struct hf_listener *through,
                              const struct hf_handshake *handshake,
                              struct hf_caller *caller)
{
    struct hf_refusal none = {.status = 0};
    struct hf_visitor *visitor;
    struct hf_address client;
    enum hf_welcome welcome;
    int64_t retry_ms = 0;

    caller->believed = is_believed(door, through, handshake);
    if (!caller->believed)
        return none;
    client = client_of(door, handshake);
    if (!client.known)
        return none;
    welcome = hf_visitors_enter(&door->visitors, &client, &visitor, &retry_ms);
    if (welcome != HF_WELCOME) {
        log_refused(welcome, &client);
        return (struct hf_refusal){
            .status = 429, .text = TOO_MANY, .retry_s = seconds(retry_ms)};
    }
    hf_visitor_undo(caller->visitor);
    caller->visitor = visitor;
    caller->address = client;
    return none;
}
