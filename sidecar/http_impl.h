/*
 * http_impl.h - connections on their way to become sockets, from within
 *
 *     http.c         who comes and goes, deadlines, running libmicrohttpd
 *     http_answer.c  a request is there: judged, answered or upgraded
 *
 * For these files alone; others use http.h.
 */
#ifndef HF_SIDECAR_HTTP_IMPL_H
#define HF_SIDECAR_HTTP_IMPL_H

#include <microhttpd.h>

#include "sidecar/accept.h"
#include "sidecar/http.h"
#include "sidecar/relay.h"
#include "sidecar/request.h"
#include "sidecar/upgrade.h"

struct hf_http {
    struct hf_loop *loop;
    const struct hf_settings *settings;
    struct hf_conns *conns;
    struct hf_conns *echo; /* NULL = none */
    struct hf_rules rules;
    struct hf_accept accept;
    struct hf_door *door;
    struct hf_tls *tls; /* NULL = no listener wants it */
    char *early;        /* HF_READ_BYTES, of who is upgraded now; for TLS */
    struct hf_lender lender;
    bool keep; /* sockets are not taken from the library */
    struct MHD_Daemon *daemon;
    struct hf_watch library; /* libmicrohttpd's epoll descriptor */
    struct hf_timer due;     /* when it wants to run */
    bool again;              /* it must run once more, see upgrade.h */
    bool closing;            /* nobody becomes a socket any more */
    struct hf_list pending;  /* struct hf_shake, oldest first */
    struct hf_list arriving; /* those the library has not taken up yet */
    struct hf_list asking;   /* requests whose client the application judges */
    struct hf_list leaving;  /* upgraded ones that it can close */
    struct hf_timer crowded; /* armed while there is no room for another */
    size_t shaking;          /* connections that have not become sockets */
    size_t shaking_fds;      /* their descriptors */
    size_t max_sockets;      /* upgraded ones */
    size_t max_all;          /* with those that are still shaking hands */
};

/* One connection on its way to become a socket, or not. */
struct hf_shake {
    struct hf_list node;     /* in http->pending until it is answered or cut */
    struct hf_list arriving; /* in http->arriving */
    const struct hf_listener *through;
    struct hf_http *http;
    struct hf_caller caller;
    int64_t since_ms;
    int fd;                 /* libmicrohttpd's; -1: it has none of it */
    bool asked;             /* its request is there */
    bool done;              /* and answered by a 101: it no longer counts */
    struct hf_relay relay;  /* alive: TLS */
    struct hf_list leaving; /* in http->leaving */
    struct MHD_UpgradeResponseHandle *handle; /* then */
};

/* Its request. */
struct hf_visit {
    struct hf_request request;
    struct hf_http *http;
    struct MHD_Connection *connection;
    struct hf_list node; /* in http->asking */
};

/* --- http.c */

/* Have the library do what is due, and once more as long as `again`. */
void hf_http_run(struct hf_http *http);
/* That of a connection; NULL when there was no memory for it. */
struct hf_shake *hf_http_shake_of(struct MHD_Connection *connection);
/* It no longer counts as one under way. */
void hf_http_shaken(const struct hf_shake *shake);
/* Upgraded sockets. */
size_t hf_http_sockets(const struct hf_http *http);
/* Somebody is turned away for want of room. */
void hf_http_no_room(const struct hf_http *http, const char *event,
                     const char *why);

/* --- http_answer.c: what the library calls; `cls` is the struct hf_http */

/* A request line has come; its visit, or NULL when out of memory. */
void *hf_http_on_uri(void *cls, const char *uri,
                     struct MHD_Connection *connection);
/* Its headers are complete, or it is asked for again. Answering at once means
 * that a body is never waited for. */
enum MHD_Result hf_http_on_request(void *cls, struct MHD_Connection *connection,
                                   const char *url, const char *method,
                                   const char *version, const char *body,
                                   size_t *body_len, void **came);
/* It is over, by an answer, a 101 or the end of the connection. */
void hf_http_on_completed(void *cls, struct MHD_Connection *connection,
                          void **came, enum MHD_RequestTerminationCode code);
/* The application has answered, or will not: the library asks us again. */
void hf_http_go_on(struct hf_visit *visit);
/* A kept socket is to be closed: the library does so in its next run. */
void hf_http_on_kept_closed(struct hf_lender *lender);

#endif
