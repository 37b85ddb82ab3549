// SPDX-License-Identifier: GPL-2.0-only
/*
 * Checkpoints: what is in the tail goes to the index on the metadata device, and the journal
 * gives back its space.
 *
 *   freeze    the active tail and the list of catalog changes, in one step, at
 *             journal position S: what is journaled before S is in them
 *   flush     the data device: everything that the index will point to
 *   save      catalog changes, merge of the tail, space bitmap, in one transaction
 *   commit    the superblock says: replay from S
 *   publish   readers see the new tree, the frozen tail goes
 *   trim      the journal's blocks before S are free
 *
 * A crash at any point leaves the old superblock, whose journal is still whole,
 * or the new one.  After an error the pool is read-only: the frozen tail and the old tree stay
 * what reads use, and the journal holds what was flushed.
 */
#include "pool.h"

#include <linux/blkdev.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

enum {
	REMOVE_LEAVES = 256,		/* of deleted volumes, per checkpoint */
	RESERVED_BLOCKS = 256,		/* metadata blocks that writes leave alone */
	MIN_TAIL_LIMIT = 1024,		/* fewer extents than that: metadata is full */
};

struct freed_range {
	u64 block;
	u64 nr;
};

struct volume_newest {
	struct list_head list;
	u32 volume;
	u64 newest[CDP_NR_LEVELS];
};

struct checkpoint {
	struct cdp_pool *pool;
	u64 journal_seq;
	u64 time;
	u32 next_volume;
	struct list_head changes;
	struct list_head newest;
	struct cdp_volume *deleted;	/* one volume that goes, or NULL */
	bool deleted_whole;
	struct cdp_tree_root root;
	struct freed_range *freed;
	unsigned int nr_freed, max_freed;
};

/*
 * Freezing.  The newest times are copied after the freeze, so they cover the frozen tail.
 */
static void copy_newest(struct checkpoint *cp)
{
	struct cdp_volume *volume;

	list_for_each_entry(volume, &cp->pool->catalog.volumes, list) {
		struct volume_newest *copy;

		if (!volume->newest_dirty)
			continue;
		copy = kmalloc(sizeof(*copy), GFP_NOIO | __GFP_NOFAIL);
		copy->volume = volume->id;
		spin_lock_irq(&cp->pool->index.tail_lock);
		volume->newest_dirty = false;
		memcpy(copy->newest, volume->newest, sizeof(copy->newest));
		spin_unlock_irq(&cp->pool->index.tail_lock);
		list_add_tail(&copy->list, &cp->newest);
	}
}

static void freeze(struct checkpoint *cp)
{
	struct cdp_pool *pool = cp->pool;
	struct cdp_catalog *catalog = &pool->catalog;

	mutex_lock(&catalog->mutex);
	spin_lock_irq(&pool->index.tail_lock);
	cdp_index_freeze(&pool->index);
	cp->journal_seq = pool->journal.head;
	WRITE_ONCE(pool->checkpoint_seq, cp->journal_seq);
	spin_unlock_irq(&pool->index.tail_lock);

	spin_lock_irq(&pool->lock);
	cp->time = pool->gate.time;
	spin_unlock_irq(&pool->lock);

	cp->next_volume = catalog->next_volume;
	list_splice_tail_init(&catalog->unsaved, &cp->changes);
	cp->deleted = list_first_entry_or_null(&catalog->deleted, struct cdp_volume, list);
	copy_newest(cp);
	mutex_unlock(&catalog->mutex);
}

static bool nothing_to_do(const struct checkpoint *cp)
{
	const struct cdp_journal *j = &cp->pool->journal;

	return !cp->pool->index.frozen->nr && list_empty(&cp->changes) && !cp->deleted &&
	       READ_ONCE(j->tail_seq) == cp->journal_seq &&
	       cp->pool->metadata.super.journal_seq == cp->journal_seq;
}

/*
 * Saving
 */
static int save_catalog(struct checkpoint *cp)
{
	struct cdp_metadata *md = &cp->pool->metadata;
	struct volume_newest *newest;
	struct cdp_change *change;
	int r;

	list_for_each_entry(change, &cp->changes, list) {
		r = cdp_metadata_save_change(md, &change->record);
		if (r)
			return r;
	}
	list_for_each_entry(newest, &cp->newest, list) {
		r = cdp_metadata_save_newest(md, newest->volume, newest->newest);
		if (r)
			return r;
	}
	return 0;
}

static int merge_tail(struct checkpoint *cp)
{
	struct cdp_pool *pool = cp->pool;
	struct cdp_frozen_source source;
	struct rb_node *node;

	cdp_frozen_source_init(&source, pool->index.frozen);
	for (node = source.node; node; node = rb_next(node)) {
		const struct cdp_version *v = &rb_entry(node, struct cdp_extent, node)->v;

		if (!(v->flags & CDP_TOMBSTONE))
			cdp_space_commit(&pool->space, v->pblock, cdp_hi_blocks(v->hi));
	}
	return cdp_tree_merge(&pool->metadata.tree, &cp->root, &source.source);
}

