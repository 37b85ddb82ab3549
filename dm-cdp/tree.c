// SPDX-License-Identifier: GPL-2.0-only
#include "tree.h"

#include <linux/container_of.h>
#include <linux/device-mapper.h>
#include <linux/errno.h>
#include <linux/math.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "compat/persistent-data.h"
#include "node.h"

#define DM_MSG_PREFIX "cdp index"

enum {
	LEAF = CDP_LEAF_ENTRIES,

	/* A merge takes in at most this many versions at once ... */
	WINDOW = 8 * LEAF,
	/* ... so that, widths allowing, one leaf becomes 9; and this many new ones fit: */
	ROOM = 16,

	/* So many new versions next to each other are taken for a sequential write. */
	SEQUENTIAL = 16,

	WRITE_OUT_LEAVES = 128,
};

/* Before all keys. */
static const struct cdp_key first_key = { .hi = 0, .time = ~0ULL };
static const struct cdp_range whole_range = { .start = first_key, .last = true };

/*
 * Validator
 */
static __le32 node_csum(const struct cdp_node_disk *node)
{
	return cpu_to_le32(dm_bm_checksum(&node->flags, CDP_UNIT_SIZE - sizeof(node->csum), 0));
}

static void node_prepare_for_write(cdp_validator_const struct dm_block_validator *v,
				   struct dm_block *b, size_t block_size)
{
	struct cdp_node_disk *node = dm_block_data(b);

	node->blocknr = cpu_to_le64(dm_block_location(b));
	node->csum = node_csum(node);
}

static int node_check(cdp_validator_const struct dm_block_validator *v, struct dm_block *b,
		      size_t block_size)
{
	const struct cdp_tree *tree = container_of(v, const struct cdp_tree, validator);
	const struct cdp_node_disk *node = dm_block_data(b);
	dm_block_t blocknr = dm_block_location(b);
	const char *why;

	if (node->csum != node_csum(node))
		why = "wrong checksum";
	else
		why = cdp_node_invalid(node, tree->uuid, blocknr, tree->nr_data_blocks);
	if (!why)
		return 0;
	DMERR_LIMIT("block %llu: %s", (unsigned long long)blocknr, why);
	return -EILSEQ;
}

void cdp_tree_init(struct cdp_tree *tree, struct dm_transaction_manager *tm,
		   const u8 uuid[16], u64 nr_data_blocks)
{
	tree->tm = tm;
	tree->validator.name = "cdp_node";
	tree->validator.prepare_for_write = node_prepare_for_write;
	tree->validator.check = node_check;
	memcpy(tree->uuid, uuid, sizeof(tree->uuid));
	tree->nr_data_blocks = nr_data_blocks;
}

int cdp_tree_empty(struct cdp_tree *tree, struct cdp_tree_root *root)
{
	struct dm_block *leaf;
	int r;

	r = cdp_tree_new_block(tree, &leaf);
	if (r)
		return r;
	cdp_leaf_pack(dm_block_data(leaf), tree->uuid, NULL, 0);

	*root = (struct cdp_tree_root) {
		.block = dm_block_location(leaf),
		.nr_leaves = 1,
	};
	dm_tm_unlock(tree->tm, leaf);
	return 0;
}

/*
 * Ranges
 */
static bool range_holds(const struct cdp_range *range, struct cdp_key key)
{
	return !cdp_key_before(key, range->start) &&
	       (range->last || cdp_key_before(key, range->end));
}

/* From the range of an inner node to that of its child i. */
static void range_narrow(struct cdp_range *range, const void *node, unsigned int i)
{
	if (i)
		range->start = cdp_inner_key(node, i);
	if (i + 1 < cdp_node_nr(node)) {
		range->end = cdp_inner_key(node, i + 1);
		range->last = false;
	}
}

/*
 * Locks.  Whether a node is at the level where its parent says is checked here: so a descent
 * in a damaged tree ends, whatever the children point to.
 */
static int level_check(struct dm_block *b, unsigned int level)
{
	unsigned int found = cdp_node_level(dm_block_data(b));

	if (found == level)
		return 0;
	DMERR_LIMIT("block %llu: level %u where %u should be",
		    (unsigned long long)dm_block_location(b), found, level);
	return -EILSEQ;
}

