// SPDX-License-Identifier: GPL-2.0-only
/*
 * The sizes of a new pool, worked out before its devices are wiped.
 */
#include "test.h"
#include "geometry.h"
#include "super.h"

static const u64 mib = 1 << 20;

static enum cdp_geometry_error fill(struct cdp_geometry *g, u64 metadata, u64 data)
{
	g->metadata_bytes = metadata;
	g->data_bytes = data;
	if (!g->block_sectors)
		g->block_sectors = 8;
	return cdp_geometry_fill(g);
}

static void a_small_pool_wants_two_mib(void **state)
{
	struct cdp_geometry g = { 0 };

	assert_int_equal(fill(&g, 2 * mib, 64 * mib), CDP_GEOMETRY_OK);
	assert_int_equal(g.metadata_min, 2 * mib);
	assert_int_equal(g.journal_blocks, 1024);
	assert_int_equal(g.data_start, cdp_data_start(1024));
	assert_int_equal(g.nr_data_blocks, (64 * mib / 512 - g.data_start) / 8);
	assert_int_equal(fill(&g, 2 * mib - 1, 64 * mib), CDP_GEOMETRY_METADATA_SMALL);
}

static void the_journal_is_a_share_with_bounds(void **state)
{
	struct cdp_geometry small = { 0 }, large = { 0 };

	fill(&small, 2 * mib, 2 * mib);
	assert_int_equal(small.journal_blocks, CDP_MIN_JOURNAL_BLOCKS * 2);
	small.journal_blocks = 0;
	fill(&small, 2 * mib, mib / 2);
	assert_int_equal(small.journal_blocks, CDP_MIN_JOURNAL_BLOCKS);
	fill(&large, 64 * mib, 1ULL << 40);
	assert_int_equal(large.journal_blocks, 16384);
}

static void the_data_device_holds_a_block_at_least(void **state)
{
	struct cdp_geometry g = { .journal_blocks = 16, .block_sectors = 128 };
	u64 start = cdp_data_start(16) * 512;

	assert_int_equal(fill(&g, 2 * mib, start + 65535), CDP_GEOMETRY_DATA_SMALL);
	assert_int_equal(fill(&g, 2 * mib, start + 65536), CDP_GEOMETRY_OK);
	assert_int_equal(g.nr_data_blocks, 1);
	assert_int_equal(fill(&g, 2 * mib, 0), CDP_GEOMETRY_DATA_SMALL);
}

static void metadata_grow_with_the_data(void **state)
{
	struct cdp_geometry g = { 0 };

	assert_int_equal(fill(&g, 2 * mib, 1ULL << 42), CDP_GEOMETRY_METADATA_SMALL);
	assert_true(g.metadata_min > 128 * mib && g.metadata_min < 160 * mib);
	assert_int_equal(fill(&g, g.metadata_min, 1ULL << 42), CDP_GEOMETRY_OK);
	assert_int_equal(fill(&g, g.metadata_min - 1, 1ULL << 42), CDP_GEOMETRY_METADATA_SMALL);
}

static void what_no_metadata_device_can_map_is_too_large(void **state)
{
	struct cdp_geometry g = { 0 };

	assert_int_equal(fill(&g, ~0ULL, 1ULL << 50), CDP_GEOMETRY_DATA_LARGE);
	assert_int_equal(fill(&g, ~0ULL, ~0ULL), CDP_GEOMETRY_DATA_LARGE);
	g.block_sectors = 128;
	assert_int_equal(fill(&g, ~0ULL, 1ULL << 50), CDP_GEOMETRY_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_small_pool_wants_two_mib),
		cmocka_unit_test(the_journal_is_a_share_with_bounds),
		cmocka_unit_test(the_data_device_holds_a_block_at_least),
		cmocka_unit_test(metadata_grow_with_the_data),
		cmocka_unit_test(what_no_metadata_device_can_map_is_too_large),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
