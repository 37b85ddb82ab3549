// SPDX-License-Identifier: GPL-2.0-only
#include "test.h"
#include "catalog.h"

#include <stdio.h>
#include <linux/err.h>
#include <linux/slab.h>
#include <asm/byteorder.h>

enum { BLOCK_SECTORS = 8 };

static struct rw_semaphore lock;
static struct cdp_catalog c;

static void start(void)
{
	cdp_catalog_init(&c, &lock);
	c.block_sectors = BLOCK_SECTORS;
}

static void stop(void)
{
	assert_int_equal(lock.writers, 0);
	cdp_catalog_exit(&c);
}

/* All that can be seen of a catalog. */
static const char *text_of(struct cdp_catalog *catalog)
{
	static char text[1 << 20];
	struct cdp_volume *v;
	struct cdp_mark *m;
	unsigned int i;
	char *p = text;

	p += sprintf(p, "next %u, %u volumes, %u marks\n", catalog->next_volume,
		     catalog->nr_volumes, catalog->nr_marks);
	list_for_each_entry(v, &catalog->volumes, list) {
		p += sprintf(p, "volume %u %s %llu %llu:", v->id, v->name, v->nr_sectors,
			     v->created);
		for (i = 0; i < v->nr_branches; i++)
			p += sprintf(p, " %llu-%llu", v->branches[i].start,
				     v->branches[i].revert_to);
		p += sprintf(p, ", lineage");
		for (i = 0; i < v->lineage->nr; i++)
			p += sprintf(p, " %llu-%llu", v->lineage->intervals[i].lo,
				     v->lineage->intervals[i].hi);
		p += sprintf(p, "\n");
	}
	list_for_each_entry(v, &catalog->deleted, list)
		p += sprintf(p, "deleted %u %s\n", v->id, v->name);
	list_for_each_entry(m, &catalog->marks, list) {
		p += sprintf(p, "mark %llu %s", m->time, m->name);
		for (i = 0; i < m->nr_volumes; i++)
			p += sprintf(p, " %u", m->volumes[i]);
		p += sprintf(p, "\n");
	}
	return text;
}

static char *saved_text(void)
{
	return strdup(text_of(&c));
}

/* Prepares and applies: 0 or -errno.  What is refused or cancelled has changed nothing. */
static int change(const struct cdp_record *r)
{
	char *before = saved_text();
	struct cdp_change *change = cdp_change_prepare(&c, r);
	int error = IS_ERR(change) ? PTR_ERR(change) : 0;

	assert_string_equal(text_of(&c), before);
	if (!error) {
		cdp_change_cancel(change);
		assert_string_equal(text_of(&c), before);
		change = cdp_change_prepare(&c, r);
		assert_false(IS_ERR(change));
		cdp_change_apply(&c, change);
		assert_ptr_equal(list_last_entry(&c.unsaved, struct cdp_change, list), change);
	}
	free(before);
	return error;
}

static int create_as(u32 number, const char *name, u64 sectors, u64 time)
{
	struct cdp_record r = {
		.type = CDP_REC_CREATE, .volume = number, .nr_sectors = sectors, .time = time,
	};

	strcpy(r.name, name);
	return change(&r);
}

static int create(const char *name, u64 time)
{
	return create_as(c.next_volume, name, 64, time);
}

static int delete(u32 volume, u64 time)
{
	return change(&(struct cdp_record){ .type = CDP_REC_DELETE, .volume = volume,
					    .time = time });
}

static int revert(u32 volume, u64 to, u64 time)
{
	return change(&(struct cdp_record){ .type = CDP_REC_REVERT, .volume = volume,
					    .revert_to = to, .time = time });
}

static int mark_two(const char *name, u32 a, u32 b, u64 time)
{
	struct cdp_record r = {
		.type = CDP_REC_MARK, .time = time, .nr_volumes = !!a + !!b, .volumes = { a, b },
	};

	strcpy(r.name, name);
	return change(&r);
}

static int mark(const char *name, u64 time)
{
	return mark_two(name, 0, 0, time);
}

static int unmark(u64 time)
{
	return change(&(struct cdp_record){ .type = CDP_REC_UNMARK, .time = time });
}

