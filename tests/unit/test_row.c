#include "channel/row.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void check(struct hf_row row, const char *join_ref, const char *want)
{
    struct hf_buf out;

    hf_buf_init(&out, 1000);
    assert_int_equal(hf_encode_row(&out, &row, 0, hf_str_of(join_ref)), 0);
    (void)hf_buf_add_byte(&out, '\0');
    assert_string_equal(out.at, want);
    hf_buf_release(&out);
}

static struct hf_row row(void)
{
    return (struct hf_row){.id = 77,
                           .topic = HF_STR("room:\"a\""),
                           .event = HF_STR("news"),
                           .payload = HF_STR("{ \"n\" : 1E2 }")};
}

static void without_cursors_it_is_what_phoenix_broadcasts(void **state)
{
    (void)state;
    check(row(), "",
          "[null,null,\"room:\\\"a\\\"\",\"news\",{ \"n\" : 1E2 }]");
}

static void with_cursors_it_carries_join_ref_and_cursor(void **state)
{
    (void)state;
    check(row(), "\"4\"",
          "[\"4\",\"j:AAAAAAAAAAA.77\",\"room:\\\"a\\\"\",\"news\","
          "{ \"n\" : 1E2 }]");
}

static void binary_takes_its_json_form(void **state)
{
    struct hf_row binary = row();

    (void)state;
    binary.topic = HF_STR("t");
    binary.kind = HF_KIND_BINARY;
    binary.payload = HF_STR("\x00\x01\xff");
    check(binary, "", "[null,null,\"t\",\"news\",{\"_binary\":\"AAH/\"}]");
    binary.payload = HF_STR("");
    check(binary, "", "[null,null,\"t\",\"news\",{\"_binary\":\"\"}]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_cursors_it_is_what_phoenix_broadcasts),
        cmocka_unit_test(with_cursors_it_carries_join_ref_and_cursor),
        cmocka_unit_test(binary_takes_its_json_form),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
