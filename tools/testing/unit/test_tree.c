// SPDX-License-Identifier: GPL-2.0-only
#include "test.h"
#include "check.h"
#include "history.h"
#include "node.h"

#include <linux/errno.h>

enum { NR_DATA_BLOCKS = 1 << 30, NR_BLOCKS = 1 << 16, NR_VOLUMES = 5, MAX_HELD = 3 };

static const u8 uuid[16] = "unit test's pool";

/*
 * A pool: the tree as it is in the open transaction, what was committed, and the models of both.
 */
struct pool {
	struct dm_transaction_manager *tm;
	struct cdp_tree tree;
	struct cdp_tree_root root, committed;
	struct model model;
	u64 now;
};

static void pool_start(struct pool *p)
{
	memset(p, 0, sizeof(*p));
	p->tm = store_create(NR_BLOCKS, random_u64());
	store_options(p->tm)->max_held = MAX_HELD;
	cdp_tree_init(&p->tree, p->tm, uuid, NR_DATA_BLOCKS);
	assert_int_equal(cdp_tree_empty(&p->tree, &p->root), 0);
	store_commit(p->tm);
	p->committed = p->root;
	p->now = 1000;
}

static void pool_stop(struct pool *p)
{
	assert_int_equal(store_held(p->tm), 0);
	store_destroy(p->tm);
	model_free(&p->model);
}

static void pool_commit(struct pool *p)
{
	store_commit(p->tm);
	p->committed = p->root;
}

static void pool_abort(struct pool *p)
{
	store_abort(p->tm);
	p->root = p->committed;
}

static void pool_check(struct pool *p)
{
	check_tree(&p->tree, &p->root);
	check_contents(&p->tree, &p->root, &p->model);
}

static int pool_try_merge(struct pool *p, const struct model *batch)
{
	struct model_source s;

	return cdp_tree_merge(&p->tree, &p->root, model_source(&s, batch));
}

static void pool_merge(struct pool *p, struct model *batch)
{
	assert_int_equal(pool_try_merge(p, batch), 0);
	model_merge(&p->model, batch);
}

/*
 * Batches
 */
static struct cdp_version version_at(struct pool *p, u32 volume, u64 lba)
{
	struct cdp_version v = { .time = ++p->now };
	unsigned int level = random_below(8) ? 0 : random_below(CDP_NR_LEVELS);

	v.hi = cdp_hi(volume, level, cdp_level_base(level, lba));
	if (level > CDP_MAX_WRITE_LEVEL || !random_below(20))
		v.flags = CDP_TOMBSTONE;
	else
		v.pblock = random_below(NR_DATA_BLOCKS - 512);
	return v;
}

static void batch_add(struct pool *p, struct model *b, u32 volume, u64 lba)
{
	struct cdp_version v = version_at(p, volume, lba);

	model_add(b, &v);
}

static void batch_sequential(struct pool *p, struct model *b, unsigned int nr)
{
	u32 volume = 1 + random_below(NR_VOLUMES);
	u64 lba = random_below(1 << 20);

	while (nr--)
		batch_add(p, b, volume, lba++);
}

static void batch_random(struct pool *p, struct model *b, unsigned int nr)
{
	u64 range = 1ULL << random_below(30);

	while (nr--)
		batch_add(p, b, 1, random_below(range));
}

static void batch_hot(struct pool *p, struct model *b, unsigned int nr)
{
	u64 lba = random_below(3);

	while (nr--)
		batch_add(p, b, 2, random_below(100) ? lba : random_below(1000));
}

static void batch_volumes(struct pool *p, struct model *b, unsigned int nr)
{
	while (nr--)
		batch_add(p, b, random_below(100), random_below(1ULL << CDP_LBA_BITS));
}

/* Times in any order, so far apart that the offsets of a leaf do not span them. */
static void batch_wide_time(struct pool *p, struct model *b, unsigned int nr)
{
	while (nr--) {
		struct cdp_version v = version_at(p, 3, random_below(2000));

		v.time = 1 + (random_u64() >> (2 + random_below(20)));
		model_add(b, &v);
	}
}

static void batch_again(struct pool *p, struct model *b, unsigned int nr)
{
	while (nr-- && p->model.nr) {
		struct cdp_version v = p->model.versions[random_below(p->model.nr)];

		if (!(v.flags & CDP_TOMBSTONE))
			v.pblock = random_below(NR_DATA_BLOCKS - 512);
		model_add(b, &v);
	}
}

