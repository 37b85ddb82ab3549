// SPDX-License-Identifier: GPL-2.0-only
#include "test.h"
#include "key.h"

static void the_parts_of_hi_come_back_as_they_went_in(void **state)
{
	unsigned int i;

	for (i = 0; i < 10000; i++) {
		u32 volume = random_below(1 << CDP_VOLUME_BITS);
		unsigned int level = random_below(CDP_NR_LEVELS);
		u64 lba = random_below(1ULL << CDP_LBA_BITS);
		u64 hi = cdp_hi(volume, level, lba);

		assert_int_equal(cdp_hi_volume(hi), volume);
		assert_int_equal(cdp_hi_level(hi), level);
		assert_int_equal(cdp_hi_lba(hi), lba);
		assert_int_equal(cdp_hi_blocks(hi), 1ULL << (3 * level));
	}
}

static void volumes_sort_before_levels_before_lbas(void **state)
{
	assert_true(cdp_hi(1, 7, (1ULL << CDP_LBA_BITS) - 1) < cdp_hi(2, 0, 0));
	assert_true(cdp_hi(1, 3, (1ULL << CDP_LBA_BITS) - 1) < cdp_hi(1, 4, 0));
	assert_true(cdp_hi(1, 3, 4) < cdp_hi(1, 3, 5));
}

static void newer_versions_of_an_extent_sort_first(void **state)
{
	assert_true(cdp_key_cmp(5, 10, 5, 9) < 0);
	assert_true(cdp_key_cmp(5, 9, 5, 10) > 0);
	assert_true(cdp_key_cmp(4, 1, 5, 10) < 0);
	assert_int_equal(cdp_key_cmp(5, 10, 5, 10), 0);
}

static void key_before_agrees_with_key_cmp(void **state)
{
	unsigned int i;

	for (i = 0; i < 10000; i++) {
		struct cdp_key a = { random_below(4), random_below(4) };
		struct cdp_key b = { random_below(4), random_below(4) };

		assert_int_equal(cdp_key_before(a, b),
				 cdp_key_cmp(a.hi, a.time, b.hi, b.time) < 0);
	}
}

static void extents_of_a_write_cover_it_once(void **state)
{
	unsigned int i;

	for (i = 0; i < 10000; i++) {
		u64 lba = random_below(1 << 20), nr = 1 + random_below(5000), at = lba;

		while (nr) {
			unsigned int level = cdp_extent_level(at, nr, CDP_MAX_WRITE_LEVEL);
			u64 len = cdp_level_blocks(level);

			assert_true(level <= CDP_MAX_WRITE_LEVEL);
			assert_true(len <= nr);
			assert_int_equal(cdp_level_base(level, at), at);
			if (level < CDP_MAX_WRITE_LEVEL)	/* none larger would do */
				assert_true(len * 8 > nr || at & (len * 8 - 1));
			at += len;
			nr -= len;
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_parts_of_hi_come_back_as_they_went_in),
		cmocka_unit_test(volumes_sort_before_levels_before_lbas),
		cmocka_unit_test(newer_versions_of_an_extent_sort_first),
		cmocka_unit_test(key_before_agrees_with_key_cmp),
		cmocka_unit_test(extents_of_a_write_cover_it_once),
	};

	random_start();
	return cmocka_run_group_tests_name("key", tests, NULL, NULL);
}
