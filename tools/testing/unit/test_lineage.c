// SPDX-License-Identifier: GPL-2.0-only
#include "test.h"
#include "history.h"

#include <linux/errno.h>

static const struct cdp_branch branches[] = {
	{ .start = 100 },
	{ .start = 200, .revert_to = 150 },	/* the past of 200.. is ..150 */
	{ .start = 300, .revert_to = 120 },
	{ .start = 400, .revert_to = 290 },	/* undoes the revert at 300 */
};

static void a_branch_starts_after_its_start(void **state)
{
	assert_int_equal(cdp_branch_find(branches, 4, 100), -1);
	assert_int_equal(cdp_branch_find(branches, 4, 101), 0);
	assert_int_equal(cdp_branch_find(branches, 4, 200), 0);
	assert_int_equal(cdp_branch_find(branches, 4, 201), 1);
	assert_int_equal(cdp_branch_find(branches, 4, CDP_TIME_NOW), 3);
	assert_int_equal(cdp_branch_find(branches, 0, 500), -1);
}

static void check_interval(const struct cdp_interval *i, u64 lo, u64 hi)
{
	assert_int_equal(i->lo, lo);
	assert_int_equal(i->hi, hi);
}

static void a_revert_of_a_revert_brings_the_abandoned_branch_back(void **state)
{
	struct cdp_lineage *l = malloc(sizeof(*l) + 4 * sizeof(*l->intervals));

	assert_int_equal(cdp_lineage_fill(l, branches, 4, 450), 0);
	assert_int_equal(l->nr, 3);
	check_interval(&l->intervals[0], 400, 450);
	check_interval(&l->intervals[1], 200, 290);
	check_interval(&l->intervals[2], 100, 150);

	assert_int_equal(cdp_lineage_fill(l, branches, 4, 350), 0);
	assert_int_equal(l->nr, 2);
	check_interval(&l->intervals[0], 300, 350);
	check_interval(&l->intervals[1], 100, 120);
	free(l);
}

static void before_its_first_branch_a_volume_did_not_exist(void **state)
{
	struct cdp_lineage *l = malloc(sizeof(*l) + 4 * sizeof(*l->intervals));

	assert_int_equal(cdp_lineage_fill(l, branches, 4, 100), -ENOENT);
	assert_int_equal(l->nr, 0);
	free(l);
}

/* The newest version of the extent at or before time, or 0. */
static u64 newest_before(const struct history *h, unsigned int extent, u64 time)
{
	if (time > HISTORY)
		time = HISTORY;
	while (time && h->written[time] != (int)extent)
		time--;
	return time;
}

static u64 find(const struct history *h, unsigned int extent)
{
	unsigned int i = 0, steps = 0;

	while (i < h->lineage->nr) {
		u64 time = newest_before(h, extent, h->lineage->intervals[i].hi);

		assert_true(steps++ <= h->nr_branches);
		if (cdp_lineage_visible(h->lineage, &i, time))
			return time;
	}
	return 0;
}

static void lookups_through_lineages_see_what_was_there(void **state)
{
	static const unsigned int reverts_in[] = { 0, 100, 20, 5, 2 };
	struct history h;
	unsigned int round, extent;
	u64 t;

	for (round = 0; round < 25; round++) {
		history_make(&h, reverts_in[round % ARRAY_SIZE(reverts_in)]);
		for (t = 1; t <= HISTORY; t++) {
			assert_int_equal(cdp_lineage_fill(h.lineage, h.branches,
							  h.nr_branches, t), 0);
			for (extent = 0; extent < EXTENTS; extent++)
				assert_int_equal(find(&h, extent), h.content[t][extent]);
		}
		history_free(&h);
	}
}

static void intervals_descend_and_do_not_overlap(void **state)
{
	struct history h;
	unsigned int i;
	u64 t;

	history_make(&h, 4);
	for (t = 1; t <= HISTORY; t++) {
		cdp_lineage_fill(h.lineage, h.branches, h.nr_branches, t);
		for (i = 0; i < h.lineage->nr; i++) {
			const struct cdp_interval *in = &h.lineage->intervals[i];

			assert_true(in->lo < in->hi);
			if (i)
				assert_true(in->hi <= in[-1].lo);
		}
	}
	history_free(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_branch_starts_after_its_start),
		cmocka_unit_test(a_revert_of_a_revert_brings_the_abandoned_branch_back),
		cmocka_unit_test(before_its_first_branch_a_volume_did_not_exist),
		cmocka_unit_test(lookups_through_lineages_see_what_was_there),
		cmocka_unit_test(intervals_descend_and_do_not_overlap),
	};

	random_start();
	return cmocka_run_group_tests_name("lineage", tests, NULL, NULL);
}