static void (*const shapes[])(struct pool *p, struct model *b, unsigned int nr) = {
	batch_sequential, batch_random, batch_hot, batch_volumes, batch_wide_time, batch_again,
};

/* One shape, or several mixed. */
static void batch_make(struct pool *p, struct model *b)
{
	unsigned int n = 1 + random_below(3);

	b->nr = 0;
	while (n--) {
		unsigned int nr = random_below(1ULL << random_below(12));

		shapes[random_below(ARRAY_SIZE(shapes))](p, b, nr);
	}
	model_sort(b);
}

static void pool_fill(struct pool *p, unsigned int batches)
{
	struct model b = { 0 };

	while (batches--) {
		batch_make(p, &b);
		pool_merge(p, &b);
	}
	model_free(&b);
	pool_commit(p);
}

/*
 * Removal: what freed() is told has to be what the model loses, in order.
 */
struct freed {
	const struct model *model;
	unsigned int next;
};

static void freed_check(void *context, const struct cdp_version *v)
{
	struct freed *f = context;

	assert_true(f->next < f->model->nr);
	assert_true(version_equal(&f->model->versions[f->next++], v));
}

static void freed_ignore(void *context, const struct cdp_version *v)
{
}

static void pool_remove(struct pool *p, u64 lo, u64 hi, unsigned int max_leaves)
{
	struct freed f = { &p->model, model_lower_bound(&p->model, lo, ~0ULL) };
	unsigned int end = hi == ~0ULL ? p->model.nr :
			   model_lower_bound(&p->model, hi + 1, ~0ULL);
	int r;

	do {
		u64 leaves = p->root.nr_leaves;

		r = cdp_tree_remove(&p->tree, &p->root, lo, hi, max_leaves, freed_check, &f);
		assert_true(!r || r == -EAGAIN);
		assert_true(leaves - p->root.nr_leaves <= max_leaves);
		check_tree(&p->tree, &p->root);
		pool_commit(p);
	} while (r);
	if (end > f.next)
		fail_msg("%u versions were not removed", end - f.next);
	model_remove(&p->model, lo, hi);
}

static void pool_remove_random(struct pool *p)
{
	u64 lo = 0, hi = ~0ULL;

	switch (random_below(4)) {
	case 0:			/* a volume */
		lo = cdp_hi(random_below(8), 0, 0);
		hi = lo + (1ULL << CDP_HI_VOLUME_SHIFT) - 1;
		break;
	case 1:			/* between two that there are */
		if (p->model.nr) {
			lo = p->model.versions[random_below(p->model.nr)].hi;
			hi = p->model.versions[random_below(p->model.nr)].hi;
		}
		break;
	case 2:			/* one extent */
		if (p->model.nr) {
			hi = p->model.versions[random_below(p->model.nr)].hi;
			lo = hi;
		}
		break;
	default:
		if (random_below(4))
			return;
	}
	pool_remove(p, lo < hi ? lo : hi, lo < hi ? hi : lo,
		    1 + random_below(1 + p->root.nr_leaves / 5));
}

/*
 * Searching
 */
static void check_search(struct pool *p, struct cdp_tree_cursor *c)
{
	unsigned int tries = 0, at;
	struct cdp_version v;
	u64 hi, time;
	int r;

	hi = cdp_hi(random_below(6), 0, random_below(1 << 20));
	if (p->model.nr && random_below(10))
		hi = p->model.versions[random_below(p->model.nr)].hi + random_below(3) - 1;
	time = random_below(10) ? random_below(p->now + 10) : random_u64();
	at = model_lower_bound(&p->model, hi, time);

	do {
		r = cdp_tree_lower_bound(c, hi, time, &v);
		assert_true(r != -EWOULDBLOCK || !store_held(p->tm));
		assert_true(++tries < 1000);
	} while (r == -EWOULDBLOCK);
	assert_int_equal(r, at < p->model.nr);
	if (r)
		assert_true(version_equal(&v, &p->model.versions[at]));
}

static void check_searches(struct pool *p, struct dm_transaction_manager *tm, unsigned int n)
{
	struct cdp_tree_cursor c;

	cdp_tree_cursor_init(&c, &p->tree, tm, &p->root);
	while (n--)
		check_search(p, &c);
	cdp_tree_cursor_exit(&c);
	assert_int_equal(store_held(p->tm), 0);
}

/*
 * Tests
 */
