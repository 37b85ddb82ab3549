// SPDX-License-Identifier: GPL-2.0-only
#include "tail.h"

#include <linux/errno.h>
#include <linux/minmax.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/string.h>

static struct kmem_cache *extent_cache;

int cdp_extent_cache_create(void)
{
	extent_cache = kmem_cache_create("dm_cdp_extent", sizeof(struct cdp_extent), 0, 0, NULL);
	return extent_cache ? 0 : -ENOMEM;
}

void cdp_extent_cache_destroy(void)
{
	kmem_cache_destroy(extent_cache);
}

void cdp_tail_init(struct cdp_tail *tail)
{
	memset(tail, 0, sizeof(*tail));
	tail->root = RB_ROOT;
	tail->pending_end = &tail->pending;
}

void cdp_tail_free(struct cdp_tail *tail)
{
	struct cdp_extent *extent, *next;
	unsigned int n = 0;

	rbtree_postorder_for_each_entry_safe(extent, next, &tail->root, node) {
		kmem_cache_free(extent_cache, extent);
		if (!(++n & 255))
			cond_resched();
	}
	cdp_tail_init(tail);
}

void cdp_extents_free(struct cdp_extent *extents)
{
	while (extents) {
		struct cdp_extent *next = extents->next;

		kmem_cache_free(extent_cache, extents);
		extents = next;
	}
}

struct cdp_extent *cdp_extents_alloc(u32 volume, u64 lba, u64 nr, unsigned int max_level,
				     gfp_t gfp)
{
	struct cdp_extent *first = NULL, **end = &first;

	while (nr) {
		unsigned int level = cdp_extent_level(lba, nr, max_level);
		struct cdp_extent *extent = kmem_cache_alloc(extent_cache, gfp);

		if (!extent) {
			cdp_extents_free(first);
			return NULL;
		}
		extent->v.hi = cdp_hi(volume, level, lba);
		extent->v.flags = 0;
		extent->csum = 0;
		extent->checked = false;
		extent->next = NULL;
		*end = extent;
		end = &extent->next;
		lba += cdp_level_blocks(level);
		nr -= cdp_level_blocks(level);
	}
	return first;
}

static void insert(struct cdp_tail *tail, struct cdp_extent *extent)
{
	struct rb_node **link = &tail->root.rb_node, *parent = NULL;
	const struct cdp_version *v = &extent->v;

	while (*link) {
		const struct cdp_extent *e = rb_entry(*link, struct cdp_extent, node);

		parent = *link;
		if (cdp_key_cmp(v->hi, v->time, e->v.hi, e->v.time) < 0)
			link = &parent->rb_left;
		else
			link = &parent->rb_right;
	}
	rb_link_node(&extent->node, parent, link);
	rb_insert_color(&extent->node, &tail->root);
	tail->nr++;
	tail->level_nr[cdp_hi_level(v->hi)]++;
	if (v->time > tail->newest)
		tail->newest = v->time;
}

void cdp_tail_add(struct cdp_tail *tail, struct cdp_extent *extents)
{
	*tail->pending_end = extents;
	while (extents) {
		insert(tail, extents);
		tail->pending_end = &extents->next;
		tail->nr_pending++;
		extents = extents->next;
	}
}

/* The first extent at or after the key. */
static const struct cdp_extent *lower_bound(const struct cdp_tail *tail, u64 hi, u64 time)
{
	const struct rb_node *node = tail->root.rb_node;
	const struct cdp_extent *best = NULL;

	while (node) {
		const struct cdp_extent *e = rb_entry(node, struct cdp_extent, node);

		if (cdp_key_cmp(e->v.hi, e->v.time, hi, time) < 0) {
			node = node->rb_right;
		} else {
			best = e;
			node = node->rb_left;
		}
	}
	return best;
}

int cdp_tail_restore(struct cdp_tail *tail, struct cdp_extent *extent)
{
	const struct cdp_extent *e = lower_bound(tail, extent->v.hi, extent->v.time);

	if (e && e->v.hi == extent->v.hi && e->v.time == extent->v.time)
		return -EEXIST;
	insert(tail, extent);
	return 0;
}

const struct cdp_version *cdp_tail_find(const struct cdp_tail *tail, u64 hi,
					const struct cdp_lineage *lineage)
{
	unsigned int i = 0;

	while (i < lineage->nr) {
		const struct cdp_extent *e = lower_bound(tail, hi, lineage->intervals[i].hi);

		if (!e || e->v.hi != hi)
			return NULL;
		if (cdp_lineage_visible(lineage, &i, e->v.time))
			return &e->v;
	}
	return NULL;
}

struct cdp_extent *cdp_tail_pop_pending(struct cdp_tail *tail)
{
	struct cdp_extent *extent = tail->pending;

	if (!extent)
		return NULL;
	tail->pending = extent->next;
	tail->nr_pending--;
	if (!tail->pending)
		tail->pending_end = &tail->pending;
	return extent;
}