/*
 * The blocks may be handed out again only when the commit is done.  Should the array be
 * full, what does not fit is free after the pool is opened the next time.
 */
static void version_freed(void *context, const struct cdp_version *v)
{
	struct checkpoint *cp = context;
	u64 nr = cdp_hi_blocks(v->hi);

	if (v->flags & CDP_TOMBSTONE)
		return;
	cdp_space_uncommit(&cp->pool->space, v->pblock, nr);
	if (cp->nr_freed == cp->max_freed)
		return;
	cp->freed[cp->nr_freed++] = (struct freed_range){ .block = v->pblock, .nr = nr };
}

static int remove_deleted(struct checkpoint *cp)
{
	struct cdp_volume *volume = cp->deleted;
	int r;

	if (!volume)
		return 0;
	cp->max_freed = 2 * REMOVE_LEAVES * CDP_LEAF_ENTRIES;
	cp->freed = kvmalloc_array(cp->max_freed, sizeof(*cp->freed), GFP_KERNEL);
	if (!cp->freed)
		return 0;	/* the next checkpoint tries again */

	r = cdp_tree_remove(&cp->pool->metadata.tree, &cp->root, cdp_hi(volume->id, 0, 0),
			    cdp_hi(volume->id + 1, 0, 0) - 1, REMOVE_LEAVES, version_freed, cp);
	if (r == -EAGAIN)
		return 0;
	if (r)
		return r;
	cp->deleted_whole = true;
	return cdp_metadata_forget_volume(&cp->pool->metadata, volume->id,
					  volume->nr_branches);
}

static int save(struct checkpoint *cp)
{
	struct cdp_pool *pool = cp->pool;
	struct cdp_metadata *md = &pool->metadata;
	int r;

	cdp_metadata_tree_root(md, &cp->root);
	r = save_catalog(cp);
	if (r)
		return r;
	r = merge_tail(cp);
	if (r)
		return r;
	r = remove_deleted(cp);
	if (r)
		return r;
	r = cdp_metadata_save_space(md, &pool->space);
	if (r)
		return r;

	cdp_metadata_set_tree_root(md, &cp->root);
	md->super.journal_seq = cp->journal_seq;
	md->super.time = cp->time;
	md->super.next_volume = cp->next_volume;
	md->super.used_data_blocks = pool->space.nr_committed;
	return cdp_metadata_commit(md);
}

/*
 * After the commit
 */
static void release_freed(struct checkpoint *cp)
{
	struct cdp_pool *pool = cp->pool;
	unsigned int i;

	for (i = 0; i < cp->nr_freed; i++) {
		spin_lock_irq(&pool->lock);
		cdp_space_release(&pool->space, cp->freed[i].block, cp->freed[i].nr);
		spin_unlock_irq(&pool->lock);
	}
	if (cp->nr_freed && pool->mode == CDP_MODE_NO_DATA_SPACE)
		cdp_pool_set_mode(pool, CDP_MODE_WRITE, "space was given back");
}

static void forget_deleted(struct checkpoint *cp)
{
	if (!cp->deleted)
		return;
	if (cp->deleted_whole) {
		mutex_lock(&cp->pool->catalog.mutex);
		list_del(&cp->deleted->list);
		mutex_unlock(&cp->pool->catalog.mutex);
		cdp_volume_free(cp->deleted);
	}
	/* The rest, or the next one; a pool that closes goes on when it is opened again. */
	if (!cp->pool->closing)
		cdp_checkpoint_kick(cp->pool);
}

/*
 * How many extents the tail may hold so that merging them, and the ones that are
 * taken while it is merged, cannot run out of metadata blocks.  An extent costs at most the
 * copy of the leaf it goes to and one more when that is full; many extents in a leaf cost a
 * share of it.
 */
static u64 metadata_allows(struct cdp_pool *pool)
{
	u64 nr_free, nr, leaves = 2 * pool->metadata.super.tree_leaves;

	if (cdp_metadata_blocks(&pool->metadata, &nr_free, &nr) || nr_free <= RESERVED_BLOCKS)
		return 0;
	nr_free = (nr_free - RESERVED_BLOCKS) / 2;
	if (nr_free > 2 * leaves)
		return (nr_free - leaves) * (CDP_LEAF_ENTRIES / 4);
	return nr_free / 3;
}

static void set_tail_limit(struct cdp_pool *pool)
{
	u64 limit = metadata_allows(pool);

	WRITE_ONCE(pool->tail_limit, min(limit, 4 * pool->options.checkpoint_extents));
	if (limit < MIN_TAIL_LIMIT)
		cdp_pool_set_mode(pool, CDP_MODE_NO_METADATA_SPACE,
				  "the metadata device is full");
	else if (pool->mode == CDP_MODE_NO_METADATA_SPACE)
		cdp_pool_set_mode(pool, CDP_MODE_WRITE, "metadata blocks were given back");
}

