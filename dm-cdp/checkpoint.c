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
	REMOVE_LEAVES = 256,		/* of deleted volumes, per checkpoint, at most */
	MIN_TAIL_LIMIT = 64,		/* fewer extents than that: metadata is full */
	MIN_CHANGES = 16,		/* of the catalog, between two checkpoints */
	MAX_CHANGES = 4096,
	CHANGE_BLOCKS = 4,		/* metadata blocks that one of them takes, at most */
	MIN_BRANCHES = 80,		/* in a block of them, at least */
	PATH_BLOCKS = 32,		/* what every transaction copies: roots, space maps */
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
	unsigned int nr_freed;
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
	catalog->nr_unsaved = 0;
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
	unsigned int n = 0;
	struct rb_node *node;

	cdp_frozen_source_init(&source, pool->index.frozen);
	for (node = source.node; node; node = rb_next(node)) {
		const struct cdp_version *v = &rb_entry(node, struct cdp_extent, node)->v;

		if (!(v->flags & CDP_TOMBSTONE))
			cdp_space_commit(&pool->space, v->pblock, cdp_hi_blocks(v->hi));
		if (!(++n & 255))
			cond_resched();
	}
	return cdp_tree_merge(&pool->metadata.tree, &cp->root, &source.source);
}

/* The blocks may be handed out again only when the commit is done. */
static void version_freed(void *context, const struct cdp_version *v)
{
	struct checkpoint *cp = context;
	u64 nr = cdp_hi_blocks(v->hi);

	if (v->flags & CDP_TOMBSTONE)
		return;
	cdp_space_uncommit(&cp->pool->space, v->pblock, nr);
	cp->freed[cp->nr_freed++] = (struct freed_range){ .block = v->pblock, .nr = nr };
}

/* Metadata blocks: what a leaf gives back can lie in as many of the bitmap as it has entries. */
static u64 leaf_removal_cost(const struct cdp_pool *pool)
{
	/* Twice: the bitmap's array has an index of its own. */
	return 2 * min_t(u64, CDP_LEAF_ENTRIES, cdp_metadata_bitmap_blocks(&pool->metadata)) +
	       CHANGE_BLOCKS;
}

/* How many leaves this checkpoint can remove with the metadata blocks that are left to it. */
static unsigned int removable_leaves(struct checkpoint *cp)
{
	struct cdp_metadata *md = &cp->pool->metadata;
	u64 nr_free, leaf = leaf_removal_cost(cp->pool);
	u64 merged = PATH_BLOCKS + min(2 * cp->pool->index.frozen->nr,
				       cdp_metadata_bitmap_blocks(md));

	if (cdp_metadata_free_blocks(md, &nr_free) || nr_free < merged + leaf)
		return 0;
	return clamp_t(u64, div64_u64((nr_free - merged) / 2, leaf), 1, REMOVE_LEAVES);
}

/* Its branches go in one transaction; is there room for that, and for the bitmap's changes? */
static bool can_forget(struct checkpoint *cp)
{
	struct cdp_metadata *md = &cp->pool->metadata;
	u64 nr_free, bitmap = cdp_metadata_bitmap_blocks(md);
	u64 dirty = min(2 * (cp->pool->index.frozen->nr + cp->nr_freed), bitmap);

	return !cdp_metadata_free_blocks(md, &nr_free) &&
	       nr_free >= PATH_BLOCKS + 2 * dirty + cp->deleted->nr_branches / MIN_BRANCHES;
}

/*
 * Optional work, so never by the first checkpoint, without which the pool does not open for
 * writing.  Where there is no room for it, it waits for a checkpoint that has some.
 */
static int remove_deleted(struct checkpoint *cp)
{
	struct cdp_volume *volume = cp->deleted;
	unsigned int leaves;
	int r;

	if (!volume || !READ_ONCE(cp->pool->checkpoints))
		return 0;
	leaves = removable_leaves(cp);
	if (!leaves) {
		cp->deleted = NULL;
		return 0;
	}
	cp->freed = kvmalloc_array(2 * leaves * CDP_LEAF_ENTRIES, sizeof(*cp->freed),
				   GFP_KERNEL | __GFP_NOFAIL);
	r = cdp_tree_remove(&cp->pool->metadata.tree, &cp->root, cdp_hi(volume->id, 0, 0),
			    cdp_hi(volume->id + 1, 0, 0) - 1, leaves, version_freed, cp);
	if (r == -EAGAIN)
		return 0;
	if (r)
		return r;
	if (!can_forget(cp)) {
		cp->deleted = NULL;
		return 0;
	}
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
	u64 nr_free;

	for (i = 0; i < cp->nr_freed; i++) {
		spin_lock_irq(&pool->lock);
		cdp_space_release(&pool->space, cp->freed[i].block, cp->freed[i].nr);
		spin_unlock_irq(&pool->lock);
	}
	spin_lock_irq(&pool->lock);
	nr_free = pool->space.nr_free;
	spin_unlock_irq(&pool->lock);
	/* Writes that failed have given some back, too. */
	if (nr_free && READ_ONCE(pool->mode) == CDP_MODE_NO_DATA_SPACE)
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
	if (!cp->pool->closing && !READ_ONCE(cp->pool->suspended))
		cdp_checkpoint_kick(cp->pool);
}