static void a_volume_gets_the_next_number_and_no_other(void **state)
{
	u32 number;

	start();
	for (number = 0; number < 40; number++)
		if (number != 1)
			assert_int_equal(create_as(number, "a", 64, 10), -EINVAL);
	assert_int_equal(create_as(1, "a", 64, 10), 0);
	assert_int_equal(c.next_volume, 2);
	assert_int_equal(create_as(1, "b", 64, 11), -EINVAL);
	assert_int_equal(create_as(3, "b", 64, 11), -EINVAL);
	assert_int_equal(create_as(2, "b", 64, 11), 0);
	assert_int_equal(delete(2, 12), 0);
	assert_int_equal(create_as(2, "b", 64, 13), -EINVAL);
	assert_int_equal(create_as(3, "b", 64, 13), 0);
	assert_int_equal(create_as(~0U, "d", 64, 14), -EINVAL);
	stop();
}

static void numbers_end_where_the_superblock_can_hold_the_next(void **state)
{
	start();
	c.next_volume = (1 << CDP_VOLUME_BITS) - 2;
	assert_int_equal(create("a", 10), 0);
	assert_int_equal(c.next_volume >> CDP_VOLUME_BITS, 0);
	assert_int_equal(create("b", 11), -ENOSPC);
	c.next_volume = 1 << CDP_VOLUME_BITS;
	assert_int_equal(create("b", 11), -ENOSPC);
	c.next_volume = ~0U;
	assert_int_equal(create("b", 11), -ENOSPC);
	c.next_volume = 0;
	assert_int_equal(create("b", 11), -ENOSPC);
	stop();
}

static void a_name_is_taken_until_its_volume_is_deleted(void **state)
{
	start();
	assert_int_equal(create("a", 10), 0);
	assert_int_equal(create("a", 11), -EEXIST);
	assert_int_equal(create("A", 12), 0);
	assert_int_equal(delete(1, 13), 0);
	assert_null(cdp_catalog_volume(&c, "a"));
	assert_null(cdp_catalog_volume_by_id(&c, 1));
	assert_int_equal(create("a", 14), 0);
	assert_int_equal(cdp_catalog_volume(&c, "a")->id, 3);
	assert_int_equal(c.nr_volumes, 2);
	stop();
}

static void a_size_is_whole_blocks_of_which_there_are_numbers(void **state)
{
	const u64 most = ((1ULL << CDP_LBA_BITS) - 1) * BLOCK_SECTORS;

	start();
	assert_int_equal(create_as(1, "a", 0, 10), -EINVAL);
	assert_int_equal(create_as(1, "a", 7, 10), -EINVAL);
	assert_int_equal(create_as(1, "a", 9, 10), -EINVAL);
	assert_int_equal(create_as(1, "a", most + BLOCK_SECTORS, 10), -EINVAL);
	assert_int_equal(create_as(1, "a", ~0ULL - 7, 10), -EINVAL);
	assert_int_equal(create_as(1, "a", most, 10), 0);
	assert_int_equal(create_as(2, "b", BLOCK_SECTORS, 10), 0);
	stop();
}

static void what_is_deleted_exists_and_is_not_in_use(void **state)
{
	start();
	assert_int_equal(delete(1, 10), -ENOENT);
	assert_int_equal(create("a", 10), 0);
	cdp_catalog_volume(&c, "a")->nr_targets = 1;
	assert_int_equal(delete(1, 11), -EBUSY);
	cdp_catalog_volume(&c, "a")->nr_targets = 0;
	assert_int_equal(delete(1, 11), 0);
	assert_int_equal(delete(1, 12), -ENOENT);
	assert_int_equal(c.nr_volumes, 0);
	stop();
}

