#include "gateway/html.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/err.h"

static void expect_filled(const char *template, const char *expected)
{
    static const struct hf_html_value values[] = {
        {"text", HF_STR_INIT("<a href=\"x\">'&amp;{{html}}"), false},
        {"html", HF_STR_INIT("<b>"), true},
        {"none", {NULL, 0}, false},
    };
    struct hf_buf out;

    hf_buf_init(&out, 1024);
    assert_int_equal(hf_html_fill(&out, template, values, 3), 0);
    assert_int_equal(hf_buf_add_byte(&out, '\0'), 0);
    assert_string_equal(out.at, expected);
    hf_buf_release(&out);
}

static void a_template_is_filled_in(void **state)
{
    (void)state;
    expect_filled("", "");
    expect_filled("plain", "plain");
    expect_filled("{{html}}", "<b>");
    expect_filled("a{{none}}b{{html}}c", "ab<b>c");
    expect_filled("{{html}} { and {{ alone", "<b> { and {{ alone");
}

/* Nor is a template within a text looked at. */
static void text_cannot_become_markup(void **state)
{
    (void)state;
    expect_filled("\"{{text}}\"", "\"&lt;a href=&quot;x&quot;&gt;&#39;&amp;amp;"
                                  "{{html}}\"");
}

/* printf 'p {}' | openssl dgst -sha256 -binary | base64 */
#define HASH_OF_STYLE                                                          \
    "style-src 'sha256-SNJDlN1Iy2mnt7DOjQIyDb2LQE6O5PQiSZomcdzawQ4='"

static void a_page_allows_its_own_style_and_script_alone(void **state)
{
    static const struct hf_html_page page = {
        .status = 200,
        .title = "A <title>",
        .main = "<p>Hello",
        .style = "p {}",
    };
    struct hf_html html;

    (void)state;
    hf_html_init(&html);
    assert_int_equal(hf_html_make(&html, &page), 0);
    assert_non_null(memmem(html.head.text, html.head.len, HASH_OF_STYLE,
                           sizeof(HASH_OF_STYLE) - 1));
    assert_non_null(
        memmem(html.head.text, html.head.len, "script-src 'none'", 17));
    assert_non_null(
        memmem(html.body.at, html.body.len, "<style>p {}</style>", 19));
    assert_non_null(memmem(html.body.at, html.body.len, "A &lt;title&gt;", 15));
    hf_html_release(&html);
}

static void a_page_has_a_bound(void **state)
{
    static char large[HF_HTML_MAX / 4];
    const struct hf_html_value value = {"x", {large, sizeof(large)}, false};
    const struct hf_html_page page = {
        .title = "", .main = "{{x}}", .values = &value, .count = 1};
    struct hf_html html;

    (void)state;
    memset(large, '<', sizeof(large));
    hf_html_init(&html);
    assert_int_equal(hf_html_make(&html, &page), HF_ELIMIT);
    hf_html_release(&html);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_template_is_filled_in),
        cmocka_unit_test(text_cannot_become_markup),
        cmocka_unit_test(a_page_allows_its_own_style_and_script_alone),
        cmocka_unit_test(a_page_has_a_bound),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
