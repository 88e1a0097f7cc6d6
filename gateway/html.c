#include "gateway/html.h"

#include <assert.h>
#include <stdio.h>

#include "base/crypto.h"
#include "base/err.h"
#include "gateway/pages.h"

/* "'sha256-" base64 "'" */
#define SOURCE_MAX (HF_BASE64_LEN(HF_SHA256_LEN) + 16u)

void hf_html_init(struct hf_html *html)
{
    html->head.len = 0;
    hf_buf_init(&html->body, HF_HTML_MAX);
}

void hf_html_release(struct hf_html *html)
{
    hf_buf_release(&html->body);
}

/* --- templates ----------------------------------------------------------- */

int hf_html_escape(struct hf_buf *out, struct hf_str text)
{
    size_t i;
    int err = 0;

    for (i = 0; !err && i < text.len; i++) {
        switch (text.at[i]) {
        case '&':
            err = hf_buf_add_str(out, HF_STR("&amp;"));
            break;
        case '<':
            err = hf_buf_add_str(out, HF_STR("&lt;"));
            break;
        case '>':
            err = hf_buf_add_str(out, HF_STR("&gt;"));
            break;
        case '"':
            err = hf_buf_add_str(out, HF_STR("&quot;"));
            break;
        case '\'':
            err = hf_buf_add_str(out, HF_STR("&#39;"));
            break;
        default:
            err = hf_buf_add_byte(out, text.at[i]);
        }
    }
    return err;
}

static int add_value(struct hf_buf *out, struct hf_str name,
                     const struct hf_html_value *values, size_t count)
{
    size_t i;

    for (i = 0; i < count; i++)
        if (hf_str_eq(name, hf_str_of(values[i].name)))
            return values[i].markup ? hf_buf_add_str(out, values[i].text)
                                    : hf_html_escape(out, values[i].text);
    assert(false); /* a template asks for what nobody gave */
    return HF_EINVAL;
}

int hf_html_fill(struct hf_buf *out, const char *template,
                 const struct hf_html_value *values, size_t count)
{
    int err = 0;

    while (!err) {
        const char *begin = strstr(template, "{{");
        const char *end = begin ? strstr(begin, "}}") : NULL;

        if (!end)
            return hf_buf_add_str(out, hf_str_of(template));
        err = hf_buf_add(out, template, (size_t)(begin - template));
        if (!err)
            err = add_value(out, hf_str(begin + 2, (size_t)(end - begin) - 2),
                            values, count);
        template = end + 2;
    }
    return err;
}

/* --- the page ------------------------------------------------------------ */

static void source(struct hf_str text, char out[SOURCE_MAX])
{
    unsigned char hash[HF_SHA256_LEN];
    char base64[HF_BASE64_LEN(HF_SHA256_LEN)];
    size_t len;

    if (text.len == 0) {
        (void)snprintf(out, SOURCE_MAX, "'none'");
        return;
    }
    hf_sha256(text, hash);
    len = hf_base64(hf_str((const char *)hash, sizeof(hash)), base64);
    (void)snprintf(out, SOURCE_MAX, "'sha256-%.*s'", (int)len, base64);
}

static void put_head(struct hf_html *html, const struct hf_html_page *page)
{
    char style[SOURCE_MAX], script[SOURCE_MAX];
    char policy[512];
    int len;

    source(hf_str_of(page->style), style);
    source(hf_str_of(page->script), script);
    len = snprintf(policy, sizeof(policy),
                   "default-src 'none'; style-src %s; script-src %s; "
                   "connect-src 'self'; form-action 'self'; base-uri 'none'; "
                   "frame-ancestors 'none'",
                   style, script);
    assert(len > 0 && (size_t)len < sizeof(policy));
    hf_head_page(&html->head, page->status, hf_str(policy, (size_t)len),
                 html->body.len);
}

int hf_html_make(struct hf_html *html, const struct hf_html_page *page)
{
    struct hf_buf main;
    int err;

    hf_buf_reset(&html->body);
    hf_buf_init(&main, HF_HTML_MAX);
    err = hf_html_fill(&main, page->main, page->values, page->count);
    if (!err) {
        const struct hf_html_value frame[] = {
            {"title", hf_str_of(page->title), false},
            {"style", hf_str_of(page->style), true},
            {"script", hf_str_of(page->script), true},
            {"main", hf_buf_str(&main), true},
        };

        err = hf_html_fill(&html->body, hf_page_setup_frame_html, frame,
                           sizeof(frame) / sizeof(frame[0]));
    }
    hf_buf_release(&main);
    if (!err)
        put_head(html, page);
    return err;
}