static void a_revert_goes_to_an_instant_that_the_volume_has(void **state)
{
	struct cdp_volume *v;

	start();
	assert_int_equal(revert(1, 15, 20), -ENOENT);
	assert_int_equal(create("a", 10), 0);
	assert_int_equal(revert(1, 10, 20), -ENOENT);
	assert_int_equal(revert(1, 0, 20), -ENOENT);
	assert_int_equal(revert(1, 20, 20), -EINVAL);
	assert_int_equal(revert(1, 21, 20), -EINVAL);
	assert_int_equal(revert(1, 11, 10), -EINVAL);
	lock.taken = 0;
	assert_int_equal(revert(1, 11, 20), 0);
	assert_int_equal(lock.taken, 1);
	assert_int_equal(revert(1, 15, 20), -EINVAL);
	assert_int_equal(revert(1, 20, 30), 0);	/* undoes it */
	v = cdp_catalog_volume(&c, "a");
	assert_int_equal(v->nr_branches, 3);
	assert_int_equal(v->lineage->nr, 2);
	assert_int_equal(v->lineage->intervals[0].lo, 30);
	assert_int_equal(v->lineage->intervals[1].hi, 20);
	assert_int_equal(v->lineage->intervals[1].lo, 10);
	assert_int_equal(delete(1, 31), 0);
	assert_int_equal(revert(1, 15, 40), -ENOENT);
	stop();
}

static void a_mark_has_a_new_name_a_later_time_and_volumes_that_are_there(void **state)
{
	start();
	assert_int_equal(create("a", 10), 0);
	assert_int_equal(create("b", 11), 0);
	assert_int_equal(mark_two("m", 1, 2, 20), 0);
	assert_int_equal(mark("m", 21), -EEXIST);
	assert_int_equal(mark("n", 20), -EINVAL);
	assert_int_equal(mark("n", 19), -EINVAL);
	assert_int_equal(mark_two("n", 1, 3, 21), -ENOENT);
	assert_int_equal(mark("n", 21), 0);
	assert_int_equal(unmark(19), -ENOENT);
	assert_int_equal(unmark(22), -ENOENT);
	assert_int_equal(unmark(20), 0);
	assert_int_equal(unmark(20), -ENOENT);
	assert_null(cdp_catalog_mark(&c, "m"));
	assert_int_equal(mark("m", 22), 0);
	assert_int_equal(delete(2, 23), 0);
	assert_int_equal(mark_two("o", 1, 2, 24), -ENOENT);
	stop();
}

static void a_mark_of_all_covers_what_was_there_before_it(void **state)
{
	struct cdp_volume *a, *b;

	start();
	assert_int_equal(create("a", 10), 0);
	assert_int_equal(mark("all", 20), 0);
	assert_int_equal(mark_two("one", 1, 0, 21), 0);
	assert_int_equal(create("b", 20), 0);	/* as early as one may be that it does not cover */
	assert_int_equal(create("c", 30), 0);
	assert_int_equal(mark_two("two", 1, 3, 31), 0);
	a = cdp_catalog_volume(&c, "a");
	b = cdp_catalog_volume(&c, "b");
	assert_true(cdp_mark_covers(cdp_catalog_mark(&c, "all"), a));
	assert_false(cdp_mark_covers(cdp_catalog_mark(&c, "all"), b));
	assert_true(cdp_mark_covers(cdp_catalog_mark(&c, "one"), a));
	assert_false(cdp_mark_covers(cdp_catalog_mark(&c, "one"), b));
	assert_true(cdp_mark_covers(cdp_catalog_mark(&c, "two"), cdp_catalog_volume(&c, "c")));
	assert_false(cdp_mark_covers(cdp_catalog_mark(&c, "two"), b));
	stop();
}

static void any_mark_is_found_by_its_name(void **state)
{
	bool there[500] = { 0 };
	u64 times[500], time = 10;
	unsigned int i, k, n;
	char name[16];

	start();
	for (i = 0; i < 3000; i++) {
		n = random_below(ARRAY_SIZE(there));
		sprintf(name, "m%u", n);
		if (there[n]) {
			assert_int_equal(unmark(times[n]), 0);
		} else {
			times[n] = ++time;
			assert_int_equal(mark(name, time), 0);
		}
		there[n] = !there[n];
		if (i % 100)
			continue;
		for (k = 0; k < ARRAY_SIZE(there); k++) {
			struct cdp_mark *m;

			sprintf(name, "m%u", k);
			m = cdp_catalog_mark(&c, name);
			assert_int_equal(!!m, there[k]);
			if (m)
				assert_int_equal(m->time, times[k]);
		}
	}
	stop();
}

