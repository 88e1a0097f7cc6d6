/*
 * visit.h - somebody asks for a page of the owner's: is it the owner?
 *
 * The pages are <mount>/setup (setup.h) and <mount>/doctor. Both are answered
 * by CGI and FastCGI alike, with or without a journal, and before one is
 * opened. A visit finds out
 *
 *     what is there   no journal directory, one, or one that cannot be opened
 *     who it is       the owner, who has proven it (channel/ownership.h)
 *
 * Everybody else gets the page that says how it is proven, with a fresh key.
 * That page alone names the file: who came by a link, with a key in it that
 * another may have made, is shown no name to upload. Forms of other sites are
 * refused (origin.h).
 */
#ifndef HF_GATEWAY_VISIT_H
#define HF_GATEWAY_VISIT_H

#include "channel/ownership.h"
#include "gateway/html.h"
#include "gateway/request.h"
#include "gateway/route.h"
#include "schema/place.h"

/* Bytes of a form. */
#define HF_VISIT_BODY_MAX 4096u

/* Is it a page of the owner's? */
static inline bool hf_visit_is(enum hf_route route)
{
    return route == HF_ROUTE_SETUP || route == HF_ROUTE_DOCTOR;
}

enum hf_visit_found {
    HF_VISIT_NOTHING, /* nothing is set up */
    HF_VISIT_SET_UP,  /* visit.dir is open */
    HF_VISIT_BROKEN,  /* something says where the journal is; visit.why says why
                         it cannot be opened, with paths of this host */
};

struct hf_visit {
    const struct hf_request *request;
    enum hf_route route;
    bool post;             /* a form of a page of ours */
    const char *served_by; /* "CGI", "FastCGI" */
    struct hf_place_hints hints;
    struct hf_str socket; /* path that pages of the site use: "/holdfast.cgi" */
    char folder[PATH_MAX]; /* of the program; "" = unknown */
    enum hf_visit_found found;
    struct hf_place place; /* unless HF_VISIT_NOTHING */
    struct hf_dir dir;
    struct hf_why why;
    char key[HF_OWNERSHIP_KEY + 1]; /* the one that was given; "" = none */
    bool owner; /* has proven it, by the file or by a key that is kept */
};

/* What a page for the proof is about. */
struct hf_visit_gate {
    const char *title;
    const char *purpose; /* a sentence: what for */
    const char *action;  /* where the form goes: "setup" */
    const char *said;    /* what was wrong with the last try; "" = nothing */
    struct hf_str more;  /* further items of the form, HTML */
};

/*
 * Look at the request. `option` is the value of --dir, or NULL. End it with
 * hf_visit_end; everything of `request` is borrowed until then.
 */
void hf_visit_begin(struct hf_visit *visit, const struct hf_request *request,
                    enum hf_route route, const char *option,
                    const char *served_by);
void hf_visit_end(struct hf_visit *visit);

/* A field of the form, decoded; "" if absent, malformed or longer than cap - 1
 * bytes. */
const char *hf_visit_field(const struct hf_visit *visit, const char *name,
                           char *out, size_t cap);

/* Make the page that asks for the proof; for who is not the owner, or for the
 * owner, whose form was not complete. 0, HF_ENOMEM, HF_EIO. */
int hf_visit_ask(const struct hf_visit *visit, const struct hf_visit_gate *gate,
                 struct hf_html *out);

/* Make a page that says something and ends. */
int hf_visit_say(unsigned status, const char *title, const char *text,
                 struct hf_html *out);

/* All of it: begin, answer by what is served at `route`, end. There is always an
 * answer. */
void hf_visit_answer(const struct hf_request *request, enum hf_route route,
                     const char *option, const char *served_by,
                     struct hf_html *out);

#endif
