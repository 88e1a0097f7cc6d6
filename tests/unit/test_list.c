#include "base/list.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

struct item {
    int n;
    struct hf_list node;
};

static int sum(struct hf_list *list)
{
    struct hf_list *node, *tmp;
    int digits = 0;

    HF_LIST_EACH(node, tmp, list)
    digits = digits * 10 + HF_ITEM(node, struct item, node)->n;
    return digits;
}

static void items_come_in_the_order_they_were_appended(void **state)
{
    struct item a = {.n = 1}, b = {.n = 2}, c = {.n = 3};
    struct hf_list list;

    (void)state;
    hf_list_init(&list);
    assert_true(hf_list_empty(&list));
    assert_null(hf_list_first(&list));
    assert_int_equal(sum(&list), 0);
    hf_list_append(&list, &a.node);
    hf_list_append(&list, &b.node);
    hf_list_append(&list, &c.node);
    assert_false(hf_list_empty(&list));
    assert_ptr_equal(hf_list_first(&list), &a.node);
    assert_int_equal(sum(&list), 123);
}

static void any_item_can_leave_and_come_back(void **state)
{
    struct item a = {.n = 1}, b = {.n = 2}, c = {.n = 3};
    struct hf_list list;

    (void)state;
    hf_list_init(&list);
    hf_list_append(&list, &a.node);
    hf_list_append(&list, &b.node);
    hf_list_append(&list, &c.node);
    hf_list_remove(&b.node);
    assert_int_equal(sum(&list), 13);
    assert_false(hf_list_linked(&b.node));
    hf_list_remove(&a.node);
    hf_list_append(&list, &b.node);
    assert_int_equal(sum(&list), 32);
    hf_list_remove(&c.node);
    hf_list_remove(&b.node);
    assert_true(hf_list_empty(&list));
}

static void to_remove_what_is_in_no_list_does_nothing(void **state)
{
    struct item zeroed = {0}, twice = {.n = 1}, other = {.n = 2};
    struct hf_list list;

    (void)state;
    hf_list_init(&list);
    hf_list_append(&list, &other.node);
    assert_false(hf_list_linked(&zeroed.node));
    hf_list_remove(&zeroed.node);
    hf_list_append(&list, &twice.node);
    assert_true(hf_list_linked(&twice.node));
    hf_list_remove(&twice.node);
    hf_list_remove(&twice.node);
    assert_int_equal(sum(&list), 2);
}

static void a_walk_survives_the_removal_of_each_item(void **state)
{
    struct item items[5] = {{.n = 0}};
    struct hf_list list;
    struct hf_list *node, *tmp;
    int i, seen = 0;

    (void)state;
    hf_list_init(&list);
    for (i = 0; i < 5; i++)
        hf_list_append(&list, &items[i].node);
    HF_LIST_EACH(node, tmp, &list)
    {
        hf_list_remove(node);
        seen++;
    }
    assert_int_equal(seen, 5);
    assert_true(hf_list_empty(&list));
}

static void the_zeroed_struct_is_an_empty_list(void **state)
{
    struct hf_list list = {0};

    (void)state;
    assert_true(hf_list_empty(&list));
    assert_null(hf_list_first(&list));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(items_come_in_the_order_they_were_appended),
        cmocka_unit_test(any_item_can_leave_and_come_back),
        cmocka_unit_test(to_remove_what_is_in_no_list_does_nothing),
        cmocka_unit_test(a_walk_survives_the_removal_of_each_item),
        cmocka_unit_test(the_zeroed_struct_is_an_empty_list),
    };

    return cmocka_run_group_tests_name("list", tests, NULL, NULL);
}