static void an_empty_tree_has_nothing(void **state)
{
	struct cdp_tree_cursor c;
	struct cdp_version v;
	struct pool p;

	pool_start(&p);
	pool_check(&p);
	cdp_tree_cursor_init(&c, &p.tree, p.tm, &p.root);
	assert_int_equal(cdp_tree_lower_bound(&c, 0, ~0ULL, &v), 0);
	assert_int_equal(cdp_tree_lower_bound(&c, ~0ULL, 0, &v), 0);
	cdp_tree_cursor_exit(&c);
	pool_remove(&p, 0, ~0ULL, 1);
	pool_check(&p);
	pool_stop(&p);
}

static void random_changes_leave_what_a_sorted_array_holds(void **state)
{
	unsigned int round, step;

	for (round = 0; round < 8; round++) {
		struct model b = { 0 };
		struct pool p;

		pool_start(&p);
		store_options(p.tm)->evict = random_below(2) ? 1 + random_below(8) : 0;
		store_options(p.tm)->forget_shadow = random_below(2) ? 0 : 5;
		for (step = 0; step < 40; step++) {
			batch_make(&p, &b);
			if (p.model.nr + b.nr < 12000)
				pool_merge(&p, &b);
			if (!random_below(6))
				pool_remove_random(&p);
			pool_check(&p);
			check_searches(&p, p.tm, 50);
			if (random_below(2))
				pool_commit(&p);
		}
		model_free(&b);
		pool_stop(&p);
	}
}

static void thousands_of_small_merges(void **state)
{
	struct model b = { 0 };
	unsigned int step;
	struct pool p;

	pool_start(&p);
	for (step = 0; step < 2500; step++) {
		unsigned int shape = random_below(ARRAY_SIZE(shapes));

		b.nr = 0;
		shapes[shape](&p, &b, random_below(20));
		model_sort(&b);
		pool_merge(&p, &b);
		if (!(step % 16))
			pool_commit(&p);
		if (!(step % 200))
			pool_check(&p);
	}
	pool_check(&p);
	model_free(&b);
	pool_stop(&p);
}

/* Every version is a leaf of its own: the widths of offsets overflow each time. */
static void versions_that_share_no_leaf_split_the_tree_down(void **state)
{
	struct model b = { 0 };
	unsigned int i, round;
	struct pool p;

	pool_start(&p);
	for (round = 0; round < 2; round++) {
		b.nr = 0;
		for (i = 0; i < 600; i++) {
			struct cdp_version v = {
				.hi = cdp_hi(1, 0, 2 * i + round),
				.time = 1 + ((u64)(i % 2) << 50) + round,
			};

			model_add(&b, &v);
		}
		model_sort(&b);
		pool_merge(&p, &b);
		pool_check(&p);
	}
	assert_true(p.root.nr_leaves >= 600);
	pool_remove(&p, cdp_hi(1, 0, 7), cdp_hi(1, 0, 1100), 5);
	pool_check(&p);
	model_free(&b);
	pool_stop(&p);
}

/* Old versions that share a leaf, and between any two a new one that fits with neither. */
static void new_versions_can_cut_a_full_leaf_to_pieces(void **state)
{
	struct model b = { 0 };
	unsigned int i, round;
	struct pool p;

	pool_start(&p);
	for (round = 0; round < 2; round++) {
		b.nr = 0;
		for (i = 0; i < 250; i++)
			model_add(&b, &(struct cdp_version) {
				.hi = cdp_hi(1, 0, 2 * i + round),
				.time = round ? 1ULL << 60 : 1,
			});
		pool_merge(&p, &b);
		pool_check(&p);
	}
	assert_true(p.root.nr_leaves >= 499);
	model_free(&b);
	pool_stop(&p);
}

static unsigned int fill_percent(const struct pool *p)
{
	return p->root.nr_entries * 100 / (p->root.nr_leaves * CDP_LEAF_ENTRIES);
}

static void load_sequentially(struct pool *p, u32 volume, u64 lba, unsigned int batch,
			      unsigned int batches)
{
	struct model b = { 0 };

	while (batches--) {
		unsigned int i;

		b.nr = 0;
		for (i = 0; i < batch; i++)
			model_add(&b, &(struct cdp_version) {
				.hi = cdp_hi(volume, 0, lba++), .time = ++p->now });
		pool_merge(p, &b);
	}
	model_free(&b);
}

