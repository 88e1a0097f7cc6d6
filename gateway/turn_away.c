#include "gateway/turn_away.h"

#include "base/clock.h"
#include "base/log.h"
#include "channel/longpoll.h"
#include "gateway/route.h"

static bool is_full(const struct hf_dir *dir,
                    const struct hf_settings *settings)
{
    struct hf_holding holding;
    int64_t now = hf_boot_ms();
    bool full;

    if (hf_holding_open(&holding, dir, settings, HF_SERVED_CGI))
        return false;
    full = !hf_holding_stock_may_come(&holding, now);
    if (full)
        hf_holding_turned_away(&holding, now);
    hf_holding_close(&holding);
    return full;
}

bool hf_turn_away(const char *path, const struct hf_request *request)
{
    char memory[HF_TOKEN_MAX];
    struct hf_settings settings;
    struct hf_dir dir;
    struct hf_why why;
    bool full = false;

    if (hf_request_token(request, memory).len > 0 ||
        hf_poll_is_paced(request->hello.query) || hf_dir_open(&dir, path, &why))
        return false;
    if (hf_settings_read(&dir, &settings, &why) == 0 &&
        hf_route(hf_str_of(settings.mount), request) == HF_ROUTE_POLL) {
        hf_log_open("gateway", (enum hf_log_level)settings.log_level,
                    settings.log_syslog);
        full = is_full(&dir, &settings);
    }
    hf_dir_close(&dir);
    return full;
}