static void what_is_no_change_is_refused(void **state)
{
	unsigned int type;

	start();
	for (type = 0; type < 256; type++)
		if (type < CDP_REC_CREATE || type > CDP_REC_UNMARK)
			assert_int_equal(change(&(struct cdp_record){ .type = type, .time = 5 }),
					 -EINVAL);
	stop();
}

static void an_instant_has_a_lineage_once_there_is_a_volume(void **state)
{
	struct cdp_lineage *l;
	struct cdp_volume *v;

	start();
	assert_int_equal(create("a", 10), 0);
	assert_int_equal(revert(1, 15, 20), 0);
	v = cdp_catalog_volume(&c, "a");
	assert_int_equal(PTR_ERR(cdp_volume_lineage(v, 10)), -ENOENT);
	l = cdp_volume_lineage(v, 18);
	assert_int_equal(l->nr, 1);
	kfree(l);
	l = cdp_volume_lineage(v, 25);
	assert_int_equal(l->nr, 2);
	kfree(l);
	shim_fail_alloc = 1;
	assert_int_equal(PTR_ERR(cdp_volume_lineage(v, 25)), -ENOMEM);
	stop();
}

/*
 * Whichever allocation fails: nothing has changed, nothing is lost (LeakSanitizer), and the
 * next try succeeds.
 */
static void prepare_without_memory(const struct cdp_record *r)
{
	struct cdp_change *change;
	char *before = saved_text();
	unsigned int nth;

	for (nth = 1;; nth++) {
		shim_fail_alloc = nth;
		change = cdp_change_prepare(&c, r);
		if (!IS_ERR(change))
			break;
		assert_int_equal(PTR_ERR(change), -ENOMEM);
		assert_string_equal(text_of(&c), before);
	}
	assert_true(nth > 1);
	shim_fail_alloc = 0;
	cdp_change_apply(&c, change);
	free(before);
}

static void without_memory_nothing_changes(void **state)
{
	struct cdp_record r = { .type = CDP_REC_CREATE, .volume = 1, .nr_sectors = 64,
				.time = 10, .name = "a" };

	start();
	prepare_without_memory(&r);
	r = (struct cdp_record){ .type = CDP_REC_REVERT, .volume = 1, .revert_to = 15, .time = 20 };
	prepare_without_memory(&r);
	r = (struct cdp_record){ .type = CDP_REC_MARK, .time = 30, .name = "m" };
	prepare_without_memory(&r);
	r = (struct cdp_record){ .type = CDP_REC_UNMARK, .time = 30 };
	prepare_without_memory(&r);
	r = (struct cdp_record){ .type = CDP_REC_DELETE, .volume = 1, .time = 40 };
	prepare_without_memory(&r);
	stop();
}

/*
 * Loading
 */
static struct disk {
	u32 next_volume;
	u32 ids[2];
	struct cdp_volume_disk volumes[2];
	unsigned int nr_branches;
	u64 keys[4];
	struct cdp_branch_disk branches[4];
	u64 times[2];
	struct cdp_mark_disk marks[2];
} disk;

static void sound_disk(void)
{
	disk = (struct disk){
		.next_volume = 4,
		.ids = { 1, 3 },
		.volumes = {
			{ .nr_sectors = cpu_to_le64(64), .created = cpu_to_le64(10),
			  .nr_branches = cpu_to_le32(2), .name = "a" },
			{ .nr_sectors = cpu_to_le64(128), .created = cpu_to_le64(12),
			  .nr_branches = cpu_to_le32(2), .name = "b" },
		},
		.nr_branches = 4,
		.keys = { 1ULL << 32, 1ULL << 32 | 1, 3ULL << 32, 3ULL << 32 | 1 },
		.branches = {
			{ .start = cpu_to_le64(10) },
			{ .start = cpu_to_le64(20), .revert_to = cpu_to_le64(15) },
			{ .start = cpu_to_le64(12) },
			{ .start = cpu_to_le64(22), .revert_to = cpu_to_le64(13) },
		},
		.times = { 16, 17 },
		.marks = {
			{ .name = "m", .nr_volumes = cpu_to_le32(2),
			  .volumes = { cpu_to_le32(1), cpu_to_le32(2) } },
			{ .name = "all" },
		},
	};
}