static int depth_check(const struct cdp_tree_root *root)
{
	if (root->depth <= CDP_MAX_DEPTH)
		return 0;
	DMERR_LIMIT("depth %u is more than %u", root->depth, CDP_MAX_DEPTH);
	return -EINVAL;
}

static int node_read(struct cdp_tree *tree, struct dm_transaction_manager *tm,
		     dm_block_t block, unsigned int level, struct dm_block **result)
{
	int r;

	r = dm_tm_read_lock(tm, block, &tree->validator, result);
	if (r)
		return r;
	r = level_check(*result, level);
	if (r)
		dm_tm_unlock(tm, *result);
	return r;
}

/* No node is shared, so there are no children whose counts would have to change. */
static int node_shadow(struct cdp_tree *tree, dm_block_t block, unsigned int level,
		       struct dm_block **result)
{
	int r, inc_children;

	r = dm_tm_shadow_block(tree->tm, block, &tree->validator, result, &inc_children);
	if (r)
		return r;
	r = level_check(*result, level);
	if (r)
		dm_tm_unlock(tree->tm, *result);
	return r;
}

/*
 * Searching
 */
void cdp_tree_cursor_init(struct cdp_tree_cursor *c, struct cdp_tree *tree,
			  struct dm_transaction_manager *tm,
			  const struct cdp_tree_root *root)
{
	c->tree = tree;
	c->tm = tm;
	c->root = *root;
	c->root_copy = NULL;
	c->leaf = NULL;
}

bool cdp_tree_copy_root(struct cdp_tree *tree, const struct cdp_tree_root *root, void *copy)
{
	struct dm_block *b;

	if (!root->depth || node_read(tree, tree->tm, root->block, root->depth, &b))
		return false;
	memcpy(copy, dm_block_data(b), CDP_UNIT_SIZE);
	dm_tm_unlock(tree->tm, b);
	return true;
}

void cdp_tree_cursor_exit(struct cdp_tree_cursor *c)
{
	if (c->leaf)
		dm_tm_unlock(c->tm, c->leaf);
	c->leaf = NULL;
}

/* To the child that covers the key. */
static dm_block_t cursor_step(struct cdp_tree_cursor *c, const void *node, struct cdp_key key)
{
	unsigned int i = cdp_inner_search(node, key.hi, key.time);

	range_narrow(&c->range, node, i);
	return cdp_inner_child(node, i);
}

/*
 * Holds one lock at a time: the root was committed, so nothing below it changes between the
 * unlock of a node and the lock of its child.
 */
static int cursor_descend(struct cdp_tree_cursor *c, struct cdp_key key)
{
	dm_block_t block = c->root.block;
	unsigned int level = c->root.depth;
	struct dm_block *b;
	int r;

	cdp_tree_cursor_exit(c);
	c->range = whole_range;
	r = depth_check(&c->root);
	if (r)
		return r;

	if (c->root_copy && level) {
		block = cursor_step(c, c->root_copy, key);
		level--;
	}
	while (!(r = node_read(c->tree, c->tm, block, level, &b)) && level) {
		block = cursor_step(c, dm_block_data(b), key);
		dm_tm_unlock(c->tm, b);
		level--;
	}
	if (!r)
		c->leaf = b;
	return r;
}

/* Entry index of the leaf, or the first one of the leaves after it. */
static int cursor_get(struct cdp_tree_cursor *c, unsigned int index, struct cdp_version *result)
{
	while (index == cdp_node_nr(dm_block_data(c->leaf))) {
		int r;

		if (c->range.last)
			return 0;
		r = cursor_descend(c, c->range.end);
		if (r)
			return r;
		index = 0;
	}
	cdp_leaf_get(dm_block_data(c->leaf), index, result);
	c->index = index;
	return 1;
}

/* Goes to the leaf that covers key; sets *index to its first entry at or after key. */
static int cursor_seek(struct cdp_tree_cursor *c, struct cdp_key key, unsigned int *index)
{
	if (!c->leaf || !range_holds(&c->range, key)) {
		int r = cursor_descend(c, key);

		if (r)
			return r;
	}
	*index = cdp_leaf_lower_bound(dm_block_data(c->leaf), key.hi, key.time);
	return 0;
}