static void sequential_loads_come_out_nearly_full(void **state)
{
	static const unsigned int sizes[] = { 20, 100, 1000, 30000 };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct pool p;

		pool_start(&p);
		load_sequentially(&p, 1, 0, sizes[i], 60000 / sizes[i]);
		pool_check(&p);
		assert_true(fill_percent(&p) >= 98);
		pool_stop(&p);
	}
}

static void sequential_loads_in_front_of_other_volumes_do_too(void **state)
{
	static const unsigned int sizes[] = { 20, 100, 1000 };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct pool p;

		pool_start(&p);
		load_sequentially(&p, 2, 0, 1000, 1);
		load_sequentially(&p, 1, 0, sizes[i], 30000 / sizes[i]);
		pool_check(&p);
		assert_true(fill_percent(&p) >= 95);
		pool_stop(&p);
	}
}

static void leaves_of_a_hot_extent_fill_up(void **state)
{
	static const unsigned int sizes[] = { 1, 20, 100, 1000 };
	struct model b = { 0 };
	unsigned int i, k;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct pool p;

		pool_start(&p);
		load_sequentially(&p, 1, 0, 1000, 1);
		while (p.model.nr < 10000) {
			b.nr = 0;
			for (k = 0; k < sizes[i]; k++)
				model_add(&b, &(struct cdp_version) {
					.hi = cdp_hi(1, 0, 500), .time = ++p.now });
			model_sort(&b);
			pool_merge(&p, &b);
		}
		pool_check(&p);
		assert_true(fill_percent(&p) >= 75);
		pool_stop(&p);
	}
	model_free(&b);
}

static void random_loads_are_two_thirds_full(void **state)
{
	struct model b = { 0 };
	unsigned int i, k;
	struct pool p;

	pool_start(&p);
	for (i = 0; i < 60; i++) {
		b.nr = 0;
		for (k = 0; k < 1000; k++)
			model_add(&b, &(struct cdp_version) {
				.hi = cdp_hi(1, 0, random_below(1 << 22)), .time = ++p.now });
		model_sort(&b);
		pool_merge(&p, &b);
	}
	pool_check(&p);
	assert_true(fill_percent(&p) >= 60);
	model_free(&b);
	pool_stop(&p);
}

/* A merge of neighbours touches their leaf and the way to it, nothing else. */
static void a_small_merge_writes_few_blocks(void **state)
{
	struct pool p;

	pool_start(&p);
	load_sequentially(&p, 1, 0, 100000, 1);
	pool_commit(&p);
	load_sequentially(&p, 1, 50000, 20, 1);
	assert_true(store_fresh(p.tm) <= p.root.depth + 2);
	pool_check(&p);
	pool_stop(&p);
}

static void a_source_out_of_order_is_refused(void **state)
{
	struct cdp_version v[] = { { .hi = 5, .time = 5 }, { .hi = 5, .time = 6 } };
	struct model b = { v, 2, 2 };
	struct pool p;

	pool_start(&p);
	assert_int_equal(pool_try_merge(&p, &b), -EINVAL);
	pool_abort(&p);
	v[1].time = 5;
	assert_int_equal(pool_try_merge(&p, &b), -EINVAL);
	pool_abort(&p);
	v[1].time = 4;
	v[1].pblock = NR_DATA_BLOCKS;
	assert_int_equal(pool_try_merge(&p, &b), -EINVAL);
	pool_abort(&p);
	pool_check(&p);
	pool_stop(&p);
}

static void removal_in_slices_takes_exactly_the_range(void **state)
{
	unsigned int round, i;

	for (round = 0; round < 8; round++) {
		struct pool p;

		pool_start(&p);
		pool_fill(&p, 6);
		for (i = 0; i < 10; i++) {
			pool_remove_random(&p);
			pool_check(&p);
		}
		pool_remove(&p, 0, ~0ULL, 1 + p.root.nr_leaves / 100);
		pool_check(&p);
		assert_int_equal(p.root.nr_entries, 0);
		assert_int_equal(p.root.depth, 0);
		assert_int_equal(store_used(p.tm), 1);
		pool_fill(&p, 3);
		pool_check(&p);
		pool_stop(&p);
	}
}

