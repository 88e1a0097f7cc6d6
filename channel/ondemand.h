/*
 * ondemand.h - the side-car is started when somebody could use it
 *
 * On a host that lets programs run on but has no service manager for us, the
 * gateway starts it (setting `start`): when a client polls, which most do
 * because no WebSocket was to be had, or asks the gateway itself for one. Clients
 * try again by themselves, so nobody waits for it, and nothing depends on it.
 *
 *     one runs (running.h)       nothing is done
 *     somebody is starting one   nothing is done
 *     stopped by hand, or it is too early (starts.h)    nothing is done
 *     else                       it is started (launch.h), with --on-demand, so
 *                                that it ends when nobody needs it any more
 */
#ifndef HF_CHANNEL_ONDEMAND_H
#define HF_CHANNEL_ONDEMAND_H

#include <stdint.h>

#include "schema/dir.h"
#include "schema/settings.h"

/* A process that stays looks at most so often, ms. */
#define HF_ONDEMAND_LOOK_MS 1000

struct hf_ondemand {
    int64_t look_ms; /* hf_boot_ms: not before; zeroed before first use */
};

/*
 * There is a client that could use a WebSocket. It should have its answer
 * already, if there is one: starting takes some milliseconds. What goes wrong is
 * logged.
 */
void hf_ondemand_wanted(struct hf_ondemand *ondemand, const struct hf_dir *dir,
                        const struct hf_settings *settings);

#endif