int cdp_tree_lower_bound(struct cdp_tree_cursor *c, u64 hi, u64 time,
			 struct cdp_version *result)
{
	unsigned int index;
	int r;

	r = cursor_seek(c, (struct cdp_key) { hi, time }, &index);
	return r ? r : cursor_get(c, index, result);
}

int cdp_tree_next(struct cdp_tree_cursor *c, struct cdp_version *result)
{
	return cursor_get(c, c->index + 1, result);
}

/* As the lower bound, but the next leaf is not read if it cannot hold hi. */
static int cursor_newest(struct cdp_tree_cursor *c, u64 hi, u64 time,
			 struct cdp_version *result)
{
	unsigned int index;
	int r;

	r = cursor_seek(c, (struct cdp_key) { hi, time }, &index);
	if (r)
		return r;
	if (index == cdp_node_nr(dm_block_data(c->leaf)) &&
	    (c->range.last || c->range.end.hi != hi))
		return 0;
	r = cursor_get(c, index, result);
	if (r <= 0)
		return r;
	return result->hi == hi;
}

int cdp_tree_find(struct cdp_tree_cursor *c, u64 hi, const struct cdp_lineage *lineage,
		  struct cdp_version *result)
{
	unsigned int i = 0;

	while (i < lineage->nr) {
		int r = cursor_newest(c, hi, lineage->intervals[i].hi, result);

		if (r <= 0)
			return r;
		if (cdp_lineage_visible(lineage, &i, result->time))
			return 1;
	}
	return 0;
}

/*
 * Writing.
 *
 * A writer stands at one inner node, shadowed and locked, with its range.  It gets there from
 * the root, shadowing its way and holding a node only until its child is locked: so the
 * bounds and the room for a split must be right before it goes down.
 */
struct writer {
	struct cdp_tree *tree;
	struct cdp_tree_root *root;
	struct dm_block *node;		/* NULL: nowhere, or the root is a leaf */
	struct cdp_range range;
	unsigned int room;		/* entries to keep free on the way */
};

static void writer_release(struct writer *w)
{
	if (w->node)
		dm_tm_unlock(w->tree->tm, w->node);
	w->node = NULL;
}

static bool node_crowded(struct dm_block *b, unsigned int room)
{
	return cdp_node_nr(dm_block_data(b)) + room > CDP_INNER_ENTRIES;
}

/*
 * Cuts the writer's node in two and stays at the half that covers key.  The cut is in the
 * middle, but for keys at the end: those are likely to go on that way, and what is left
 * behind will get no more.
 */
static int writer_split(struct writer *w, void *parent, unsigned int i, struct cdp_key key)
{
	void *left = dm_block_data(w->node);
	unsigned int level = cdp_node_level(left), from = cdp_node_nr(left) - 1;
	struct dm_block *right, *other;
	struct cdp_key cut;
	int r;

	r = cdp_tree_new_block(w->tree, &right);
	if (r)
		return r;

	if (cdp_inner_search(left, key.hi, key.time) < from)
		from = cdp_node_nr(left) / 2;
	cdp_inner_init(dm_block_data(right), w->tree->uuid, level);
	cdp_inner_split(left, dm_block_data(right), from);
	cut = cdp_inner_key(dm_block_data(right), 0);
	cdp_inner_insert(parent, i + 1, cut, dm_block_location(right));

	other = right;
	if (cdp_key_before(key, cut)) {
		w->range.end = cut;
		w->range.last = false;
	} else {
		w->range.start = cut;
		other = w->node;
		w->node = right;
	}
	dm_tm_unlock(w->tree->tm, other);
	return 0;
}

