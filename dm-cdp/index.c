// SPDX-License-Identifier: GPL-2.0-only
#include "index.h"
#include "catalog.h"

#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/string.h>

enum { LOCATE_BLOCKS = 32 };	/* located in one go; bounds the stack */

/* The newest version found so far of one block; time 0: none. */
struct slot {
	u64 time;
	u64 pblock;
	bool zero;
};

void cdp_index_init(struct cdp_index *index)
{
	memset(index, 0, sizeof(*index));
	init_rwsem(&index->lock);
	spin_lock_init(&index->tail_lock);
	cdp_tail_init(&index->tails[0]);
	cdp_tail_init(&index->tails[1]);
	index->active = &index->tails[0];
}

void cdp_index_exit(struct cdp_index *index)
{
	cdp_tail_free(&index->tails[0]);
	cdp_tail_free(&index->tails[1]);
}

void cdp_index_add(struct cdp_index *index, struct cdp_volume *volume,
		   struct cdp_extent *extents)
{
	const struct cdp_extent *e;
	unsigned long flags;

	spin_lock_irqsave(&index->tail_lock, flags);
	for (e = extents; e; e = e->next) {
		u64 *newest = &volume->newest[cdp_hi_level(e->v.hi)];

		if (e->v.time > *newest)
			*newest = e->v.time;
		index->added++;
	}
	volume->newest_dirty = true;
	cdp_tail_add(index->active, extents);
	spin_unlock_irqrestore(&index->tail_lock, flags);
}

static bool tail_may_have(const struct cdp_tail *tail, unsigned int level, u64 newer_than)
{
	return tail && tail->newest > newer_than && tail->level_nr[level];
}

static void find_in_tail(const struct cdp_tail *tail, u64 hi,
			 const struct cdp_lineage *lineage, struct cdp_version *best)
{
	const struct cdp_version *v;

	if (!tail_may_have(tail, cdp_hi_level(hi), best->time))
		return;
	v = cdp_tail_find(tail, hi, lineage);
	if (v && v->time > best->time)
		*best = *v;
}

/*
 * Without the lock: a version that enters a tail now is of a write that the reader did not
 * see complete, and one that leaves is in the tree only when the reader's index lock is gone.
 * Both tails are asked, as they may change places.
 */
static bool tails_have(const struct cdp_index *index, unsigned int level)
{
	return READ_ONCE(index->tails[0].level_nr[level]) ||
	       READ_ONCE(index->tails[1].level_nr[level]);
}

static void find_in_tails(struct cdp_index *index, u64 hi, const struct cdp_lineage *lineage,
			  struct cdp_version *best)
{
	unsigned long flags;

	if (!tails_have(index, cdp_hi_level(hi)))
		return;
	spin_lock_irqsave(&index->tail_lock, flags);
	find_in_tail(index->active, hi, lineage, best);
	find_in_tail(index->frozen, hi, lineage, best);
	spin_unlock_irqrestore(&index->tail_lock, flags);
}

/* The newest version of one extent that is newer than best->time. */
static int find(struct cdp_index *index, struct cdp_tree_cursor *cursor, u64 hi,
		const struct cdp_lineage *lineage, struct cdp_version *best)
{
	struct cdp_version v;
	int r;

	find_in_tails(index, hi, lineage, best);
	if (index->tree_newest <= best->time)
		return 0;
	r = cdp_tree_find(cursor, hi, lineage, &v);
	if (r < 0)
		return r;
	if (r && v.time > best->time)
		*best = v;
	return 0;
}

/* Lays the version over the blocks from lba on that it covers and is newer on. */
static void overlay(struct slot *slots, u64 lba, unsigned int nr, const struct cdp_version *v)
{
	u64 base = cdp_hi_lba(v->hi), end = min(base + cdp_hi_blocks(v->hi), lba + nr);
	u64 block = max(base, lba);

	for (; block < end; block++) {
		struct slot *slot = &slots[block - lba];

		if (v->time <= slot->time)
			continue;
		slot->time = v->time;
		slot->zero = v->flags & CDP_TOMBSTONE;
		slot->pblock = v->pblock + (block - base);
	}
}

static u64 oldest(const struct slot *slots, unsigned int nr)
{
	u64 time = slots->time;

	while (--nr)
		time = min(time, (++slots)->time);
	return time;
}

