#include "sidecar/drain.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

/* All of them in the steps there are, the last one by the end. */
static void sockets_are_shared_out_over_the_steps(void **state)
{
    static const size_t counts[] = {0, 1, 7, 400, 19000};
    static const int64_t times[] = {0, 19, 20, 2000, 600000};
    size_t i, k;

    (void)state;
    for (i = 0; i < 5; i++) {
        for (k = 0; k < 5; k++) {
            size_t open = counts[i], most = 0;
            int64_t left_ms = times[k];

            for (; left_ms >= 0; left_ms -= HF_DRAIN_STEP_MS) {
                size_t share = hf_drain_share(open, left_ms);

                assert_true(share <= open);
                most = share > most ? share : most;
                open -= share;
            }
            assert_int_equal(open, 0);
            assert_true(most <=
                        counts[i] / (size_t)(times[k] / HF_DRAIN_STEP_MS + 1) +
                            1);
        }
    }
    assert_int_equal(hf_drain_share(5, -100), 5); /* we were stopped so long */
}

/* As drain.c does: told one after the other; when each returns. */
static void nobody_returns_before_the_end_and_all_in_their_order(void **state)
{
    static const int64_t spreads[] = {0, 100, 10000};
    enum { ALL = 1000 };
    size_t i;

    (void)state;
    for (i = 0; i < 3; i++) {
        int64_t spread_ms = spreads[i], before_ms = 0, first_ms = 0;
        struct hf_drain drain = {.spread_ms = spread_ms};

        for (drain.told = 0; drain.told < ALL; drain.told++) {
            int64_t passed_ms = spread_ms * (int64_t)drain.told / ALL;
            int64_t at_ms =
                passed_ms + hf_drain_return_ms(&drain, ALL - drain.told,
                                               spread_ms - passed_ms);

            assert_true(at_ms >= spread_ms + HF_SUCCESSOR_MS);
            assert_true(at_ms >= before_ms);
            first_ms = drain.told == 0 ? at_ms : first_ms;
            before_ms = at_ms;
        }
        assert_int_equal(first_ms, spread_ms + HF_SUCCESSOR_MS);
        assert_true(before_ms - first_ms >= HF_RETURN_LEAST_MS * 99 / 100);
        assert_true(before_ms - first_ms >= spread_ms * 99 / 100);
        assert_true(before_ms <=
                    2 * spread_ms + HF_SUCCESSOR_MS + HF_RETURN_LEAST_MS);
    }
}

static void few_are_told_sooner_than_the_setting_says(void **state)
{
    struct hf_conns conns = {.count = 100};
    struct hf_drain drain;

    (void)state;
    hf_drain_begin(&drain, &conns, 10000);
    assert_int_equal(drain.spread_ms, 100 * 1000 / HF_DRAIN_RATE);
    conns.count = 19000;
    hf_drain_begin(&drain, &conns, 10000);
    assert_int_equal(drain.spread_ms, 10000);
    hf_drain_begin(&drain, &conns, 0);
    assert_int_equal(drain.spread_ms, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sockets_are_shared_out_over_the_steps),
        cmocka_unit_test(nobody_returns_before_the_end_and_all_in_their_order),
        cmocka_unit_test(few_are_told_sooner_than_the_setting_says),
    };

    return cmocka_run_group_tests_name("drain", tests, NULL, NULL);
}