static int load_all(void)
{
	unsigned int i;
	int r = 0;

	c.next_volume = disk.next_volume;
	c.time = 22;
	c.max_branches = 5;
	for (i = 0; i < 2 && !r; i++)
		r = cdp_catalog_load_volume(&c, disk.ids[i], &disk.volumes[i]);
	for (i = 0; i < disk.nr_branches && !r; i++)
		r = cdp_catalog_load_branch(&c, disk.keys[i], &disk.branches[i]);
	for (i = 0; i < 2 && !r; i++)
		r = cdp_catalog_load_mark(&c, disk.times[i], &disk.marks[i]);
	return r ?: cdp_catalog_loaded(&c);
}

/* Loads what is on disk now, and puts it right again. */
static int load(void)
{
	int r;

	start();
	r = load_all();
	stop();
	sound_disk();
	return r;
}

static void what_is_loaded_is_what_was_saved(void **state)
{
	static const char loaded[] =
		"next 4, 2 volumes, 2 marks\n"
		"volume 1 a 64 10: 10-0 20-15, lineage 20-4611686018427387903 10-15\n"
		"volume 3 b 128 12: 12-0 22-13, lineage 22-4611686018427387903 12-13\n"
		"mark 16 m 1 2\n"
		"mark 17 all\n";

	sound_disk();
	disk.volumes[1].newest[2] = cpu_to_le64(99);
	start();
	assert_int_equal(load_all(), 0);
	assert_string_equal(text_of(&c), loaded);
	assert_int_equal(cdp_catalog_volume(&c, "b")->newest[2], 99);
	assert_int_equal(create("a", 30), -EEXIST);
	assert_int_equal(create("c", 30), 0);
	assert_non_null(cdp_catalog_volume_by_id(&c, 4));
	assert_int_equal(mark("n", 17), -EINVAL);
	assert_int_equal(mark("n", 18), 0);
	stop();
}

static void a_deleted_volume_is_loaded_apart(void **state)
{
	sound_disk();
	disk.volumes[1].flags = cpu_to_le32(CDP_VOLUME_DELETED);
	strcpy(disk.volumes[1].name, "a");	/* used again since */
	start();
	assert_int_equal(load_all(), 0);
	assert_int_equal(c.nr_volumes, 1);
	assert_int_equal(cdp_catalog_volume(&c, "a")->id, 1);
	assert_null(cdp_catalog_volume_by_id(&c, 3));
	assert_int_equal(list_first_entry(&c.deleted, struct cdp_volume, list)->id, 3);
	stop();
}

static void a_damaged_volume_is_not_loaded(void **state)
{
	sound_disk();
	disk.ids[0] = 0;
	assert_int_equal(load(), -EILSEQ);
	disk.ids[1] = 4;
	assert_int_equal(load(), -EILSEQ);
	disk.next_volume = 3;
	assert_int_equal(load(), -EILSEQ);
	strcpy(disk.volumes[1].name, "a");
	assert_int_equal(load(), -EILSEQ);
	disk.volumes[0].name[0] = '\0';
	assert_int_equal(load(), -EILSEQ);
	memset(disk.volumes[0].name, 'a', CDP_NAME_SIZE);
	assert_int_equal(load(), -EILSEQ);
	disk.volumes[0].nr_sectors = 0;
	assert_int_equal(load(), -EILSEQ);
	disk.volumes[0].nr_sectors = cpu_to_le64(65);
	assert_int_equal(load(), -EILSEQ);
	disk.volumes[0].nr_sectors = cpu_to_le64(1ULL << (CDP_LBA_BITS + 3));
	assert_int_equal(load(), -EILSEQ);
	disk.volumes[0].nr_branches = 0;
	assert_int_equal(load(), -EILSEQ);
	disk.volumes[0].nr_branches = cpu_to_le32(1);
	assert_int_equal(load(), -EILSEQ);
	disk.volumes[0].nr_branches = cpu_to_le32(3);
	assert_int_equal(load(), -EILSEQ);
	disk.volumes[0].nr_branches = cpu_to_le32(~0U);
	assert_int_equal(load(), -EILSEQ);
	disk.volumes[0].created = cpu_to_le64(23);
	assert_int_equal(load(), -EILSEQ);
	assert_int_equal(load(), 0);
}