/* A new root above the old one, whose level is given.  Returns it locked. */
static int root_raise(struct writer *w, struct dm_block **result)
{
	struct cdp_tree_root *root = w->root;
	void *node;
	int r;

	if (root->depth == CDP_MAX_DEPTH)
		return -EINVAL;
	r = cdp_tree_new_block(w->tree, result);
	if (r)
		return r;

	node = dm_block_data(*result);
	cdp_inner_init(node, w->tree->uuid, root->depth + 1);
	cdp_inner_insert(node, 0, first_key, root->block);
	root->block = dm_block_location(*result);
	root->depth++;
	return 0;
}

static int writer_enter_root(struct writer *w, struct cdp_key key)
{
	struct dm_block *top;
	int r;

	w->range = whole_range;
	r = node_shadow(w->tree, w->root->block, w->root->depth, &w->node);
	if (r) {
		w->node = NULL;
		return r;
	}
	w->root->block = dm_block_location(w->node);
	if (!node_crowded(w->node, w->room))
		return 0;

	r = root_raise(w, &top);
	if (r)
		return r;
	r = writer_split(w, dm_block_data(top), 0, key);
	dm_tm_unlock(w->tree->tm, top);
	return r;
}

/*
 * One level down.  Entry 0's key may be too high after a removal (invariant 4 allows that);
 * it goes back to where the range starts before anything is put there.
 */
static int writer_enter_child(struct writer *w, struct cdp_key key)
{
	struct dm_block *parent = w->node;
	void *node = dm_block_data(parent);
	unsigned int i = cdp_inner_search(node, key.hi, key.time);
	int r;

	cdp_inner_set_key(node, 0, w->range.start);
	range_narrow(&w->range, node, i);
	r = node_shadow(w->tree, cdp_inner_child(node, i), cdp_node_level(node) - 1, &w->node);
	if (r) {
		w->node = NULL;
	} else {
		cdp_inner_set_child(node, i, dm_block_location(w->node));
		if (node_crowded(w->node, w->room))
			r = writer_split(w, node, i, key);
	}
	dm_tm_unlock(w->tree->tm, parent);
	return r;
}

/* Goes to the inner node at the level (1..depth) that covers key. */
static int writer_descend(struct writer *w, struct cdp_key key, unsigned int level)
{
	int r;

	writer_release(w);
	r = depth_check(w->root);
	if (!r)
		r = writer_enter_root(w, key);
	while (!r && cdp_node_level(dm_block_data(w->node)) > level)
		r = writer_enter_child(w, key);
	return r;
}

/*
 * Goes to the node above the leaf that covers key, if there is one: after this the node is
 * NULL if and only if the root is a leaf.  Neighbours cost no new descent.
 */
static int writer_seek(struct writer *w, struct cdp_key key)
{
	if (!w->root->depth) {
		w->range = whole_range;
		return 0;
	}
	if (w->node && range_holds(&w->range, key) && !node_crowded(w->node, w->room))
		return 0;
	return writer_descend(w, key, 1);
}

/* Where the leaf that covers key stands; its index in the node and its range. */
static dm_block_t writer_leaf(struct writer *w, struct cdp_key key, unsigned int *index,
			      struct cdp_range *range)
{
	void *node;

	*range = w->range;
	*index = 0;
	if (!w->node)
		return w->root->block;

	node = dm_block_data(w->node);
	*index = cdp_inner_search(node, key.hi, key.time);
	range_narrow(range, node, *index);
	return cdp_inner_child(node, *index);
}

static int writer_shadow_leaf(struct writer *w, dm_block_t block, unsigned int index,
			      struct dm_block **leaf)
{
	int r;

	r = node_shadow(w->tree, block, 0, leaf);
	if (r)
		return r;
	if (w->node) {
		cdp_inner_set_key(dm_block_data(w->node), 0, w->range.start);
		cdp_inner_set_child(dm_block_data(w->node), index, dm_block_location(*leaf));
	} else {
		w->root->block = dm_block_location(*leaf);
	}
	return 0;
}

/*
 * Merging.
 *
 * The source is read into a window.  What of it belongs to one leaf is either inserted in
 * place or, when the leaf has no room, merged with all of its versions and written to as
 * many leaves as it takes.
 *
 * The merge of both is done where the window starts: LEAF slots before head are free, a
 * leaf has no more versions than that, so the output never overtakes the input.  When the
 * parent has no room for another leaf, what is left of the output is the start of the
 * window: versions of the source and of the old leaf alike wait there for the next round.
 */
