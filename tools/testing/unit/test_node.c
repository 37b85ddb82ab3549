// SPDX-License-Identifier: GPL-2.0-only
#include "test.h"
#include "check.h"
#include "node.h"

#include <linux/errno.h>

enum { NR_DATA_BLOCKS = 1 << 30, BLOCKNR = 77, LEAF = CDP_LEAF_ENTRIES };

static const u8 uuid[16] = "unit test's pool";

static void set_blocknr(void *block)
{
	((struct cdp_node_disk *)block)->blocknr = cpu_to_le64(BLOCKNR);
}

static const char *invalid(const void *block)
{
	return cdp_node_invalid(block, uuid, BLOCKNR, NR_DATA_BLOCKS);
}

static struct cdp_version random_version(unsigned int extents, u64 time)
{
	return (struct cdp_version) {
		.hi = cdp_hi(3, 0, random_below(extents)),
		.time = time + random_below(1000),
		.pblock = random_below(NR_DATA_BLOCKS),
	};
}

/* Sorted, without equal keys, at most nr. */
static void random_versions(struct model *m, unsigned int nr, unsigned int extents, u64 time)
{
	m->nr = 0;
	while (nr--) {
		struct cdp_version v = random_version(extents, time);

		model_add(m, &v);
	}
	model_sort(m);
}

static void assert_leaf_equals(const void *block, const struct model *m)
{
	unsigned int i;

	assert_int_equal(cdp_node_nr(block), m->nr);
	for (i = 0; i < m->nr; i++) {
		struct cdp_version v;

		cdp_leaf_get(block, i, &v);
		assert_true(version_equal(&v, &m->versions[i]));
	}
}

static void a_leaf_gives_back_what_was_packed(void **state)
{
	u8 block[CDP_UNIT_SIZE];
	struct model m = { 0 };
	unsigned int i;

	for (i = 0; i < 500; i++) {
		random_versions(&m, random_below(LEAF + 1), 1 + random_below(1000), 1000);
		memset(block, 0xa5, sizeof(block));
		cdp_leaf_pack(block, uuid, m.versions, m.nr);
		set_blocknr(block);
		assert_null(invalid(block));
		assert_leaf_equals(block, &m);
	}
	model_free(&m);
}

static void extreme_offsets_fit_and_one_more_does_not(void **state)
{
	u64 wide_hi = 0xffffffffULL, wide_time = (1ULL << 48) - 1;
	struct cdp_version v[] = {
		{ .hi = 8, .time = 1 + wide_time, .pblock = 5 },
		{ .hi = 8, .time = 1, .flags = CDP_TOMBSTONE },
		{ .hi = 8 + wide_hi, .time = 1, .pblock = NR_DATA_BLOCKS - 1 },
	};
	struct model m = { v, 3, 3 };
	u8 block[CDP_UNIT_SIZE];

	assert_int_equal(cdp_leaf_fits(v, 3), 3);
	cdp_leaf_pack(block, uuid, v, 3);
	set_blocknr(block);
	assert_null(invalid(block));
	assert_leaf_equals(block, &m);
	assert_int_equal(cdp_leaf_lower_bound(block, 8, 2 + wide_time), 0);
	assert_int_equal(cdp_leaf_lower_bound(block, 8 + wide_hi, 0), 3);
	assert_int_equal(cdp_leaf_lower_bound(block, 9 + wide_hi, 5), 3);

	v[2].hi++;
	assert_int_equal(cdp_leaf_fits(v, 3), 2);
	v[0].time++;
	assert_int_equal(cdp_leaf_fits(v, 3), 1);
}

static void a_leaf_holds_252_versions(void **state)
{
	struct model m = { 0 };
	u64 t;

	for (t = 1000; t; t--)
		model_add(&m, &(struct cdp_version) { .hi = 1, .time = t });
	assert_int_equal(cdp_leaf_fits(m.versions, m.nr), 252);
	assert_int_equal(cdp_leaf_fits(m.versions, 17), 17);
	assert_int_equal(cdp_leaf_fits(m.versions, 0), 0);
	model_free(&m);
}