/*
 * Metadata blocks that merging n extents takes, at most, before the commit gives back what it
 * replaced: the leaf that an extent goes to is copied, and once more or split where it is
 * full; many extents in a leaf cost a share of a new one; and each has its bits in at most
 * two blocks of the space bitmap.
 */
static u64 merge_cost(const struct cdp_pool *pool, u64 n)
{
	u64 touched = min(n, pool->metadata.super.tree_leaves);

	return 2 * touched + touched / 64 + n / (CDP_LEAF_ENTRIES / 4) +
	       min(2 * n, cdp_metadata_bitmap_blocks(&pool->metadata)) + PATH_BLOCKS;
}

/*
 * Metadata blocks that writes leave alone: with them a full pool can still be changed, and a
 * volume's versions removed, leaf by leaf.
 */
static u64 reserve(const struct cdp_pool *pool)
{
	return PATH_BLOCKS + leaf_removal_cost(pool) + MIN_CHANGES * CHANGE_BLOCKS;
}

/*
 * How many extents the tail may hold so that merging them, and as many that are taken while
 * it is merged, cannot run out of metadata blocks.
 */
static u64 metadata_allows(const struct cdp_pool *pool, u64 nr_free)
{
	u64 low = 0, high = 4 * pool->options.checkpoint_extents;

	if (nr_free <= reserve(pool))
		return 0;
	while (low < high) {
		u64 n = low + (high - low + 1) / 2;

		if (2 * merge_cost(pool, n) <= nr_free - reserve(pool))
			low = n;
		else
			high = n - 1;
	}
	return low;
}

/*
 * What writes and changes of the catalog may take until the next checkpoint.
 */
static void set_limits(struct cdp_pool *pool)
{
	u64 limit, nr_free = 0;

	cdp_metadata_free_blocks(&pool->metadata, &nr_free);
	limit = metadata_allows(pool, nr_free);
	WRITE_ONCE(pool->metadata_free, nr_free);
	WRITE_ONCE(pool->max_changes,
		   clamp_t(u64, nr_free / (4 * CHANGE_BLOCKS), MIN_CHANGES, MAX_CHANGES));
	WRITE_ONCE(pool->tail_limit, limit < MIN_TAIL_LIMIT ? 0 : limit);
	if (limit < MIN_TAIL_LIMIT)
		cdp_pool_set_mode(pool, CDP_MODE_NO_METADATA_SPACE,
				  "the metadata device is full");
	else if (READ_ONCE(pool->mode) == CDP_MODE_NO_METADATA_SPACE)
		cdp_pool_set_mode(pool, CDP_MODE_WRITE, "metadata blocks were given back");
}

/* What makes the catalog smaller always may be done; the rest while the reserve is whole. */
int cdp_checkpoint_admits(const struct cdp_pool *pool, const struct cdp_record *record)
{
	bool grows = record->type != CDP_REC_DELETE && record->type != CDP_REC_UNMARK;

	if (grows && READ_ONCE(pool->metadata_free) < reserve(pool))
		return -ENOSPC;
	return pool->catalog.nr_unsaved < READ_ONCE(pool->max_changes) ? 0 : -EAGAIN;
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
	set_limits(pool);
	return 0;
}

/*
 * Starting and waiting
 */
static void checkpoint_work(struct kthread_work *work)
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
		kthread_queue_work(pool->checkpointer, &pool->checkpoint_work);
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
	u64 enough = min(pool->options.checkpoint_extents, READ_ONCE(pool->tail_limit) / 2);

	if (READ_ONCE(pool->checkpoint_queued))
		return;
	if (READ_ONCE(pool->index.active->nr) > enough ||
	    READ_ONCE(j->head) - READ_ONCE(pool->checkpoint_seq) >= j->blocks / 2)
		cdp_checkpoint_kick(pool);
}

static void start_timer(struct cdp_pool *pool)
{
	kthread_queue_delayed_work(pool->checkpointer, &pool->checkpoint_timer,
				   msecs_to_jiffies(pool->options.checkpoint_ms));
}

static void checkpoint_timer(struct kthread_work *work)
{
	struct cdp_pool *pool = container_of(work, struct cdp_pool, checkpoint_timer.work);

	cdp_checkpoint_kick(pool);
	start_timer(pool);
}

void cdp_checkpoint_init(struct cdp_pool *pool)
{
	kthread_init_work(&pool->checkpoint_work, checkpoint_work);
	kthread_init_delayed_work(&pool->checkpoint_timer, checkpoint_timer);
	init_waitqueue_head(&pool->checkpoint_done);
}

void cdp_checkpoint_start(struct cdp_pool *pool)
{
	set_limits(pool);
	if (!cdp_checkpoint_run(pool))
		start_timer(pool);
}

void cdp_checkpoint_pause(struct cdp_pool *pool)
{
	kthread_cancel_delayed_work_sync(&pool->checkpoint_timer);
	cdp_checkpoint_run(pool);
}

void cdp_checkpoint_resume(struct cdp_pool *pool)
{
	cdp_checkpoint_kick(pool);
	start_timer(pool);
}

void cdp_checkpoint_stop(struct cdp_pool *pool)
{
	pool->closing = true;
	cdp_checkpoint_pause(pool);
}