struct merge {
	struct writer writer;
	struct cdp_tree_source *source;
	struct cdp_key last;		/* of what was taken from the source */
	unsigned int head, tail;	/* of the window; head >= LEAF */
	struct cdp_version versions[LEAF + LEAF + WINDOW];
};

/* What came out of a merge with one leaf. */
struct run {
	struct cdp_version *versions;
	unsigned int nr;
	unsigned int first, last;	/* new versions */
	unsigned int nr_new;
};

static int merge_take(struct merge *m, const struct cdp_version *v)
{
	struct cdp_key key = { v->hi, v->time };

	if (!cdp_key_before(m->last, key) ||
	    cdp_version_invalid(v, m->writer.tree->nr_data_blocks)) {
		DMERR_LIMIT("bad version to merge: hi %llx, time %llu, pblock %llu",
			    (unsigned long long)v->hi, (unsigned long long)v->time,
			    (unsigned long long)v->pblock);
		return -EINVAL;
	}
	m->last = key;
	m->versions[m->tail++] = *v;
	return 0;
}

/* Keeps at least a leaf's worth in the window, as long as there is. */
static int merge_fill(struct merge *m)
{
	const struct cdp_version *v;
	unsigned int nr = m->tail - m->head;
	int r = 0;

	if (nr >= LEAF && m->head >= LEAF)
		return 0;
	memmove(&m->versions[LEAF], &m->versions[m->head], nr * sizeof(*m->versions));
	m->head = LEAF;
	m->tail = LEAF + nr;

	while (!r && m->tail < LEAF + WINDOW && (v = m->source->peek(m->source))) {
		r = merge_take(m, v);
		m->source->next(m->source);
	}
	return r;
}

/* How many of the window belong to a leaf. */
static unsigned int merge_nr(const struct merge *m, const struct cdp_range *range)
{
	unsigned int i;

	if (range->last)
		return m->tail - m->head;
	for (i = m->head; i < m->tail; i++) {
		struct cdp_key key = { m->versions[i].hi, m->versions[i].time };

		if (!cdp_key_before(key, range->end))
			break;
	}
	return i - m->head;
}

/* Merges nr versions of the window with the leaf: run->versions ends where they did. */
static void merge_run(struct merge *m, const void *leaf, unsigned int nr, struct run *run)
{
	unsigned int i = 0, nr_old = cdp_node_nr(leaf);
	struct cdp_version *new = &m->versions[m->head], *end = new + nr;
	struct cdp_version *start = new - nr_old, *out = start, old;

	run->nr_new = nr;
	run->first = ~0U;
	run->last = 0;
	if (nr_old)
		cdp_leaf_get(leaf, 0, &old);

	while (i < nr_old || new < end) {
		int cmp = i == nr_old ? 1 : new == end ? -1 :
			  cdp_key_cmp(old.hi, old.time, new->hi, new->time);

		if (cmp >= 0) {
			run->last = out - start;
			if (run->first > run->last)
				run->first = run->last;
			*out++ = *new++;
		} else {
			*out++ = old;
		}
		if (cmp <= 0 && ++i < nr_old)
			cdp_leaf_get(leaf, i, &old);
	}

	run->nr = out - start;
	run->versions = end - run->nr;
	if (run->versions != start)		/* some were replaced */
		memmove(run->versions, start, run->nr * sizeof(*start));
}

/* Most of the leaf are older versions of the new ones' extent. */
static bool run_is_hot(const struct run *run)
{
	const struct cdp_version *last = &run->versions[run->last];

	return run->last + LEAF / 2 < run->nr && last[LEAF / 2].hi == last->hi;
}

/*
 * Where to cut a run that needs two leaves and has its new versions in one block: behind
 * them, where the next ones of a sequential write will come; but the next versions of an
 * extent that has older ones come before them, and with as few others as possible around.
 */