static void lower_bound_finds_the_first_at_or_after_the_key(void **state)
{
	u8 block[CDP_UNIT_SIZE];
	struct model m = { 0 };
	unsigned int i, k;

	for (i = 0; i < 300; i++) {
		random_versions(&m, random_below(LEAF + 1), 1 + random_below(20), 500);
		cdp_leaf_pack(block, uuid, m.versions, m.nr);
		for (k = 0; k < 200; k++) {
			u64 hi = cdp_hi(3, 0, 0) - 1 + random_below(24);
			u64 time = random_below(2000);

			if (!random_below(10))
				time = ~0ULL;
			if (!random_below(20))
				hi = random_u64();
			assert_int_equal(cdp_leaf_lower_bound(block, hi, time),
					 model_lower_bound(&m, hi, time));
		}
	}
	model_free(&m);
}

static void insertion_in_place_equals_a_merge(void **state)
{
	struct model m = { 0 }, batch = { 0 };
	u8 block[CDP_UNIT_SIZE];
	unsigned int i, done = 0;

	for (i = 0; i < 3000; i++) {
		unsigned int before;
		int r;

		random_versions(&m, 1 + random_below(LEAF), 1 + random_below(300), 1000);
		random_versions(&batch, random_below(60), 1 + random_below(300), 1000);
		cdp_leaf_pack(block, uuid, m.versions, m.nr);
		before = m.nr;
		r = cdp_leaf_insert(block, batch.versions, batch.nr);
		if (r >= 0) {
			model_merge(&m, &batch);
			assert_int_equal(r, m.nr - before);
			done++;
		}
		assert_leaf_equals(block, &m);
		set_blocknr(block);
		assert_null(invalid(block));
	}
	assert_true(done > 100);
	model_free(&m);
	model_free(&batch);
}

static void insertion_refuses_what_needs_other_bases_or_more_room(void **state)
{
	struct cdp_version v = { .hi = 100, .time = 100 }, w = v;
	u8 block[CDP_UNIT_SIZE], copy[CDP_UNIT_SIZE];
	struct model m = { 0 };
	u64 t;

	cdp_leaf_pack(block, uuid, NULL, 0);
	assert_int_equal(cdp_leaf_insert(block, &v, 1), -ERANGE);

	cdp_leaf_pack(block, uuid, &v, 1);
	memcpy(copy, block, sizeof(copy));
	w.hi = 99;
	assert_int_equal(cdp_leaf_insert(block, &w, 1), -ERANGE);
	w.hi = 101 + 0xffffffffULL;
	assert_int_equal(cdp_leaf_insert(block, &w, 1), -ERANGE);
	w = v;
	w.time = 99;
	assert_int_equal(cdp_leaf_insert(block, &w, 1), -ERANGE);
	w.time = 100 + (1ULL << 48);
	assert_int_equal(cdp_leaf_insert(block, &w, 1), -ERANGE);

	for (t = 101 + LEAF; t > 101; t--)
		model_add(&m, &(struct cdp_version) { .hi = 100, .time = t });
	assert_int_equal(cdp_leaf_insert(block, m.versions, LEAF), -ENOSPC);
	assert_memory_equal(block, copy, sizeof(copy));
	assert_int_equal(cdp_leaf_insert(block, m.versions, LEAF - 1), LEAF - 1);
	model_free(&m);
}

static void removal_leaves_the_rest_with_the_least_bases(void **state)
{
	u8 block[CDP_UNIT_SIZE], fresh[CDP_UNIT_SIZE];
	struct model m = { 0 };
	unsigned int i;

	for (i = 0; i < 1000; i++) {
		unsigned int from, to;

		random_versions(&m, random_below(LEAF + 1), 1 + random_below(300), 1000);
		cdp_leaf_pack(block, uuid, m.versions, m.nr);
		from = random_below(m.nr + 1);
		to = from + random_below(m.nr - from + 1);
		cdp_leaf_remove(block, from, to);
		if (to > from)
			memmove(&m.versions[from], &m.versions[to],
				(m.nr - to) * sizeof(*m.versions));
		m.nr -= to - from;
		cdp_leaf_pack(fresh, uuid, m.versions, m.nr);
		assert_memory_equal(block, fresh, sizeof(block));
	}
	model_free(&m);
}

/*
 * Inner nodes
 */
