/*
 * html.h - pages that the gateway makes itself, whole in one answer
 *
 * Who can do no more than upload one program has no other file of ours on the
 * host, so style and script are embedded (www/setup, www/doctor; pages.h) and
 * stand within the page, allowed by their hashes and nothing else. Text that
 * comes from elsewhere goes through {{name}} of a template, which escapes it.
 */
#ifndef HF_GATEWAY_HTML_H
#define HF_GATEWAY_HTML_H

#include "base/buf.h"
#include "gateway/respond.h"

/* A page is never larger. */
#define HF_HTML_MAX ((size_t)256 << 10)

/* What stands for {{name}}. */
struct hf_html_value {
    const char *name;
    struct hf_str text;
    bool markup; /* HTML of our own making: as it is */
};

struct hf_html_page {
    unsigned status; /* of HTTP */
    const char *title;
    const char *main; /* a template (pages.h) */
    const struct hf_html_value *values;
    size_t count;
    const char *style, *script; /* pages.h; NULL: none */
};

/* The answer: give it to who sends head and body, then release it. */
struct hf_html {
    struct hf_head head;
    struct hf_buf body;
};

void hf_html_init(struct hf_html *html);
void hf_html_release(struct hf_html *html); /* accepts the zeroed struct */

/* Make it, in the place of what was there. 0, HF_ENOMEM, HF_ELIMIT. */
int hf_html_make(struct hf_html *html, const struct hf_html_page *page);

/* Add a template, filled in; a name that has no value is our mistake. As the
 * adds of a buffer. */
int hf_html_fill(struct hf_buf *out, const char *template,
                 const struct hf_html_value *values, size_t count);

/* Add text, with what HTML would take for its own escaped; it may stand within
 * an attribute in double quotes. As the adds of a buffer. */
int hf_html_escape(struct hf_buf *out, struct hf_str text);

#endif