static unsigned int run_cut(const struct run *run)
{
	const struct cdp_version *last = &run->versions[run->last];
	bool rewrite = run->last + 1 < run->nr && last[1].hi == last->hi;

	if (rewrite && run->first && run->nr - run->first <= LEAF)
		return run->first;
	return clamp_t(unsigned int, run->last + 1, run->nr - LEAF, LEAF);
}

/*
 * How many versions of a run should go to its first leaf.  New versions after all old ones:
 * fill it, more will come behind.  Otherwise even parts, unless it looks like a sequential
 * write or like a hot extent: even parts would leave half-empty leaves behind those.
 */
static unsigned int run_first_leaf(const struct run *run)
{
	unsigned int nr = run->nr, leaves = DIV_ROUND_UP(nr, LEAF);
	bool together = run->last - run->first + 1 == run->nr_new;

	if (leaves <= 1)
		return nr;
	if (together && run->last + 1 == nr)
		return LEAF;
	if (together && leaves == 2 && (run->nr_new >= SEQUENTIAL || run_is_hot(run)))
		return run_cut(run);
	return DIV_ROUND_UP(nr, leaves);
}

/* How many of the nr that are left should go to the next one. */
static unsigned int run_next_leaf(unsigned int nr, unsigned int first)
{
	if (first == LEAF)
		return min_t(unsigned int, nr, LEAF);
	return DIV_ROUND_UP(nr, DIV_ROUND_UP(nr, LEAF));
}

/*
 * A new leaf behind index, with the versions; versions[-1] stands before it.  Where two
 * extents meet, the key between them is before all versions of the second: so new ones
 * find their elders, and a search for the newest needs no step to the next leaf.
 */
static int writer_add_leaf(struct writer *w, unsigned int index,
			   const struct cdp_version *versions, unsigned int nr)
{
	struct cdp_key key = { versions->hi, versions->time };
	struct dm_block *leaf;
	int r = 0;

	if (versions[-1].hi != versions->hi)
		key.time = ~0ULL;
	if (!w->node)
		r = root_raise(w, &w->node);
	if (r) {
		w->node = NULL;
		return r;
	}
	r = cdp_tree_new_block(w->tree, &leaf);
	if (r)
		return r;

	cdp_leaf_pack(dm_block_data(leaf), w->tree->uuid, versions, nr);
	cdp_inner_insert(dm_block_data(w->node), index + 1, key, dm_block_location(leaf));
	dm_tm_unlock(w->tree->tm, leaf);
	w->root->nr_leaves++;
	return 0;
}

/* Writes the run to the leaf and to new ones behind it.  Returns how many versions, or < 0. */
static int run_write(const struct run *run, struct writer *w, void *leaf, unsigned int index)
{
	unsigned int done, nr, first = run_first_leaf(run);

	done = cdp_leaf_fits(run->versions, first);
	cdp_leaf_pack(leaf, w->tree->uuid, run->versions, done);

	while (done < run->nr && !(w->node && node_crowded(w->node, 1))) {
		const struct cdp_version *v = &run->versions[done];
		int r;

		nr = cdp_leaf_fits(v, run_next_leaf(run->nr - done, first));
		r = writer_add_leaf(w, index++, v, nr);
		if (r)
			return r;
		done += nr;
	}
	return done;
}

static int merge_rewrite(struct merge *m, void *leaf, unsigned int index, unsigned int nr)
{
	unsigned int nr_old = cdp_node_nr(leaf);
	struct run run;
	int done;

	merge_run(m, leaf, nr, &run);
	done = run_write(&run, &m->writer, leaf, index);
	if (done < 0)
		return done;

	m->writer.root->nr_entries += (s64)done - nr_old;
	m->head += nr - (run.nr - done);
	return 0;
}

/* Merges what belongs to the leaf that covers the first version of the window. */
static int merge_leaf(struct merge *m)
{
	struct writer *w = &m->writer;
	const struct cdp_version *v = &m->versions[m->head];
	struct cdp_key key = { v->hi, v->time };
	struct cdp_range range;
	struct dm_block *leaf;
	unsigned int index, nr;
	dm_block_t block;
	int r;

	r = writer_seek(w, key);
	if (r)
		return r;
	block = writer_leaf(w, key, &index, &range);
	r = writer_shadow_leaf(w, block, index, &leaf);
	if (r)
		return r;

	nr = merge_nr(m, &range);
	r = cdp_leaf_insert(dm_block_data(leaf), v, nr);
	if (r >= 0) {
		w->root->nr_entries += r;
		m->head += nr;
		r = 0;
	} else {
		r = merge_rewrite(m, dm_block_data(leaf), index, nr);
	}
	dm_tm_unlock(w->tree->tm, leaf);
	return r;
}

