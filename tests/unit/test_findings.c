#include "channel/findings.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* Of the table's page, terminated. */
static char *page(void)
{
    const char *top = getenv("top_srcdir");
    char path[4096];
    char *text = calloc(1, 1 << 20);
    FILE *file;

    (void)snprintf(path, sizeof(path), "%s/" HF_FINDINGS_PAGE, top ? top : ".");
    file = fopen(path, "r");
    assert_non_null(file);
    assert_non_null(text);
    assert_true(fread(text, 1, (1 << 20) - 1, file) > 0);
    (void)fclose(file);
    return text;
}

static void every_finding_has_its_place_in_the_page(void **state)
{
    char *text = page();
    size_t count, i;
    const struct hf_finding_kind *kinds = hf_findings(&count);

    (void)state;
    for (i = 0; i < count; i++) {
        char anchor[100];

        (void)snprintf(anchor, sizeof(anchor), "<a id=\"%s\"></a>\n**%s**",
                       kinds[i].id, kinds[i].id);
        if (!strstr(text, anchor))
            fail_msg("%s is not in " HF_FINDINGS_PAGE, kinds[i].id);
    }
    free(text);
}

static void every_link_of_the_page_leads_somewhere(void **state)
{
    char *text = page();
    char *at = text;

    (void)state;
    while ((at = strstr(at, "](#"))) {
        char anchor[100];

        at += 3;
        (void)snprintf(anchor, sizeof(anchor), "<a id=\"%.*s\"></a>",
                       (int)strcspn(at, ")"), at);
        if (!strstr(text, anchor))
            fail_msg("%s is linked and is not there", anchor);
    }
    free(text);
}

static void every_name_of_the_page_is_a_finding(void **state)
{
    static const char *const of_the_page[] = {"many-tabs"};
    char *text = page();
    char *at = text;

    (void)state;
    while ((at = strstr(at, "</a>\n**"))) {
        char name[100];
        bool known;

        at += strlen("</a>\n**");
        (void)snprintf(name, sizeof(name), "%.*s", (int)strcspn(at, "*"), at);
        if (strchr(name, ' '))
            continue; /* a sentence: a symptom that no doctor sees */
        known = hf_finding_kind(name) || strcmp(name, of_the_page[0]) == 0;
        if (!known)
            fail_msg("%s is no finding", name);
    }
    free(text);
}

static void names_are_short_words_and_each_is_there_once(void **state)
{
    size_t count, i, k;
    const struct hf_finding_kind *kinds = hf_findings(&count);

    (void)state;
    for (i = 0; i < count; i++) {
        for (k = 0; kinds[i].id[k]; k++)
            assert_true(islower(kinds[i].id[k]) || kinds[i].id[k] == '-');
        assert_true(k < 25);
        assert_ptr_equal(hf_finding_kind(kinds[i].id), &kinds[i]);
        assert_true(*kinds[i].what && *kinds[i].why && *kinds[i].fix);
    }
    assert_null(hf_finding_kind("gremlins"));
}

static void a_subject_has_its_finding_by_its_level(void **state)
{
    static const char *const subjects[] = {
        "place", "directory", "filesystem", "space",   "ballast", "files",
        "locks", "settings",  "keys",       "disk",    "sqlite",  "journal",
        "mode",  "tables",    "history",    "clock",   "log",     "pages",
        "hooks", "messages",  "policies",   "account", "socket",  "tls"};
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(subjects) / sizeof(subjects[0]); i++) {
        assert_non_null(hf_finding_of(subjects[i], HF_FINDING_PROBLEM));
        assert_non_null(hf_finding_of(subjects[i], HF_FINDING_WARNING));
        assert_null(hf_finding_of(subjects[i], HF_FINDING_OK));
    }
    assert_string_equal(hf_finding_of("space", HF_FINDING_PROBLEM)->id,
                        "disk-full");
    assert_string_equal(hf_finding_of("space", HF_FINDING_WARNING)->id,
                        "disk-nearly-full");
    assert_null(hf_finding_of("weather", HF_FINDING_PROBLEM));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_finding_has_its_place_in_the_page),
        cmocka_unit_test(every_link_of_the_page_leads_somewhere),
        cmocka_unit_test(every_name_of_the_page_is_a_finding),
        cmocka_unit_test(names_are_short_words_and_each_is_there_once),
        cmocka_unit_test(a_subject_has_its_finding_by_its_level),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
