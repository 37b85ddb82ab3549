// SPDX-License-Identifier: GPL-2.0-only
#include "test.h"
#include "check.h"
#include "node.h"

void model_free(struct model *m)
{
	free(m->versions);
	*m = (struct model) { 0 };
}

void model_add(struct model *m, const struct cdp_version *v)
{
	if (m->nr == m->room) {
		m->room = m->room ? m->room * 2 : 1024;
		m->versions = realloc(m->versions, m->room * sizeof(*v));
	}
	m->versions[m->nr++] = *v;
}

static int version_cmp(const struct cdp_version *a, const struct cdp_version *b)
{
	return cdp_key_cmp(a->hi, a->time, b->hi, b->time);
}

/* Keeps equal keys in their order: the address does not do, qsort() moves things. */
static int sort_cmp(const void *a, const void *b)
{
	const struct cdp_version *v = a, *w = b;
	int cmp = version_cmp(v, w);

	if (cmp)
		return cmp;
	return v->pblock < w->pblock ? -1 : v->pblock > w->pblock;
}

void model_sort(struct model *m)
{
	unsigned int i, out = 0;

	if (m->nr)
		qsort(m->versions, m->nr, sizeof(*m->versions), sort_cmp);
	for (i = 0; i < m->nr; i++) {
		if (out && !version_cmp(&m->versions[out - 1], &m->versions[i]))
			out--;
		m->versions[out++] = m->versions[i];
	}
	m->nr = out;
}

void model_merge(struct model *m, const struct model *batch)
{
	struct model out = { 0 };
	unsigned int i = 0, j = 0;

	while (i < m->nr || j < batch->nr) {
		int cmp = i == m->nr ? 1 : j == batch->nr ? -1 :
			  version_cmp(&m->versions[i], &batch->versions[j]);

		model_add(&out, cmp < 0 ? &m->versions[i] : &batch->versions[j]);
		i += cmp <= 0;
		j += cmp >= 0;
	}
	model_free(m);
	*m = out;
}

unsigned int model_lower_bound(const struct model *m, u64 hi, u64 time)
{
	unsigned int lo = 0, end = m->nr;

	while (lo < end) {
		unsigned int mid = (lo + end) / 2;

		if (cdp_key_cmp(m->versions[mid].hi, m->versions[mid].time, hi, time) < 0)
			lo = mid + 1;
		else
			end = mid;
	}
	return lo;
}

void model_remove(struct model *m, u64 lo, u64 hi)
{
	unsigned int i, out = 0;

	for (i = 0; i < m->nr; i++)
		if (m->versions[i].hi < lo || m->versions[i].hi > hi)
			m->versions[out++] = m->versions[i];
	m->nr = out;
}

static const struct cdp_version *source_peek(struct cdp_tree_source *source)
{
	struct model_source *s = (struct model_source *)source;

	return s->next < s->model->nr ? &s->model->versions[s->next] : NULL;
}

static void source_next(struct cdp_tree_source *source)
{
	((struct model_source *)source)->next++;
}

struct cdp_tree_source *model_source(struct model_source *s, const struct model *m)
{
	*s = (struct model_source) { { source_peek, source_next }, m, 0 };
	return &s->source;
}

bool version_equal(const struct cdp_version *a, const struct cdp_version *b)
{
	return a->hi == b->hi && a->time == b->time && a->pblock == b->pblock &&
	       a->flags == b->flags;
}

/*
 * Checking
 */
struct walk {
	struct cdp_tree *tree;
	u64 blocks, leaves, entries;
};

static void check_leaf(struct walk *w, const void *node, const struct cdp_range *range)
{
	const struct cdp_node_disk *d = node;
	unsigned int i, nr = cdp_node_nr(node);
	u64 least = ~0ULL;

	for (i = 0; i < nr; i++) {
		struct cdp_version v;

		cdp_leaf_get(node, i, &v);
		assert_false(cdp_key_before((struct cdp_key) { v.hi, v.time }, range->start));
		assert_true(range->last ||
			    cdp_key_before((struct cdp_key) { v.hi, v.time }, range->end));
		if (!i)
			assert_int_equal(v.hi, le64_to_cpu(d->base_hi));
		if (v.time < least)
			least = v.time;
	}
	if (nr)
		assert_int_equal(least, le64_to_cpu(d->base_time));
	w->leaves++;
	w->entries += nr;
}

static void check_node(struct walk *w, dm_block_t block, unsigned int level, bool root,
		       const struct cdp_range *range)
{
	u8 node[CDP_UNIT_SIZE];
	struct dm_block *b;
	unsigned int i, nr;

	assert_int_equal(dm_tm_read_lock(w->tree->tm, block, &w->tree->validator, &b), 0);
	memcpy(node, dm_block_data(b), sizeof(node));
	((struct cdp_node_disk *)node)->blocknr = cpu_to_le64(block);
	dm_tm_unlock(w->tree->tm, b);
	assert_null(cdp_node_invalid(node, w->tree->uuid, block, w->tree->nr_data_blocks));
	assert_int_equal(cdp_node_level(node), level);

	w->blocks++;
	nr = cdp_node_nr(node);
	if (!level) {
		assert_true(root || nr);
		return check_leaf(w, node, range);
	}
	assert_true(nr >= (root ? 2 : 1));
	for (i = 0; i < nr; i++) {
		struct cdp_range child = *range;

		assert_false(cdp_key_before(cdp_inner_key(node, i), range->start));
		assert_true(range->last || cdp_key_before(cdp_inner_key(node, i), range->end));
		child.start = cdp_inner_key(node, i);
		if (i + 1 < nr) {
			child.end = cdp_inner_key(node, i + 1);
			child.last = false;
		}
		check_node(w, cdp_inner_child(node, i), level - 1, false, &child);
	}
}

void check_tree(struct cdp_tree *tree, const struct cdp_tree_root *root)
{
	struct cdp_range all = { .start = { 0, ~0ULL }, .last = true };
	struct walk w = { .tree = tree };
	struct store_options saved = *store_options(tree->tm);

	store_options(tree->tm)->evict = 0;
	check_node(&w, root->block, root->depth, true, &all);
	assert_int_equal(w.entries, root->nr_entries);
	assert_int_equal(w.leaves, root->nr_leaves);
	assert_int_equal(w.blocks, store_used(tree->tm));
	assert_int_equal(store_held(tree->tm), 0);
	*store_options(tree->tm) = saved;
}

void check_contents(struct cdp_tree *tree, const struct cdp_tree_root *root,
		    const struct model *m)
{
	struct cdp_tree_cursor c;
	struct cdp_version v;
	unsigned int i;
	int r;

	cdp_tree_cursor_init(&c, tree, tree->tm, root);
	r = cdp_tree_lower_bound(&c, 0, ~0ULL, &v);
	for (i = 0; i < m->nr; i++) {
		assert_int_equal(r, 1);
		assert_true(version_equal(&v, &m->versions[i]));
		r = cdp_tree_next(&c, &v);
	}
	assert_int_equal(r, 0);
	cdp_tree_cursor_exit(&c);
	assert_int_equal(store_held(tree->tm), 0);
}