int cdp_tree_merge(struct cdp_tree *tree, struct cdp_tree_root *root,
		   struct cdp_tree_source *source)
{
	unsigned int nr_leaves = 0;
	struct merge *m;
	int r;

	/* A pool must not become read-only for want of some memory. */
	m = kvmalloc(sizeof(*m), GFP_NOIO | __GFP_NOFAIL);
	m->writer = (struct writer) { .tree = tree, .root = root, .room = ROOM };
	m->source = source;
	m->last = first_key;
	m->head = LEAF;
	m->tail = LEAF;

	while (!(r = merge_fill(m)) && m->head < m->tail) {
		r = merge_leaf(m);
		if (!r && !(++nr_leaves % WRITE_OUT_LEAVES))
			r = cdp_tree_write_out(tree);
		if (r)
			break;
		cond_resched();
	}

	writer_release(&m->writer);
	kvfree(m);
	return r;
}

/*
 * Removing
 */
struct removal {
	struct writer writer;
	u64 lo, hi;
	void (*freed)(void *context, const struct cdp_version *version);
	void *context;
};

/* The entries [from, to) of a leaf that are to be removed. */
static void removal_select(const struct removal *rm, const void *leaf, unsigned int *from,
			   unsigned int *to)
{
	*from = cdp_leaf_lower_bound(leaf, rm->lo, ~0ULL);
	*to = cdp_node_nr(leaf);
	if (rm->hi != ~0ULL)
		*to = cdp_leaf_lower_bound(leaf, rm->hi + 1, ~0ULL);
}

static void removal_tell(const struct removal *rm, const void *leaf, unsigned int from,
			 unsigned int to)
{
	struct cdp_version v;

	for (; from < to; from++) {
		cdp_leaf_get(leaf, from, &v);
		rm->freed(rm->context, &v);
	}
}

/* The lowest level on the way to key where a node has other children too; 0: none. */
static int removal_fork(struct removal *rm, struct cdp_key key, unsigned int *fork)
{
	struct cdp_tree *tree = rm->writer.tree;
	dm_block_t block = rm->writer.root->block;
	unsigned int level;

	*fork = 0;
	for (level = rm->writer.root->depth; level; level--) {
		struct dm_block *b;
		const void *node;
		int r = node_read(tree, tree->tm, block, level, &b);

		if (r)
			return r;
		node = dm_block_data(b);
		if (cdp_node_nr(node) > 1)
			*fork = level;
		block = cdp_inner_child(node, cdp_inner_search(node, key.hi, key.time));
		dm_tm_unlock(tree->tm, b);
	}
	return 0;
}

/* Gives back a leaf and the nodes above it that have no other child, top down. */
static int chain_free(struct cdp_tree *tree, dm_block_t block, unsigned int level)
{
	for (; level; level--) {
		dm_block_t child;
		struct dm_block *b;
		int r = node_read(tree, tree->tm, block, level, &b);

		if (r)
			return r;
		child = cdp_inner_child(dm_block_data(b), 0);
		dm_tm_unlock(tree->tm, b);
		dm_tm_dec(tree->tm, block);
		block = child;
	}
	dm_tm_dec(tree->tm, block);
	return 0;
}

/*
 * The leaf that covers key is the last child of its parent: takes it out of the tree where the
 * path forks, so that no node is ever without children.
 */