static void a_damaged_branch_is_not_loaded(void **state)
{
	sound_disk();
	disk.keys[0] = 2ULL << 32;
	assert_int_equal(load(), -EILSEQ);
	disk.keys[0] = 1ULL << 32 | 1;
	assert_int_equal(load(), -EILSEQ);
	disk.keys[1] = 1ULL << 32 | 2;
	assert_int_equal(load(), -EILSEQ);
	disk.branches[1].start = cpu_to_le64(10);
	assert_int_equal(load(), -EILSEQ);
	disk.branches[1].revert_to = cpu_to_le64(20);
	assert_int_equal(load(), -EILSEQ);
	disk.branches[1].revert_to = cpu_to_le64(10);
	assert_int_equal(load(), -EILSEQ);
	disk.branches[0].start = cpu_to_le64(9);
	assert_int_equal(load(), -EILSEQ);
	disk.branches[3].start = cpu_to_le64(23);
	assert_int_equal(load(), -EILSEQ);
	disk.nr_branches = 3;
	assert_int_equal(load(), -EILSEQ);
	assert_int_equal(load(), 0);
}

static void a_damaged_mark_is_not_loaded(void **state)
{
	sound_disk();
	disk.marks[0].name[0] = '@';
	assert_int_equal(load(), -EILSEQ);
	disk.times[1] = 23;
	assert_int_equal(load(), -EILSEQ);
	strcpy(disk.marks[1].name, "m");
	assert_int_equal(load(), -EILSEQ);
	disk.marks[0].nr_volumes = cpu_to_le32(CDP_MARK_VOLUMES + 1);
	assert_int_equal(load(), -EILSEQ);
	disk.marks[0].nr_volumes = cpu_to_le32(~0U);
	assert_int_equal(load(), -EILSEQ);
	disk.marks[0].nr_volumes = cpu_to_le32(CDP_MARK_VOLUMES);
	assert_int_equal(load(), 0);
}

static void loading_without_memory_fails(void **state)
{
	unsigned int nth;
	int r;

	sound_disk();
	for (nth = 1;; nth++) {
		shim_fail_alloc = nth;
		r = load();
		if (!r)
			break;
		assert_int_equal(r, -ENOMEM);
	}
	assert_int_equal(nth, 2 * 2 + 2 + 2 + 1);
	shim_fail_alloc = 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_volume_gets_the_next_number_and_no_other),
		cmocka_unit_test(numbers_end_where_the_superblock_can_hold_the_next),
		cmocka_unit_test(a_name_is_taken_until_its_volume_is_deleted),
		cmocka_unit_test(a_size_is_whole_blocks_of_which_there_are_numbers),
		cmocka_unit_test(what_is_deleted_exists_and_is_not_in_use),
		cmocka_unit_test(a_revert_goes_to_an_instant_that_the_volume_has),
		cmocka_unit_test(a_mark_has_a_new_name_a_later_time_and_volumes_that_are_there),
		cmocka_unit_test(a_mark_of_all_covers_what_was_there_before_it),
		cmocka_unit_test(any_mark_is_found_by_its_name),
		cmocka_unit_test(what_is_no_change_is_refused),
		cmocka_unit_test(an_instant_has_a_lineage_once_there_is_a_volume),
		cmocka_unit_test(without_memory_nothing_changes),
		cmocka_unit_test(what_is_loaded_is_what_was_saved),
		cmocka_unit_test(a_deleted_volume_is_loaded_apart),
		cmocka_unit_test(a_damaged_volume_is_not_loaded),
		cmocka_unit_test(a_damaged_branch_is_not_loaded),
		cmocka_unit_test(a_damaged_mark_is_not_loaded),
		cmocka_unit_test(loading_without_memory_fails),
	};

	random_start();
	return cmocka_run_group_tests_name("catalog", tests, NULL, NULL);
}
