/* The source itself, to reach the hash; the library's copy is not linked. */
#include "base/map.c"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>

void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);

static bool out_of_memory;

/* Linked with --wrap=calloc: memory runs out when a test says so. */
void *__wrap_calloc(size_t count, size_t size)
{
    return out_of_memory ? NULL : __real_calloc(count, size);
}

static void the_empty_map_has_nothing(void **state)
{
    struct hf_map map = {0};
    size_t at = 0;

    (void)state;
    assert_null(hf_map_get(&map, HF_STR("a")));
    assert_null(hf_map_remove(&map, HF_STR("a")));
    assert_null(hf_map_next(&map, &at));
    hf_map_release(&map);
}

static void what_is_put_is_found_until_removed(void **state)
{
    struct hf_map map = {0};
    int a, b;

    (void)state;
    assert_int_equal(hf_map_put(&map, HF_STR("a"), &a), 0);
    assert_int_equal(hf_map_put(&map, HF_STR("b"), &b), 0);
    assert_int_equal(map.count, 2);
    assert_ptr_equal(hf_map_get(&map, HF_STR("a")), &a);
    assert_ptr_equal(hf_map_get(&map, HF_STR("b")), &b);
    assert_null(hf_map_get(&map, HF_STR("c")));
    assert_ptr_equal(hf_map_remove(&map, HF_STR("a")), &a);
    assert_null(hf_map_get(&map, HF_STR("a")));
    assert_null(hf_map_remove(&map, HF_STR("a")));
    assert_ptr_equal(hf_map_get(&map, HF_STR("b")), &b);
    assert_int_equal(map.count, 1);
    hf_map_release(&map);
    assert_int_equal(map.size, 0);
}

static void keys_are_bytes_and_may_be_empty(void **state)
{
    struct hf_map map = {0};
    int values[4];

    (void)state;
    assert_int_equal(hf_map_put(&map, HF_STR(""), &values[0]), 0);
    assert_int_equal(hf_map_put(&map, HF_STR("\0"), &values[1]), 0);
    assert_int_equal(hf_map_put(&map, HF_STR("\0\0"), &values[2]), 0);
    assert_int_equal(hf_map_put(&map, HF_STR("x\0y"), &values[3]), 0);
    assert_ptr_equal(hf_map_get(&map, hf_str(NULL, 0)), &values[0]);
    assert_ptr_equal(hf_map_get(&map, HF_STR("\0")), &values[1]);
    assert_ptr_equal(hf_map_get(&map, HF_STR("\0\0")), &values[2]);
    assert_ptr_equal(hf_map_get(&map, HF_STR("x\0y")), &values[3]);
    assert_null(hf_map_get(&map, HF_STR("x\0z")));
    hf_map_release(&map);
}

static void a_second_put_replaces_value_and_key(void **state)
{
    struct hf_map map = {0};
    char first[] = "key", second[] = "key";
    int a, b;

    (void)state;
    assert_int_equal(hf_map_put(&map, hf_str_of(first), &a), 0);
    assert_int_equal(hf_map_put(&map, hf_str_of(second), &b), 0);
    memset(first, 'x', 3); /* its owner may go now */
    assert_int_equal(map.count, 1);
    assert_ptr_equal(hf_map_get(&map, HF_STR("key")), &b);
    hf_map_release(&map);
}

#define KEYS 600u

struct thing {
    char name[8];
    bool in;
};

static struct hf_str name_of(const struct thing *thing)
{
    return hf_str_of(thing->name);
}

static void check_against(const struct hf_map *map, struct thing *things)
{
    size_t i, at = 0, in = 0, walked = 0;

    for (i = 0; i < KEYS; i++) {
        void *expected = things[i].in ? &things[i] : NULL;

        assert_ptr_equal(hf_map_get(map, name_of(&things[i])), expected);
        in += things[i].in;
    }
    while (hf_map_next(map, &at))
        walked++;
    assert_int_equal(map->count, in);
    assert_int_equal(walked, in);
    assert_true(map->count <= map->size / 4 * 3);
}

/* Long runs form and break: every hole must be closed rightly. */
static void it_agrees_with_a_plain_array_over_random_changes(void **state)
{
    static struct thing things[KEYS];
    struct hf_map map = {0};
    unsigned seed = 1;
    size_t i, step;

    (void)state;
    for (i = 0; i < KEYS; i++)
        (void)snprintf(things[i].name, sizeof(things[i].name), "k%zu", i);
    for (step = 0; step < 40000; step++) {
        struct thing *thing;

        seed = seed * 1103515245 + 12345;
        /* Few keys in one half of the time, many in the other. */
        i = (seed >> 8) % (step % 8000 < 4000 ? KEYS / 10 : KEYS);
        thing = &things[i];
        if (seed >> 30 & 1) {
            assert_int_equal(hf_map_put(&map, name_of(thing), thing), 0);
            thing->in = true;
        } else {
            void *was = hf_map_remove(&map, name_of(thing));

            assert_ptr_equal(was, thing->in ? thing : NULL);
            thing->in = false;
        }
        if (step % 500 == 0)
            check_against(&map, things);
    }
    check_against(&map, things);
    hf_map_release(&map);
}