/* Not more new blocks than the way down at both ends and one per parent of leaves. */
static void removal_of_a_volume_copies_no_leaf_inside_it(void **state)
{
	struct pool p;

	pool_start(&p);
	load_sequentially(&p, 1, 0, 40000, 1);
	load_sequentially(&p, 2, 0, 40000, 1);
	load_sequentially(&p, 3, 0, 40000, 1);
	pool_commit(&p);
	assert_int_equal(cdp_tree_remove(&p.tree, &p.root, cdp_hi(2, 0, 0),
					 cdp_hi(3, 0, 0) - 1, 100000, freed_ignore, NULL), 0);
	model_remove(&p.model, cdp_hi(2, 0, 0), cdp_hi(3, 0, 0) - 1);
	assert_true(store_fresh(p.tm) <= 8);
	pool_check(&p);
	pool_stop(&p);
}

/* Runs change() with a fault at every point; the committed tree must come through each. */
static void try_faults(struct pool *p, int (*change)(struct pool *p, void *arg), void *arg,
		       bool reads)
{
	long n;
	int r;

	for (n = 0; ; n++) {
		struct store_faults *faults = store_faults(p->tm);

		store_evict(p->tm);
		*(reads ? &faults->reads : &faults->allocations) = n;
		r = change(p, arg);
		faults->reads = -1;
		faults->allocations = -1;
		assert_int_equal(store_held(p->tm), 0);
		if (!r)
			break;
		assert_int_equal(r, reads ? -EIO : -ENOSPC);
		pool_abort(p);
		pool_check(p);
	}
	assert_true(n > 0);
	check_tree(&p->tree, &p->root);
	pool_abort(p);
}

static int change_merge(struct pool *p, void *batch)
{
	return pool_try_merge(p, batch);
}

static int change_remove(struct pool *p, void *unused)
{
	int r;

	do {
		r = cdp_tree_remove(&p->tree, &p->root, cdp_hi(1, 0, 100), cdp_hi(3, 0, 3), 1000,
				    freed_ignore, NULL);
	} while (r == -EAGAIN);
	return r;
}

static void a_fault_at_any_point_leaves_the_committed_tree_intact(void **state)
{
	struct model b = { 0 };
	unsigned int round;

	for (round = 0; round < 2; round++) {
		struct pool p;

		pool_start(&p);
		pool_fill(&p, 3);
		load_sequentially(&p, 1, 0, 3000, 1);
		load_sequentially(&p, 2, 0, 3000, 1);
		pool_commit(&p);
		b.nr = 0;
		batch_random(&p, &b, 150);
		batch_sequential(&p, &b, 600);
		model_sort(&b);
		try_faults(&p, change_merge, &b, false);
		try_faults(&p, change_merge, &b, true);
		try_faults(&p, change_remove, NULL, true);
		store_options(p.tm)->forget_shadow = 0;
		try_faults(&p, change_remove, NULL, false);
		pool_check(&p);
		pool_stop(&p);
	}
	model_free(&b);
}

static void a_lookup_that_fails_holds_no_lock(void **state)
{
	struct cdp_tree_cursor c;
	struct cdp_version v;
	struct pool p;
	long n;
	int r;

	pool_start(&p);
	load_sequentially(&p, 1, 0, 100000, 1);
	pool_commit(&p);
	cdp_tree_cursor_init(&c, &p.tree, p.tm, &p.root);
	for (n = 0; ; n++) {
		store_faults(p.tm)->reads = n;
		r = cdp_tree_lower_bound(&c, cdp_hi(1, 0, 77777), ~0ULL, &v);
		store_faults(p.tm)->reads = -1;
		if (r != -EIO)
			break;
		assert_int_equal(store_held(p.tm), 0);
	}
	assert_int_equal(r, 1);
	assert_int_equal(n, p.root.depth + 1);
	cdp_tree_cursor_exit(&c);
	pool_stop(&p);
}

static void a_committed_root_stays_readable_beside_a_transaction(void **state)
{
	struct cdp_tree_root old;
	struct model b = { 0 };
	unsigned int round;
	struct pool p;

	pool_start(&p);
	pool_fill(&p, 10);
	for (round = 0; round < 20; round++) {
		struct model before = { 0 };

		model_merge(&before, &p.model);
		old = p.committed;
		batch_make(&p, &b);
		pool_merge(&p, &b);
		check_contents(&p.tree, &old, &before);
		pool_check(&p);
		pool_commit(&p);
		model_free(&before);
	}
	model_free(&b);
	pool_stop(&p);
}

