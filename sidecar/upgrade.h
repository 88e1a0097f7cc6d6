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
 * 1.0.1; for any version the self-test looks before a client comes. Where it
 * fails sockets are left with the library as documented, at that price: a layer
 * on the socket's wire (wire.h) says when it can be closed. So that all tests
 * can be played that way, too, HOLDFAST_TEST_KEEP=1 in the environment has it
 * done anyway.
 *
 * For a client with TLS all this is nothing: the library only ever has one end
 * of a pair of ours, see relay.h.
 */
#ifndef HF_SIDECAR_UPGRADE_H
#define HF_SIDECAR_UPGRADE_H

#include <microhttpd.h>

#include "base/err.h"
#include "sidecar/wire.h"

/*
 * Call inside the upgrade callback, once. Returns a descriptor of our own for
 * the same connection (non-blocking, close-on-exec), or -1 when there is none
 * left; the library's is given back either way. Afterwards MHD_run must be
 * called once more: nothing else tells the library to let go.
 */
int hf_upgrade_detach(MHD_socket socket,
                      struct MHD_UpgradeResponseHandle *handle);

/* Who is told when a socket that was kept is to be closed: the library must be
 * run for it. */
struct hf_lender {
    void (*closed)(struct hf_lender *lender);
};

/*
 * The other way, in the same place: the socket stays the library's. Returns a
 * layer for its wire, which asks the library to close it when the wire is; NULL
 * when out of memory: then it has been asked.
 */
struct hf_layer *hf_upgrade_keep(struct MHD_UpgradeResponseHandle *handle,
                                 struct hf_lender *lender);

/* Detach a connection of our own making and use it from both ends, with the
 * library's daemon running and after it was stopped. Takes about a
 * millisecond. 0; HF_EINVAL: it does not work with this library; HF_ENOTFOUND:
 * nor does the other way, for it has no upgrade or no epoll; HF_EIO; with *why
 * filled. */
int hf_upgrade_selftest(struct hf_why *why);

#endif
