// SPDX-License-Identifier: GPL-2.0-only
/*
 * Cost of the index: merges of random batches and lookups, about as checkpoints and reads make
 * them.  For instructions without the store's:
 *
 *   valgrind --tool=callgrind build-bench/bench && callgrind_annotate callgrind.out.*
 */
#include "test.h"
#include "check.h"

#include <stdio.h>
#include <time.h>

enum { BATCH = 65536, BATCHES = 16, EXTENTS = 262144, FINDS = 300000, NR_BLOCKS = 1 << 16 };

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e9 + t.tv_nsec;
}

static void make_batch(struct model *b, u64 *time)
{
	unsigned int i;

	b->nr = 0;
	for (i = 0; i < BATCH; i++)
		model_add(b, &(struct cdp_version) {
			.hi = cdp_hi(1, 0, random_below(EXTENTS)), .time = ++*time,
			.pblock = *time });
	model_sort(b);
}

static void bench_find(struct cdp_tree *tree, const struct cdp_tree_root *root)
{
	struct cdp_lineage *l = malloc(sizeof(*l) + sizeof(*l->intervals));
	struct cdp_tree_cursor c;
	unsigned int i, found = 0;
	double start = now();

	l->nr = 1;
	l->intervals[0] = (struct cdp_interval) { 0, CDP_TIME_NOW };
	for (i = 0; i < FINDS; i++) {
		struct cdp_version v;

		cdp_tree_cursor_init(&c, tree, tree->tm, root);
		found += cdp_tree_find(&c, cdp_hi(1, 0, random_below(EXTENTS)), l, &v);
		cdp_tree_cursor_exit(&c);
	}
	printf("find: %.0f ns, %u of %u found\n", (now() - start) / FINDS, found, FINDS);
	free(l);
}

int main(void)
{
	static const u8 uuid[16] = "benchmark's pool";
	struct cdp_tree_root root;
	struct model b = { 0 };
	struct cdp_tree tree;
	unsigned int i;
	u64 time = 1;

	random_start();
	cdp_tree_init(&tree, store_create(NR_BLOCKS, 1), uuid, 1ULL << 30);
	cdp_tree_empty(&tree, &root);
	for (i = 0; i < BATCHES; i++) {
		struct model_source s;
		double start;

		make_batch(&b, &time);
		start = now();
		if (cdp_tree_merge(&tree, &root, model_source(&s, &b)))
			return 1;
		printf("merge %2u: %.0f ns a version, %llu leaves, %llu%% full, depth %u\n", i,
		       (now() - start) / b.nr, (unsigned long long)root.nr_leaves,
		       (unsigned long long)(root.nr_entries * 100 / (root.nr_leaves * 252)),
		       root.depth);
		store_commit(tree.tm);
	}
	bench_find(&tree, &root);
	store_destroy(tree.tm);
	model_free(&b);
	return 0;
}
