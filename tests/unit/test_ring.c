#include "channel/ring.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "channel/proto.h"

static uint64_t encoded;

static void push(struct hf_ring *ring, uint64_t id, struct hf_str payload)
{
    struct hf_row row = {.id = id,
                         .topic = HF_STR("t"),
                         .event = HF_STR("e"),
                         .payload = payload,
                         .skip = HF_STR("")};

    hf_ring_push(ring, &row);
}

static uint64_t id_after(const struct hf_ring *ring, uint64_t after)
{
    struct hf_ring_row *row = hf_ring_after(ring, after);

    return row ? hf_ring_row_id(row) : 0;
}

static void every_cursor_finds_its_next_row(void **state)
{
    struct hf_ring ring;
    uint64_t id;

    (void)state;
    hf_ring_init(&ring, 10);
    assert_int_equal(id_after(&ring, 10), 0);
    for (id = 12; id <= 40; id += 2)
        push(&ring, id, HF_STR("{}"));
    for (id = 10; id < 40; id++)
        assert_int_equal(id_after(&ring, id), id + 2 - (id & 1));
    assert_int_equal(id_after(&ring, 40), 0);
    assert_int_equal(id_after(&ring, 1000), 0);
    hf_ring_release(&ring);
}

static void the_oldest_give_way_and_low_tells_so(void **state)
{
    struct hf_ring ring;
    uint64_t id;

    (void)state;
    hf_ring_init(&ring, 0);
    for (id = 1; id <= HF_RING_ROWS; id++)
        push(&ring, id, HF_STR("1"));
    assert_int_equal(ring.low, 0); /* full, and all still here */
    push(&ring, id, HF_STR("1"));
    assert_int_equal(ring.low, 1);
    assert_int_equal(id_after(&ring, 1), 2);
    for (id++; id <= 10 * HF_RING_ROWS; id++)
        push(&ring, id, HF_STR("1"));
    assert_int_equal(ring.low, 9 * HF_RING_ROWS);
    assert_int_equal(id_after(&ring, ring.low), ring.low + 1);
    assert_int_equal(id_after(&ring, 10 * HF_RING_ROWS - 1), 10 * HF_RING_ROWS);
    hf_ring_release(&ring);
}

static void bytes_are_bounded_but_one_row_always_fits(void **state)
{
    size_t len = HF_RING_BYTES / 2;
    char *big = calloc(1, len * 3);
    struct hf_ring ring;

    (void)state;
    assert_non_null(big);
    hf_ring_init(&ring, 0);
    push(&ring, 1, hf_str(big, len));
    push(&ring, 2, hf_str(big, len));
    assert_int_equal(ring.low, 0);
    push(&ring, 3, HF_STR("1"));
    assert_int_equal(ring.low, 1);
    push(&ring, 4, hf_str(big, len * 3));
    assert_int_equal(ring.low, 3);
    assert_int_equal(id_after(&ring, 3), 4);
    push(&ring, 5, HF_STR("1"));
    assert_int_equal(ring.low, 4);
    hf_ring_release(&ring);
    free(big);
}

static struct hf_msg *msg(struct hf_ring *ring, const char *join_ref)
{
    return hf_ring_row_msg(hf_ring_after(ring, 0), 0, HF_FORM_FRAMES,
                           hf_str_of(join_ref), &encoded);
}

static void a_row_is_encoded_once_per_distinct_join_ref(void **state)
{
    struct hf_msg *a, *b, *c, *d;
    struct hf_ring ring;

    (void)state;
    encoded = 0;
    hf_ring_init(&ring, 0);
    push(&ring, 5, HF_STR("{\"n\":1e400}"));
    a = msg(&ring, "");
    b = msg(&ring, "");
    c = msg(&ring, "\"3\"");
    d = msg(&ring, "\"3\"");
    assert_ptr_equal(a, b);
    assert_ptr_equal(c, d);
    assert_int_equal(encoded, 2);
    assert_true(hf_str_eq(hf_msg_text(a),
                          HF_STR("[null,null,\"t\",\"e\",{\"n\":1e400}]")));
    assert_true(
        hf_str_eq(hf_msg_text(c), HF_STR("[\"3\",\"j:AAAAAAAAAAA.5\",\"t\","
                                         "\"e\",{\"n\":1e400}]")));
    hf_ring_release(&ring); /* messages in flight outlive the ring */
    assert_int_equal(a->refs, 2);
    hf_msg_unref(a);
    hf_msg_unref(b);
    hf_msg_unref(c);
    hf_msg_unref(d);
}

static void odd_join_refs_do_not_pile_up(void **state)
{
    struct hf_ring ring;
    char ref[16];
    int n;

    (void)state;
    encoded = 0;
    hf_ring_init(&ring, 0);
    push(&ring, 5, HF_STR("1"));
    for (n = 0; n < 200; n++) {
        snprintf(ref, sizeof(ref), "\"%d\"", n);
        hf_msg_unref(msg(&ring, ref));
    }
    assert_int_equal(encoded, 200);
    hf_msg_unref(msg(&ring, "\"0\"")); /* kept */
    assert_int_equal(encoded, 200);
    hf_msg_unref(msg(&ring, "\"199\"")); /* beyond the bound: again */
    assert_int_equal(encoded, 201);
    hf_ring_release(&ring);
}

static void a_restart_forgets_all_rows(void **state)
{
    struct hf_ring ring;

    (void)state;
    hf_ring_init(&ring, 0);
    push(&ring, 1, HF_STR("1"));
    push(&ring, 2, HF_STR("1"));
    hf_ring_restart(&ring, 7);
    assert_int_equal(ring.low, 7);
    assert_int_equal(ring.bytes, 0);
    assert_int_equal(id_after(&ring, 7), 0);
    push(&ring, 8, HF_STR("1"));
    assert_int_equal(id_after(&ring, 7), 8);
    hf_ring_release(&ring);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_cursor_finds_its_next_row),
        cmocka_unit_test(the_oldest_give_way_and_low_tells_so),
        cmocka_unit_test(bytes_are_bounded_but_one_row_always_fits),
        cmocka_unit_test(a_row_is_encoded_once_per_distinct_join_ref),
        cmocka_unit_test(odd_join_refs_do_not_pile_up),
        cmocka_unit_test(a_restart_forgets_all_rows),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
