/*
 * upgrade.h - take an upgraded socket away from libmicrohttpd
 *
 * The documented way is to leave the socket with the library until the end and
 * then to ask it to close. That costs 22 KB of its memory for each idle client
 * and, with thousands of them, a walk over all for every close. So inside the
 * upgrade callback we duplicate the descriptor and let the library close its
 * own at once; nothing of the connection stays there.
 *
 * The library neither promises nor forbids this. It worked with 0.9.71 to
 * 1.0.1; for any other version the self-test looks before a client comes. Where
 * it fails the side-car does not start: leaving sockets with the library is not
 * written yet.
 */
#ifndef HF_SIDECAR_UPGRADE_H
#define HF_SIDECAR_UPGRADE_H

#include <microhttpd.h>

#include "base/err.h"

/*
 * Call inside the upgrade callback, once. Returns a descriptor of our own for
 * the same connection (non-blocking, close-on-exec), or -1 when there is none
 * left; the library's is given back either way. Afterwards MHD_run must be
 * called once more: nothing else tells the library to let go.
 */
int hf_upgrade_detach(MHD_socket socket,
                      struct MHD_UpgradeResponseHandle *handle);

/* Detach a connection of our own making and use it from both ends, with the
 * library's daemon running and after it was stopped. Takes about a
 * millisecond. 0; HF_EINVAL or HF_EIO with *why filled. */
int hf_upgrade_selftest(struct hf_why *why);

#endif