static void make_inner(u8 *block, unsigned int nr)
{
	unsigned int i;

	cdp_inner_init(block, uuid, 1);
	for (i = 0; i < nr; i++)
		cdp_inner_insert(block, i, (struct cdp_key) { 10 * (i / 2), i % 2 ? 5 : 15 },
				 1000 + i);
	set_blocknr(block);
}

static unsigned int slow_search(const void *block, struct cdp_key key)
{
	unsigned int i;

	for (i = cdp_node_nr(block) - 1; i; i--)
		if (!cdp_key_before(key, cdp_inner_key(block, i)))
			break;
	return i;
}

static void an_inner_search_finds_the_child_that_covers_the_key(void **state)
{
	u8 block[CDP_UNIT_SIZE];
	unsigned int i, nr;

	for (nr = 1; nr <= CDP_INNER_ENTRIES; nr++) {
		make_inner(block, nr);
		assert_null(invalid(block));
		for (i = 0; i < 200; i++) {
			struct cdp_key key = { random_below(900), random_below(20) };

			assert_int_equal(cdp_inner_search(block, key.hi, key.time),
					 slow_search(block, key));
		}
	}
}

static void children_can_be_inserted_and_removed_anywhere(void **state)
{
	u8 block[CDP_UNIT_SIZE], copy[CDP_UNIT_SIZE];
	unsigned int i;

	for (i = 0; i < CDP_INNER_ENTRIES; i++) {
		struct cdp_key key;
		u64 child;

		make_inner(block, CDP_INNER_ENTRIES);
		memcpy(copy, block, sizeof(copy));
		key = cdp_inner_key(block, i);
		child = cdp_inner_child(block, i);
		cdp_inner_remove(block, i);
		assert_int_equal(cdp_node_nr(block), CDP_INNER_ENTRIES - 1);
		assert_null(invalid(block));
		cdp_inner_insert(block, i, key, child);
		assert_memory_equal(block, copy, sizeof(copy));
	}
}

static void a_split_loses_no_child(void **state)
{
	u8 block[CDP_UNIT_SIZE], right[CDP_UNIT_SIZE];
	unsigned int from, i;

	for (from = 1; from < CDP_INNER_ENTRIES; from++) {
		make_inner(block, CDP_INNER_ENTRIES);
		cdp_inner_init(right, uuid, 1);
		cdp_inner_split(block, right, from);
		set_blocknr(right);
		assert_null(invalid(block));
		assert_null(invalid(right));
		assert_int_equal(cdp_node_nr(block), from);
		assert_int_equal(cdp_node_nr(right), CDP_INNER_ENTRIES - from);
		for (i = 0; i < cdp_node_nr(right); i++)
			assert_int_equal(cdp_inner_child(right, i), 1000 + from + i);
	}
}

/*
 * Checking
 */
static void assert_invalid(const void *block, const char *why)
{
	const char *found = invalid(block);

	assert_non_null(found);
	assert_string_equal(found, why);
}

static void every_damage_of_a_header_is_named(void **state)
{
	struct cdp_version v = { .hi = 100, .time = 100 };
	struct cdp_node_disk good, *d;
	u8 block[CDP_UNIT_SIZE];

	d = (void *)block;
	cdp_leaf_pack(block, uuid, &v, 1);
	set_blocknr(block);
	good = *d;

	d->magic ^= 1;
	assert_invalid(block, "not a node of the index");
	*d = good;
	d->uuid[3]++;
	assert_invalid(block, "node of another pool");
	*d = good;
	d->blocknr ^= cpu_to_le64(1);
	assert_invalid(block, "node of another place");
	*d = good;
	d->flags = cpu_to_le32(3);
	assert_invalid(block, "neither leaf nor inner node");
	*d = good;
	d->level = cpu_to_le16(1);
	assert_invalid(block, "impossible level");
	*d = good;
	d->entry_size = cpu_to_le16(24);
	assert_invalid(block, "wrong size of entries");
	*d = good;
	d->nr_entries = cpu_to_le16(253);
	assert_invalid(block, "too many entries");
	*d = good;
	d->base_time = cpu_to_le64(1ULL << 62);
	assert_invalid(block, "impossible base time");
	*d = good;
	assert_null(invalid(block));

	make_inner(block, 3);
	good = *d;
	d->level = 0;
	assert_invalid(block, "impossible level");
	d->level = cpu_to_le16(13);
	assert_invalid(block, "impossible level");
	*d = good;
	d->nr_entries = cpu_to_le16(169);
	assert_invalid(block, "too many entries");
	d->nr_entries = 0;
	assert_invalid(block, "inner node without children");
}