static void a_clone_that_may_not_block_finds_the_same(void **state)
{
	struct dm_transaction_manager *clone;
	unsigned int round;
	struct pool p;

	pool_start(&p);
	pool_fill(&p, 15);
	clone = store_clone(p.tm);
	store_options(p.tm)->would_block = 4;
	for (round = 0; round < 50; round++) {
		store_evict(p.tm);
		check_searches(&p, clone, 100);
	}
	store_clone_destroy(clone);
	pool_stop(&p);
}

static void load_history(struct pool *p, const struct history *h)
{
	struct model b = { 0 };
	u64 t;

	for (t = 1; t <= HISTORY; t++)
		if (h->written[t] >= 0)
			model_add(&b, &(struct cdp_version) {
				.hi = cdp_hi(1, 0, h->written[t]), .time = t, .pblock = t });
	model_sort(&b);
	pool_merge(p, &b);
	model_free(&b);
}

static void check_instant(struct pool *p, struct history *h, struct cdp_tree_cursor *c, u64 t)
{
	unsigned int extent;

	assert_int_equal(cdp_lineage_fill(h->lineage, h->branches, h->nr_branches, t), 0);
	for (extent = 0; extent < EXTENTS; extent++) {
		u64 expect = h->content[t][extent];
		struct cdp_version v;
		int r = cdp_tree_find(c, cdp_hi(1, 0, extent), h->lineage, &v);

		assert_int_equal(r, expect != 0);
		if (r)
			assert_int_equal(v.time, expect);
	}
}

static void lookups_through_lineages_find_what_was_there(void **state)
{
	struct cdp_tree_cursor c;
	struct history h;
	unsigned int round;
	struct pool p;
	u64 t;

	for (round = 0; round < 20; round++) {
		pool_start(&p);
		if (round % 2)
			pool_fill(&p, 3);
		pool_remove(&p, cdp_hi(1, 0, 0), cdp_hi(1, 0, EXTENTS), 1000);
		history_make(&h, round % 3 ? round : 0);
		load_history(&p, &h);
		cdp_tree_cursor_init(&c, &p.tree, p.tm, &p.root);
		for (t = 1; t <= HISTORY; t++)
			check_instant(&p, &h, &c, t);
		cdp_tree_cursor_exit(&c);
		history_free(&h);
		pool_stop(&p);
	}
}

/*
 * Damage.  With hostile set the store answers misuse of blocks with an error, because a disk
 * that lies can make the code misuse them; anything but memory errors and hangs will do.
 */
static void reseal(struct pool *p, dm_block_t b)
{
	struct cdp_node_disk *d = store_disk(p->tm, b);

	d->csum = cpu_to_le32(dm_bm_checksum(&d->flags, CDP_UNIT_SIZE - 4, 0));
}

static void damage_block(struct pool *p, dm_block_t b, bool seal)
{
	u8 *disk = store_disk(p->tm, b);
	unsigned int n = 1 + random_below(3);

	while (n--) {
		unsigned int where = seal ? 4 + random_below(200) : random_below(CDP_UNIT_SIZE);

		switch (random_below(3)) {
		case 0:
			disk[where] ^= 1 << random_below(8);
			break;
		case 1:			/* a child or a key that points elsewhere */
			disk[64 + 8 * random_below(300)] = random_below(64);
			break;
		default:		/* a sound node in the wrong place */
			memcpy(disk + 64, (u8 *)store_disk(p->tm, 1 + random_below(60)) + 64,
			       CDP_UNIT_SIZE - 64);
		}
	}
	if (seal)
		reseal(p, b);
}

static bool damage_error(int r)
{
	return r == -EILSEQ || r == -EINVAL || r == -EIO || r == -ENOSPC;
}

static void use_damaged_tree(struct pool *p, struct model *b)
{
	struct cdp_tree_cursor c;
	struct cdp_version v;
	unsigned int i;
	int r;

	cdp_tree_cursor_init(&c, &p->tree, p->tm, &p->root);
	for (i = 0; i < 50; i++) {
		r = cdp_tree_lower_bound(&c, cdp_hi(1 + random_below(3), 0, random_below(5000)),
					 random_below(p->now), &v);
		assert_true(r == 0 || r == 1 || damage_error(r));
	}
	cdp_tree_cursor_exit(&c);
	r = pool_try_merge(p, b);
	assert_true(!r || damage_error(r));
	store_evict(p->tm);
	r = cdp_tree_remove(&p->tree, &p->root, cdp_hi(1, 0, 50), cdp_hi(2, 0, 1000), 5000,
			    freed_ignore, NULL);
	assert_true(!r || r == -EAGAIN || damage_error(r));
	assert_int_equal(store_held(p->tm), 0);
}

