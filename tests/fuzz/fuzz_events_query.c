/*
 * fuzz_events_query.c - any bytes as the query of GET events
 *
 * What is taken keeps within the limits, and means the same when it is written
 * again in our own words.
 */
#include "tests/fuzz/fuzz.h"

#include <string.h>

#include "base/err.h"
#include "channel/events_query.h"
#include "channel/topic.h"

static char text[HF_EVENTS_TOPICS * (3 * HF_TOPIC_MAX + 8) + 200];

static void check(const struct hf_events_query *query)
{
    size_t n, m;

    CHECK(query->count > 0 && query->count <= HF_EVENTS_TOPICS);
    for (n = 0; n < query->count; n++) {
        CHECK(hf_topic_legal(query->topics[n]));
        for (m = 0; m < n; m++)
            CHECK(!hf_str_eq(query->topics[n], query->topics[m]));
    }
    CHECK(query->resume.last <= HF_LAST_MAX);
    CHECK(query->resume.last == 0 ||
          (query->count == 1 && query->resume.from_now));
    CHECK(query->hold_ms >= -1);
}

static size_t write_again(const struct hf_events_query *query)
{
    size_t len = 0, n, i;

    for (n = 0; n < query->count; n++) {
        len += (size_t)sprintf(text + len, "&topic=");
        for (i = 0; i < query->topics[n].len; i++)
            len += (size_t)sprintf(text + len, "%%%02X",
                                   (unsigned char)query->topics[n].at[i]);
    }
    if (!query->resume.from_now) {
        len += (size_t)sprintf(text + len, "&since=");
        len += hf_cursor_format(query->resume.since, text + len);
    }
    if (query->resume.last > 0)
        len += (size_t)sprintf(text + len, "&last=%u",
                               (unsigned)query->resume.last);
    if (query->hold_ms >= 0)
        len += (size_t)sprintf(text + len, "&hold=%lld",
                               (long long)(query->hold_ms / 1000));
    if (query->paced)
        len += (size_t)sprintf(text + len, "&paced=1");
    return len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct hf_events_query query, again;
    size_t n;

    if (hf_events_query_read(hf_str((const char *)data, size), &query))
        return 0;
    check(&query);
    CHECK(!hf_events_query_read(hf_str(text, write_again(&query)), &again));
    CHECK(again.count == query.count);
    for (n = 0; n < query.count; n++)
        CHECK(hf_str_eq(again.topics[n], query.topics[n]));
    CHECK(again.resume.from_now == query.resume.from_now);
    CHECK(again.resume.since.epoch == query.resume.since.epoch ||
          query.resume.from_now);
    CHECK(again.resume.since.id == query.resume.since.id ||
          query.resume.from_now);
    CHECK(again.resume.last == query.resume.last);
    CHECK(again.hold_ms == query.hold_ms);
    CHECK(again.paced == query.paced);
    return 0;
}