static void it_can_be_emptied_and_filled_again(void **state)
{
    static struct thing things[KEYS];
    struct hf_map map = {0};
    size_t i, round;

    (void)state;
    for (i = 0; i < KEYS; i++)
        (void)snprintf(things[i].name, sizeof(things[i].name), "%zu", i);
    for (round = 0; round < 3; round++) {
        for (i = 0; i < KEYS; i++)
            assert_int_equal(hf_map_put(&map, name_of(&things[i]), &things[i]),
                             0);
        for (i = 0; i < KEYS; i++)
            assert_ptr_equal(hf_map_remove(&map, name_of(&things[i])),
                             &things[i]);
        assert_int_equal(map.count, 0);
    }
    assert_int_equal(map.size, 1024); /* no growth by what was removed */
    hf_map_release(&map);
}

static void without_memory_it_stays_as_it_was(void **state)
{
    static struct thing things[7];
    struct hf_map map = {0};
    size_t i;

    (void)state;
    out_of_memory = true;
    assert_int_equal(hf_map_put(&map, HF_STR("x"), &map), HF_ENOMEM);
    out_of_memory = false;
    for (i = 0; i < 7; i++)
        (void)snprintf(things[i].name, sizeof(things[i].name), "%zu", i);
    for (i = 0; i < 6; i++)
        assert_int_equal(hf_map_put(&map, name_of(&things[i]), &things[i]), 0);
    out_of_memory = true;
    assert_int_equal(hf_map_put(&map, name_of(&things[6]), &things[6]),
                     HF_ENOMEM);
    assert_int_equal(hf_map_put(&map, name_of(&things[0]), &things[1]), 0);
    out_of_memory = false;
    assert_int_equal(map.count, 6);
    assert_ptr_equal(hf_map_get(&map, name_of(&things[0])), &things[1]);
    assert_ptr_equal(hf_map_get(&map, name_of(&things[5])), &things[5]);
    assert_null(hf_map_get(&map, name_of(&things[6])));
    hf_map_release(&map);
}

static void two_keys_of_one_hash_are_two_keys(void **state)
{
    struct hf_map_entry entries[4] = {{"a", entries, 1, 6}};

    (void)state;
    entries[2] = entries[0];
    entries[0] = (struct hf_map_entry){0};
    assert_ptr_equal(slot_of(entries, 4, HF_STR("a"), 6), &entries[2]);
    assert_ptr_equal(slot_of(entries, 4, HF_STR("b"), 6), &entries[3]);
}

/* Figures of CPython 3.11's SipHash-1-3 with the key 0 (PYTHONHASHSEED=0). */
static void the_hash_is_siphash_1_3(void **state)
{
    char bytes[63];
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(bytes); i++)
        bytes[i] = (char)i;
    (void)hash_of(HF_STR("")); /* the key is made once, so before */
    memset(hash_key, 0, sizeof(hash_key));
    assert_true(hash_of(HF_STR("a")) == (size_t)0x407448d2b89b1813);
    assert_true(hash_of(HF_STR("1234567")) == (size_t)0xa33d651594fdae81);
    assert_true(hash_of(HF_STR("12345678")) == (size_t)0x3489982430560a87);
    assert_true(hash_of(HF_STR("123456789")) == (size_t)0x0fbc0f0007965fcf);
    assert_true(hash_of(hf_str(bytes, 63)) == (size_t)0x385d3e39e5f37359);
    make_key();
}

static void the_hash_depends_on_a_key_of_the_process(void **state)
{
    size_t hash = hash_of(HF_STR("lobby"));

    (void)state;
    assert_true(hash_key[0] != 0 || hash_key[1] != 0);
    hash_key[0] ^= 1;
    assert_true(hash_of(HF_STR("lobby")) != hash);
    hash_key[0] ^= 1;
    hash_key[1] ^= 1;
    assert_true(hash_of(HF_STR("lobby")) != hash);
    hash_key[1] ^= 1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_empty_map_has_nothing),
        cmocka_unit_test(what_is_put_is_found_until_removed),
        cmocka_unit_test(keys_are_bytes_and_may_be_empty),
        cmocka_unit_test(a_second_put_replaces_value_and_key),
        cmocka_unit_test(it_agrees_with_a_plain_array_over_random_changes),
        cmocka_unit_test(it_can_be_emptied_and_filled_again),
        cmocka_unit_test(without_memory_it_stays_as_it_was),
        cmocka_unit_test(two_keys_of_one_hash_are_two_keys),
        cmocka_unit_test(the_hash_is_siphash_1_3),
        cmocka_unit_test(the_hash_depends_on_a_key_of_the_process),
    };

    return cmocka_run_group_tests_name("map", tests, NULL, NULL);
}
