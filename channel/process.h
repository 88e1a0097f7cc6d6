/*
 * process.h - what one process of ours has open, for all that it serves
 *
 * The loop's read connection, the writer thread, the wake-up, live.db, the
 * rights in force. Gateway and side-car open one after the last fork.
 */
#ifndef HF_CHANNEL_PROCESS_H
#define HF_CHANNEL_PROCESS_H

#include "base/crypto.h"
#include "base/loop.h"
#include "channel/hooks.h"
#include "channel/keeper.h"
#include "channel/keys.h"
#include "channel/leases.h"
#include "channel/losses.h"
#include "channel/rights.h"
#include "schema/inquiry.h"
#include "schema/journal.h"
#include "schema/live.h"
#include "schema/wake.h"
#include "schema/writer.h"

/* How do requests come? What may be held at once depends on it (D14). */
enum hf_served {
    HF_SERVED_RESIDENT,        /* any number at once; also as long as no request
                                  has come */
    HF_SERVED_RESIDENT_APACHE, /* the same, but each takes a thread of Apache,
                                  of which the whole site has some 150 */
    HF_SERVED_RESIDENT_NGINX,  /* the same, but each takes two connections of
                                  nginx, of which a worker has 768 */
    HF_SERVED_FCGID,           /* one at a time: mod_fcgid starts a process for
                                  each request that waits */
    HF_SERVED_CGI,             /* one, then the process ends */
};

struct hf_process {
    struct hf_loop *loop;
    bool threaded; /* resident or mod_fcgid; else plain CGI */
    enum hf_served served; /* the gateway sets it, before its first request is
                              served */
    struct hf_dir dir;
    struct hf_settings settings;
    struct hf_journal *journal; /* reads, on the loop's thread */
    struct hf_writer *writer;
    struct hf_live *live;
    struct hf_hooks *hooks;   /* NULL: the application is asked nothing */
    struct hf_leases leases;  /* in a resident process */
    struct hf_losses losses;  /* of which the application is told */
    struct hf_keeper keeper;  /* retention, in a resident process */
    struct hf_rights *rights; /* for the loop's thread */
    struct hf_keys *keys;     /* of clients' tokens; loop's thread */
    struct hf_hmac_key secret; /* signs poll tokens */
    struct hf_inquiry *inquiry; /* asks us what we know (witness.h); NULL: in
                                   plain CGI, or it cannot be had */
};

/*
 * Open all of it in the directory `path`. `threaded` false: writes are made
 * where they are asked for (plain CGI). Settings are read from holdfast.conf.
 * Errors fill *why for the person who starts us.
 */
int hf_process_open(struct hf_process *process, struct hf_loop *loop,
                    const char *path, bool threaded, struct hf_why *why);
/* A request waits from here on, and others like it do in processes of their
 * own: give back what memory can be had again. */
void hf_process_rest(struct hf_process *process);
/* End the calls of hooks, then finish what is queued for the writer, calling
 * every `done`; nothing can be written after it. Hub and long-poll do so when they close. */
void hf_process_finish_writes(struct hf_process *process);

/* Finishes queued writes first. Accepts the zeroed struct. */
void hf_process_close(struct hf_process *process);

#endif