static void impossible_entries_are_named(void **state)
{
	struct cdp_version v[] = { { .hi = 100, .time = 200 }, { .hi = 100, .time = 100 } };
	struct cdp_node_disk *d;
	u8 block[CDP_UNIT_SIZE];

	d = (void *)block;
	cdp_leaf_pack(block, uuid, (struct cdp_version[]) { v[1], v[0] }, 2);
	set_blocknr(block);
	assert_invalid(block, "versions are out of order");
	cdp_leaf_pack(block, uuid, (struct cdp_version[]) { v[0], v[0] }, 2);
	set_blocknr(block);
	assert_invalid(block, "versions are out of order");

	v[1].hi = 101;
	cdp_leaf_pack(block, uuid, v, 2);
	set_blocknr(block);
	d->base_hi = cpu_to_le64(~0ULL);
	assert_non_null(invalid(block));

	make_inner(block, 3);
	cdp_inner_set_child(block, 1, 0);
	assert_invalid(block, "impossible child");
	cdp_inner_set_child(block, 1, BLOCKNR);
	assert_invalid(block, "impossible child");
	make_inner(block, 3);
	cdp_inner_set_key(block, 2, cdp_inner_key(block, 1));
	assert_invalid(block, "children are out of order");
}

static void impossible_versions_are_named(void **state)
{
	const struct {
		struct cdp_version v;
		bool ok;
	} table[] = {
		{ { cdp_hi(1, 0, 5), 1, NR_DATA_BLOCKS - 1, 0 }, true },
		{ { cdp_hi(1, 0, 5), 1, NR_DATA_BLOCKS, 0 }, false },
		{ { cdp_hi(1, 0, 5), 0, 1, 0 }, false },
		{ { cdp_hi(1, 0, 5), 1ULL << 62, 1, 0 }, false },
		{ { cdp_hi(1, 0, 5), (1ULL << 62) - 1, 1, 0 }, true },
		{ { cdp_hi(1, 1, 8), 1, NR_DATA_BLOCKS - 8, 0 }, true },
		{ { cdp_hi(1, 1, 8), 1, NR_DATA_BLOCKS - 7, 0 }, false },
		{ { cdp_hi(1, 1, 9), 1, 1, 0 }, false },
		{ { cdp_hi(1, 4, 0), 1, 1, 0 }, false },
		{ { cdp_hi(1, 7, 0), 1, 0, CDP_TOMBSTONE }, true },
		{ { cdp_hi(1, 7, 0), 1, 1, CDP_TOMBSTONE }, false },
		{ { cdp_hi(1, 0, 0), 1, 1, CDP_CHECKED }, false },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(table); i++)
		assert_int_equal(!cdp_version_invalid(&table[i].v, NR_DATA_BLOCKS),
				 table[i].ok);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_leaf_gives_back_what_was_packed),
		cmocka_unit_test(extreme_offsets_fit_and_one_more_does_not),
		cmocka_unit_test(a_leaf_holds_252_versions),
		cmocka_unit_test(lower_bound_finds_the_first_at_or_after_the_key),
		cmocka_unit_test(insertion_in_place_equals_a_merge),
		cmocka_unit_test(insertion_refuses_what_needs_other_bases_or_more_room),
		cmocka_unit_test(removal_leaves_the_rest_with_the_least_bases),
		cmocka_unit_test(an_inner_search_finds_the_child_that_covers_the_key),
		cmocka_unit_test(children_can_be_inserted_and_removed_anywhere),
		cmocka_unit_test(a_split_loses_no_child),
		cmocka_unit_test(every_damage_of_a_header_is_named),
		cmocka_unit_test(impossible_entries_are_named),
		cmocka_unit_test(impossible_versions_are_named),
	};

	random_start();
	return cmocka_run_group_tests_name("node", tests, NULL, NULL);
}