static int locate_level(struct cdp_index *index, struct cdp_tree_cursor *cursor,
			const struct cdp_volume *volume, const struct cdp_lineage *lineage,
			unsigned int level, u64 lba, struct slot *slots, unsigned int nr)
{
	u64 base;

	for (base = cdp_level_base(level, lba); base < lba + nr;
	     base += cdp_level_blocks(level)) {
		struct cdp_version v = { .hi = cdp_hi(volume->id, level, base) };
		int r;

		/* For a single block: only what is newer counts. */
		if (nr == 1)
			v.time = slots->time;
		r = find(index, cursor, v.hi, lineage, &v);
		if (r)
			return r;
		if (v.time)
			overlay(slots, lba, nr, &v);
	}
	return 0;
}

static int locate_slots(struct cdp_index *index, struct cdp_tree_cursor *cursor,
			const struct cdp_volume *volume, const struct cdp_lineage *lineage,
			u64 lba, struct slot *slots, unsigned int nr)
{
	unsigned int level;
	int r;

	memset(slots, 0, nr * sizeof(*slots));
	for (level = 0; level < CDP_NR_LEVELS; level++) {
		if (READ_ONCE(volume->newest[level]) <= oldest(slots, nr))
			continue;
		r = locate_level(index, cursor, volume, lineage, level, lba, slots, nr);
		if (r)
			return r;
	}
	return 0;
}

/* Does the block of the slot stand right behind what the location has so far? */
static bool continues(const struct cdp_location *location, const struct slot *slot)
{
	bool zero = !slot->time || slot->zero;

	if (location->zero || zero)
		return location->zero == zero;
	return slot->pblock == location->pblock + location->nr;
}

static unsigned int extend(struct cdp_location *location, const struct slot *slots,
			   unsigned int nr)
{
	unsigned int i = 0;

	if (!location->nr) {
		location->zero = !slots->time || slots->zero;
		location->pblock = slots->pblock;
	}
	for (; i < nr && continues(location, &slots[i]); i++)
		location->nr++;
	return i;
}

int cdp_index_locate(struct cdp_index *index, const struct cdp_volume *volume,
		     const struct cdp_lineage *lineage, u64 lba, u64 nr, bool may_block,
		     struct cdp_location *location)
{
	struct slot slots[LOCATE_BLOCKS];
	struct cdp_tree_cursor cursor;
	int r = 0;

	lockdep_assert_held(&index->lock);
	cdp_tree_cursor_init(&cursor, index->tree,
			     may_block ? index->tree->tm : index->non_blocking,
			     &index->root);
	cursor.root_copy = index->root_copy;
	location->nr = 0;
	while (location->nr < nr) {
		unsigned int n = min_t(u64, nr - location->nr, LOCATE_BLOCKS);

		r = locate_slots(index, &cursor, volume, lineage, lba + location->nr, slots, n);
		if (r || extend(location, slots, n) < n)
			break;
	}
	cdp_tree_cursor_exit(&cursor);
	return location->nr ? 0 : r;
}

void cdp_index_freeze(struct cdp_index *index)
{
	lockdep_assert_held(&index->tail_lock);
	index->frozen = index->active;
	index->active = index->frozen == &index->tails[0] ? &index->tails[1] : &index->tails[0];
}

u64 cdp_index_publish(struct cdp_index *index, const struct cdp_tree_root *root)
{
	void *copy = index->root_copies[index->root_copy == index->root_copies[0]];
	struct cdp_tail *frozen = index->frozen;
	unsigned long flags;
	u64 pending;

	if (!cdp_tree_copy_root(index->tree, root, copy))
		copy = NULL;
	down_write(&index->lock);
	spin_lock_irqsave(&index->tail_lock, flags);
	index->frozen = NULL;
	pending = frozen->nr_pending;
	index->root = *root;
	index->root_copy = copy;
	index->tree_newest = max(index->tree_newest, frozen->newest);
	spin_unlock_irqrestore(&index->tail_lock, flags);
	up_write(&index->lock);
	cdp_tail_free(frozen);
	return pending;
}

static const struct cdp_version *frozen_peek(struct cdp_tree_source *source)
{
	struct cdp_frozen_source *s = container_of(source, struct cdp_frozen_source, source);

	return s->node ? &rb_entry(s->node, struct cdp_extent, node)->v : NULL;
}

static void frozen_next(struct cdp_tree_source *source)
{
	struct cdp_frozen_source *s = container_of(source, struct cdp_frozen_source, source);

	s->node = rb_next(s->node);
}

void cdp_frozen_source_init(struct cdp_frozen_source *s, struct cdp_tail *frozen)
{
	s->source.peek = frozen_peek;
	s->source.next = frozen_next;
	s->node = rb_first(&frozen->root);
}