static void free_checkpoint(struct checkpoint *cp)
{
	struct cdp_change *change, *next_change;
	struct volume_newest *newest, *next;

	list_for_each_entry_safe(change, next_change, &cp->changes, list)
		kfree(change);
	list_for_each_entry_safe(newest, next, &cp->newest, list)
		kfree(newest);
	kvfree(cp->freed);
}

static int checkpoint(struct cdp_pool *pool)
{
	struct checkpoint cp = { .pool = pool };
	u64 dropped;
	int r = 0;

	INIT_LIST_HEAD(&cp.changes);
	INIT_LIST_HEAD(&cp.newest);
	freeze(&cp);
	cdp_metadata_tree_root(&pool->metadata, &cp.root);
	if (!nothing_to_do(&cp)) {
		r = blkdev_issue_flush(pool->data_bdev);
		if (!r)
			r = save(&cp);
	}
	if (r) {
		cdp_pool_set_mode(pool, CDP_MODE_READ_ONLY, r == -ENOSPC ?
				  "the metadata device is full" : "a checkpoint failed");
		free_checkpoint(&cp);
		cdp_journal_kick(pool);
		return -EIO;
	}
	dropped = cdp_index_publish(&pool->index, &cp.root);
	cdp_journal_trim(pool, cp.journal_seq, dropped);
	release_freed(&cp);
	forget_deleted(&cp);
	free_checkpoint(&cp);
	set_tail_limit(pool);
	return 0;
}

/*
 * Starting and waiting
 */
static void checkpoint_work(struct work_struct *work)
{
	struct cdp_pool *pool = container_of(work, struct cdp_pool, checkpoint_work);
	unsigned int noio = memalloc_noio_save();

	spin_lock_irq(&pool->checkpoint_done.lock);
	pool->checkpoint_queued = false;
	pool->checkpoints_started++;
	spin_unlock_irq(&pool->checkpoint_done.lock);

	if (cdp_pool_writable(pool) && !pool->index.frozen)
		checkpoint(pool);
	else
		cdp_journal_kick(pool);	/* who waits for room there waits in vain */
	memalloc_noio_restore(noio);

	spin_lock_irq(&pool->checkpoint_done.lock);
	pool->checkpoints++;
	wake_up_locked(&pool->checkpoint_done);
	spin_unlock_irq(&pool->checkpoint_done.lock);
	queue_work(pool->io_wq, &pool->throttled_work);
}

void cdp_checkpoint_kick(struct cdp_pool *pool)
{
	unsigned long flags;

	spin_lock_irqsave(&pool->checkpoint_done.lock, flags);
	if (!pool->checkpoint_queued) {
		pool->checkpoint_queued = true;
		queue_work(pool->wq, &pool->checkpoint_work);
	}
	spin_unlock_irqrestore(&pool->checkpoint_done.lock, flags);
}

int cdp_checkpoint_run(struct cdp_pool *pool)
{
	u64 wanted;

	spin_lock_irq(&pool->checkpoint_done.lock);
	wanted = pool->checkpoints_started + 1;
	spin_unlock_irq(&pool->checkpoint_done.lock);
	cdp_checkpoint_kick(pool);
	wait_event(pool->checkpoint_done, READ_ONCE(pool->checkpoints) >= wanted);
	return cdp_pool_writable(pool) ? 0 : -EIO;
}

void cdp_checkpoint_poll(struct cdp_pool *pool)
{
	const struct cdp_journal *j = &pool->journal;

	if (READ_ONCE(pool->checkpoint_queued))
		return;
	if (READ_ONCE(pool->index.active->nr) >= pool->options.checkpoint_extents ||
	    READ_ONCE(j->head) - READ_ONCE(pool->checkpoint_seq) >= j->blocks / 2)
		cdp_checkpoint_kick(pool);
}

static void checkpoint_timer(struct work_struct *work)
{
	struct cdp_pool *pool = container_of(to_delayed_work(work), struct cdp_pool,
					     checkpoint_timer);

	cdp_checkpoint_kick(pool);
	queue_delayed_work(pool->wq, &pool->checkpoint_timer,
			   msecs_to_jiffies(pool->options.checkpoint_ms));
}

void cdp_checkpoint_init(struct cdp_pool *pool)
{
	INIT_WORK(&pool->checkpoint_work, checkpoint_work);
	INIT_DELAYED_WORK(&pool->checkpoint_timer, checkpoint_timer);
	init_waitqueue_head(&pool->checkpoint_done);
}

int cdp_checkpoint_start(struct cdp_pool *pool)
{
	int r;

	set_tail_limit(pool);
	r = cdp_checkpoint_run(pool);
	if (r)
		return r;
	queue_delayed_work(pool->wq, &pool->checkpoint_timer,
			   msecs_to_jiffies(pool->options.checkpoint_ms));
	return 0;
}

void cdp_checkpoint_stop(struct cdp_pool *pool)
{
	cancel_delayed_work_sync(&pool->checkpoint_timer);
	pool->closing = true;
	cdp_checkpoint_run(pool);
}