static int removal_drop_branch(struct removal *rm, struct cdp_key key)
{
	struct writer *w = &rm->writer;
	struct cdp_tree_root *root = w->root;
	unsigned int fork, i;
	dm_block_t block = root->block;
	int r;

	writer_release(w);
	r = removal_fork(rm, key, &fork);
	if (r)
		return r;
	if (!fork) {
		r = chain_free(w->tree, block, root->depth);
		return r ? r : cdp_tree_empty(w->tree, root);
	}

	r = writer_descend(w, key, fork);
	if (r)
		return r;
	i = cdp_inner_search(dm_block_data(w->node), key.hi, key.time);
	block = cdp_inner_child(dm_block_data(w->node), i);
	cdp_inner_remove(dm_block_data(w->node), i);
	root->nr_leaves--;
	writer_release(w);
	return chain_free(w->tree, block, fork - 1);
}

static int removal_drop_leaf(struct removal *rm, struct cdp_key key, dm_block_t block,
			     unsigned int index)
{
	struct writer *w = &rm->writer;

	if (cdp_node_nr(dm_block_data(w->node)) == 1)
		return removal_drop_branch(rm, key);
	cdp_inner_remove(dm_block_data(w->node), index);
	dm_tm_dec(w->tree->tm, block);
	w->root->nr_leaves--;
	return 0;
}

static int removal_cut_leaf(struct removal *rm, dm_block_t block, unsigned int index,
			    unsigned int from, unsigned int to)
{
	struct dm_block *leaf;
	int r;

	r = writer_shadow_leaf(&rm->writer, block, index, &leaf);
	if (r)
		return r;
	cdp_leaf_remove(dm_block_data(leaf), from, to);
	dm_tm_unlock(rm->writer.tree->tm, leaf);
	return 0;
}

/* Cleans the leaf that covers key and sets range to what it covered.  1: it had something. */
static int removal_leaf(struct removal *rm, struct cdp_key key, struct cdp_range *range)
{
	struct writer *w = &rm->writer;
	unsigned int index, from, to, nr;
	struct dm_block *leaf;
	dm_block_t block;
	int r;

	r = writer_seek(w, key);
	if (r)
		return r;
	block = writer_leaf(w, key, &index, range);
	r = node_read(w->tree, w->tree->tm, block, 0, &leaf);
	if (r)
		return r;
	nr = cdp_node_nr(dm_block_data(leaf));
	removal_select(rm, dm_block_data(leaf), &from, &to);
	removal_tell(rm, dm_block_data(leaf), from, to);
	dm_tm_unlock(w->tree->tm, leaf);

	w->root->nr_entries -= to - from;
	if (from == to)
		return 0;
	if (to - from == nr && w->node)
		r = removal_drop_leaf(rm, key, block, index);
	else
		r = removal_cut_leaf(rm, block, index, from, to);
	return r ? r : 1;
}

/* A root with one child is not needed. */
static int root_collapse(struct cdp_tree *tree, struct cdp_tree_root *root)
{
	while (root->depth) {
		struct dm_block *b;
		dm_block_t old = root->block;
		unsigned int nr;
		int r = node_read(tree, tree->tm, old, root->depth, &b);

		if (r)
			return r;
		nr = cdp_node_nr(dm_block_data(b));
		if (nr == 1)
			root->block = cdp_inner_child(dm_block_data(b), 0);
		dm_tm_unlock(tree->tm, b);
		if (nr > 1)
			break;
		dm_tm_dec(tree->tm, old);
		root->depth--;
	}
	return 0;
}

int cdp_tree_remove(struct cdp_tree *tree, struct cdp_tree_root *root, u64 lo, u64 hi,
		    unsigned int max_leaves,
		    void (*freed)(void *context, const struct cdp_version *version),
		    void *context)
{
	struct removal rm = {
		.writer = { .tree = tree, .root = root },
		.lo = lo,
		.hi = hi,
		.freed = freed,
		.context = context,
	};
	struct cdp_range range = { .end = { lo, ~0ULL } };
	int r, collapsed;

	do {
		r = removal_leaf(&rm, range.end, &range);
		if (r < 0 || range.last || range.end.hi > hi)
			break;
		max_leaves -= r;
		cond_resched();
	} while (max_leaves);

	writer_release(&rm.writer);
	if (r < 0)
		return r;
	collapsed = root_collapse(tree, root);
	if (collapsed)
		return collapsed;
	return range.last || range.end.hi > hi ? 0 : -EAGAIN;
}