static void damaged_or_hostile_nodes_do_no_harm(void **state)
{
	struct model b = { 0 };
	unsigned int round;

	for (round = 0; round < 400; round++) {
		struct pool p;
		unsigned int n = 1 + random_below(4);

		pool_start(&p);
		load_sequentially(&p, 1, 0, 6000, 1);
		load_sequentially(&p, 2, 0, 6000, 1);
		b.nr = 0;
		batch_random(&p, &b, 100);
		batch_sequential(&p, &b, 500);
		model_sort(&b);
		pool_commit(&p);
		store_options(p.tm)->hostile = true;
		while (n--)
			damage_block(&p, 1 + random_below(50), random_below(4));
		use_damaged_tree(&p, &b);
		pool_stop(&p);
	}
	model_free(&b);
}

static void a_flipped_bit_anywhere_is_noticed(void **state)
{
	struct pool p;
	unsigned int i;

	pool_start(&p);
	load_sequentially(&p, 1, 0, 200, 1);
	pool_commit(&p);
	for (i = 0; i < 500; i++) {
		u8 *disk = store_disk(p.tm, p.root.block);
		unsigned int bit = random_below(CDP_UNIT_SIZE * 8);
		struct cdp_tree_cursor c;
		struct cdp_version v;

		disk[bit / 8] ^= 1 << bit % 8;
		cdp_tree_cursor_init(&c, &p.tree, p.tm, &p.root);
		assert_int_equal(cdp_tree_lower_bound(&c, 0, ~0ULL, &v), -EILSEQ);
		assert_int_equal(store_held(p.tm), 0);
		disk = store_disk(p.tm, p.root.block);
		disk[bit / 8] ^= 1 << bit % 8;
	}
	pool_check(&p);
	pool_stop(&p);
}

static void a_root_that_is_too_deep_is_refused(void **state)
{
	struct cdp_tree_cursor c;
	struct cdp_version v;
	struct pool p;

	pool_start(&p);
	p.root.depth = CDP_MAX_DEPTH + 1;
	cdp_tree_cursor_init(&c, &p.tree, p.tm, &p.root);
	assert_int_equal(cdp_tree_lower_bound(&c, 0, ~0ULL, &v), -EINVAL);
	p.root.depth = 1;
	cdp_tree_cursor_init(&c, &p.tree, p.tm, &p.root);
	assert_int_equal(cdp_tree_lower_bound(&c, 0, ~0ULL, &v), -EILSEQ);
	pool_stop(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_tree_has_nothing),
		cmocka_unit_test(random_changes_leave_what_a_sorted_array_holds),
		cmocka_unit_test(thousands_of_small_merges),
		cmocka_unit_test(versions_that_share_no_leaf_split_the_tree_down),
		cmocka_unit_test(new_versions_can_cut_a_full_leaf_to_pieces),
		cmocka_unit_test(sequential_loads_come_out_nearly_full),
		cmocka_unit_test(sequential_loads_in_front_of_other_volumes_do_too),
		cmocka_unit_test(leaves_of_a_hot_extent_fill_up),
		cmocka_unit_test(random_loads_are_two_thirds_full),
		cmocka_unit_test(a_small_merge_writes_few_blocks),
		cmocka_unit_test(a_source_out_of_order_is_refused),
		cmocka_unit_test(removal_in_slices_takes_exactly_the_range),
		cmocka_unit_test(removal_of_a_volume_copies_no_leaf_inside_it),
		cmocka_unit_test(a_fault_at_any_point_leaves_the_committed_tree_intact),
		cmocka_unit_test(a_lookup_that_fails_holds_no_lock),
		cmocka_unit_test(a_committed_root_stays_readable_beside_a_transaction),
		cmocka_unit_test(a_clone_that_may_not_block_finds_the_same),
		cmocka_unit_test(lookups_through_lineages_find_what_was_there),
		cmocka_unit_test(damaged_or_hostile_nodes_do_no_harm),
		cmocka_unit_test(a_flipped_bit_anywhere_is_noticed),
		cmocka_unit_test(a_root_that_is_too_deep_is_refused),
	};

	cmocka_set_test_filter(getenv("TEST"));
	random_start();
	return cmocka_run_group_tests_name("tree", tests, NULL, NULL);
}
