#include "cli/front_ask.h"

#include <stdio.h>

#include "base/clock.h"

#define CONNECT_MS 10000L

static size_t take(char *at, size_t size, size_t count, void *ctx)
{
    struct hf_front_ask *ask = ctx;

    if (ask->first_ms == 0)
        ask->first_ms = hf_boot_ms();
    /* an endless answer ends here */
    return hf_buf_add(&ask->answer, at, size * count) ? 0 : size * count;
}

static void add_field(const struct hf_front_look *front,
                      struct hf_front_ask *ask, const char *field)
{
    struct curl_slist *longer =
        front->curl->curl_slist_append(ask->fields, field);

    if (longer)
        ask->fields = longer;
}

void hf_front_end(const struct hf_front_look *front, struct hf_front_ask *ask)
{
    if (ask->easy)
        front->curl->curl_easy_cleanup(ask->easy);
    if (ask->fields)
        front->curl->curl_slist_free_all(ask->fields);
    hf_buf_release(&ask->answer);
    hf_buf_release(&ask->form);
    *ask = (struct hf_front_ask){.easy = NULL};
}

int hf_front_begin(const struct hf_front_look *front, struct hf_front_ask *ask,
                   const char *path, struct hf_str form, long most_ms)
{
    const struct hf_libcurl *curl = front->curl;
    char url[1400], origin[700];

    *ask = (struct hf_front_ask){.easy = curl->curl_easy_init()};
    if (!ask->easy)
        return HF_ENOMEM;
    hf_buf_init(&ask->answer, HF_FRONT_ANSWER_MAX);
    hf_buf_init(&ask->form, HF_FRONT_ANSWER_MAX);
    if (hf_buf_add_str(&ask->form, form))
        return HF_ENOMEM;
    (void)snprintf(url, sizeof(url), "%s%s", front->wish->socket, path);
    (void)snprintf(origin, sizeof(origin), "Origin: %s", front->origin);
    add_field(front, ask, origin);
    add_field(front, ask, "Authorization: Bearer holdfast-doctor");
    add_field(front, ask, "X-Phoenix-AuthToken: holdfast-doctor");
    add_field(front, ask, "Expect:");
    curl->curl_easy_setopt(ask->easy, CURLOPT_URL, url);
    curl->curl_easy_setopt(ask->easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl->curl_easy_setopt(ask->easy, CURLOPT_HTTPHEADER, ask->fields);
    curl->curl_easy_setopt(ask->easy, CURLOPT_POSTFIELDSIZE,
                           (long)ask->form.len);
    curl->curl_easy_setopt(ask->easy, CURLOPT_POSTFIELDS, ask->form.at);
    curl->curl_easy_setopt(ask->easy, CURLOPT_WRITEFUNCTION, take);
    curl->curl_easy_setopt(ask->easy, CURLOPT_WRITEDATA, ask);
    curl->curl_easy_setopt(ask->easy, CURLOPT_PRIVATE, ask);
    curl->curl_easy_setopt(ask->easy, CURLOPT_NOSIGNAL, 1L);
    curl->curl_easy_setopt(ask->easy, CURLOPT_FRESH_CONNECT, 1L);
    curl->curl_easy_setopt(ask->easy, CURLOPT_HTTP_VERSION,
                           (long)CURL_HTTP_VERSION_1_1);
    curl->curl_easy_setopt(ask->easy, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MS);
    curl->curl_easy_setopt(ask->easy, CURLOPT_TIMEOUT_MS, most_ms);
    if (front->wish->insecure) {
        curl->curl_easy_setopt(ask->easy, CURLOPT_SSL_VERIFYPEER, 0L);
        curl->curl_easy_setopt(ask->easy, CURLOPT_SSL_VERIFYHOST, 0L);
    }
    return 0;
}

static void took_answer(const struct hf_front_look *front, CURLMsg *message)
{
    char *owner = NULL;
    struct hf_front_ask *ask;

    front->curl->curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE,
                                   &owner);
    ask = (struct hf_front_ask *)(void *)owner;
    ask->done_ms = hf_boot_ms();
    if (message->data.result == CURLE_OK)
        front->curl->curl_easy_getinfo(message->easy_handle,
                                       CURLINFO_RESPONSE_CODE, &ask->status);
}

/* All at once, until each has its answer or has waited long enough. */
void hf_front_run(const struct hf_front_look *front, struct hf_front_ask *asks,
                  size_t count)
{
    const struct hf_libcurl *curl = front->curl;
    int running = 0, left;
    CURLMsg *message;

    for (size_t i = 0; i < count; i++) {
        asks[i].begun_ms = hf_boot_ms();
        curl->curl_multi_add_handle(front->multi, asks[i].easy);
    }
    do {
        if (curl->curl_multi_perform(front->multi, &running) != CURLM_OK)
            break;
        while ((message = curl->curl_multi_info_read(front->multi, &left)))
            if (message->msg == CURLMSG_DONE)
                took_answer(front, message);
        if (running > 0)
            curl->curl_multi_poll(front->multi, NULL, 0, 500, NULL);
    } while (running > 0); /* each has a time-out of its own */
    for (size_t i = 0; i < count; i++)
        curl->curl_multi_remove_handle(front->multi, asks[i].easy);
}
