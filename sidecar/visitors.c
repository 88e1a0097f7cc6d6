#include "sidecar/visitors.h"

#include <assert.h>
#include <stdlib.h>

#include "base/clock.h"
#include "sidecar/limits.h"

struct hf_visitor {
    struct hf_visitors *visitors;
    struct hf_list node; /* in visitors->away, without connections */
    struct hf_address site;
    uint32_t handshakes;
    uint32_t sockets;
    int64_t due_us; /* of hf_boot_us (rate.h) */
};

static struct hf_str key_of(const struct hf_address *site)
{
    return hf_str((const char *)site->bytes, sizeof(site->bytes));
}

static bool is_away(const struct hf_visitor *visitor)
{
    return visitor->handshakes == 0 && visitor->sockets == 0;
}

static void forget(struct hf_visitor *visitor)
{
    struct hf_visitors *visitors = visitor->visitors;

    (void)hf_map_remove(&visitors->all, key_of(&visitor->site));
    hf_list_remove(&visitor->node);
    visitors->away_count--;
    free(visitor);
}

/* Those who may come at full rate again are as good as never seen. They are
 * looked at in the order in which they left, so one that has come a lot may
 * keep others a little longer. A step adds one, so two at a time are enough. */
static void forget_some(struct hf_visitors *visitors)
{
    int64_t now_us = hf_boot_us();
    struct hf_list *node;
    int left = 2;

    while (left-- > 0 && (node = hf_list_first(&visitors->away))) {
        struct hf_visitor *visitor = HF_ITEM(node, struct hf_visitor, node);

        if (visitor->due_us > now_us &&
            visitors->away_count <= HF_ADDRESSES_AWAY)
            break;
        forget(visitor);
    }
}

static struct hf_visitor *find_or_add(struct hf_visitors *visitors,
                                      const struct hf_address *site)
{
    struct hf_visitor *visitor = hf_map_get(&visitors->all, key_of(site));

    if (visitor)
        return visitor;
    visitor = calloc(1, sizeof(*visitor));
    if (!visitor)
        return NULL;
    visitor->visitors = visitors;
    visitor->site = *site;
    if (hf_map_put(&visitors->all, key_of(&visitor->site), visitor)) {
        free(visitor);
        return NULL;
    }
    hf_list_append(&visitors->away, &visitor->node);
    visitors->away_count++;
    return visitor;
}

void hf_visitors_init(struct hf_visitors *visitors, size_t max,
                      size_t per_second)
{
    *visitors = (struct hf_visitors){
        .max = max,
        .rate = {per_second, max > per_second ? max : per_second},
    };
    hf_list_init(&visitors->away);
}

void hf_visitors_release(struct hf_visitors *visitors)
{
    struct hf_list *node;

    while (visitors->away.next && (node = hf_list_first(&visitors->away)))
        forget(HF_ITEM(node, struct hf_visitor, node));
    assert(visitors->all.count == 0);
    hf_map_release(&visitors->all);
}

static enum hf_welcome judge(struct hf_visitor *visitor, int64_t *out_retry_ms)
{
    const struct hf_visitors *visitors = visitor->visitors;

    *out_retry_ms = HF_RETRY_S * 1000;
    if (visitor->handshakes >= HF_ADDRESS_HANDSHAKES)
        return HF_TOO_MANY;
    if (visitors->max > 0 &&
        (size_t)visitor->handshakes + visitor->sockets >= visitors->max)
        return HF_TOO_MANY;
    *out_retry_ms =
        hf_rate_take(visitors->rate, &visitor->due_us, hf_boot_us());
    return *out_retry_ms > 0 ? HF_TOO_OFTEN : HF_WELCOME;
}

enum hf_welcome hf_visitors_enter(struct hf_visitors *visitors,
                                  const struct hf_address *address,
                                  struct hf_visitor **out,
                                  int64_t *out_retry_ms)
{
    struct hf_address site = hf_address_site(address);
    struct hf_visitor *visitor;
    enum hf_welcome welcome;

    *out = NULL;
    if (!address->known || hf_address_is_loopback(address))
        return HF_WELCOME;
    forget_some(visitors);
    visitor = find_or_add(visitors, &site);
    if (!visitor)
        return HF_WELCOME; /* the other bounds must do */
    welcome = judge(visitor, out_retry_ms);
    if (welcome != HF_WELCOME)
        return welcome;
    if (is_away(visitor)) {
        hf_list_remove(&visitor->node);
        visitors->away_count--;
    }
    visitor->handshakes++;
    *out = visitor;
    return welcome;
}

void hf_visitor_upgraded(struct hf_visitor *visitor)
{
    if (!visitor)
        return;
    visitor->handshakes--;
    visitor->sockets++;
}

void hf_visitor_left(struct hf_visitor *visitor, bool upgraded)
{
    if (!visitor)
        return;
    if (upgraded)
        visitor->sockets--;
    else
        visitor->handshakes--;
    if (!is_away(visitor))
        return;
    hf_list_append(&visitor->visitors->away, &visitor->node);
    visitor->visitors->away_count++;
    forget_some(visitor->visitors);
}

void hf_visitor_undo(struct hf_visitor *visitor)
{
    if (!visitor)
        return;
    hf_rate_give_back(visitor->visitors->rate, &visitor->due_us);
    hf_visitor_left(visitor, false);
}
