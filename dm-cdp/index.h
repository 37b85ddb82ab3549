/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The index: where the newest visible version of a block is.
 *
 * Three sources, looked up together: the active tail, the frozen tail (while a
 * checkpoint merges it), and the committed tree.
 *
 * Invariants
 * 1. A completed write is in exactly one of the two tails, or in the committed
 *    tree, at every moment at which the lock is not held for writing.
 * 2. The committed tree's blocks do not change while the lock is held for
 *    reading: only a commit lets the next transaction reuse them, and the commit
 *    publishes its root under the lock before the next transaction begins.
 * 3. volume->newest[level] is never less than the time of any version of that
 *    level that is in a source.
 *
 * A source is skipped when nothing in it can be newer than what was found.  "The active tail
 * is newer than the tree" would be wrong: of two writes in flight the older one may complete
 * last, after a checkpoint froze the newer one.
 *
 * Lock order: lock, then tail_lock.
 */
#ifndef DM_CDP_INDEX_H
#define DM_CDP_INDEX_H

#include "tail.h"
#include "tree.h"

#include <linux/rwsem.h>
#include <linux/spinlock.h>

struct cdp_volume;

struct cdp_index {
	struct rw_semaphore lock;	/* root and its copy, tree_newest, frozen, lineages */
	spinlock_t tail_lock;		/* both tails and all newest[]; irq-safe */
	struct cdp_tail tails[2];
	struct cdp_tail *active;
	struct cdp_tail *frozen;	/* or NULL */
	u64 added;			/* extents ever added; under tail_lock */
	struct cdp_tree *tree;
	struct cdp_tree_root root;	/* the committed one */
	void *root_copy;		/* of its root node, for searches, or NULL */
	u64 tree_newest;		/* time of the newest version in it, or later */
	struct dm_transaction_manager *non_blocking;
	u8 root_copies[2][CDP_UNIT_SIZE] __aligned(8); /* one for the next checkpoint */
};

/* Where nr blocks of a volume are: on the data device, or nowhere. */
struct cdp_location {
	u64 pblock;
	u64 nr;
	bool zero;		/* never written, or a tombstone */
};

void cdp_index_init(struct cdp_index *index);

/* Frees what is in the tails. */
void cdp_index_exit(struct cdp_index *index);

/* A write has completed: its extents become visible.  Any context. */
void cdp_index_add(struct cdp_index *index, struct cdp_volume *volume,
		   struct cdp_extent *extents);

/*
 * Finds where the blocks from lba on are, at most nr of them, as the lineage sees
 * them; location->nr is at least 1.  The caller holds the lock for reading.  With
 * `may_block` false: -EWOULDBLOCK where the answer needs the metadata device.
 * Otherwise 0, -EIO, -EILSEQ (damaged metadata).
 */
int cdp_index_locate(struct cdp_index *index, const struct cdp_volume *volume,
		     const struct cdp_lineage *lineage, u64 lba, u64 nr, bool may_block,
		     struct cdp_location *location);

/*
 * Checkpoint.  Freeze: the active tail becomes the frozen one.  Publish: the tree with the
 * frozen tail's versions is committed, and the frozen tail goes.  Publish may sleep; it
 * returns how many of the frozen extents were still pending.
 */
void cdp_index_freeze(struct cdp_index *index);
u64 cdp_index_publish(struct cdp_index *index, const struct cdp_tree_root *root);

/* The frozen tail as a source for the merge. */
struct cdp_frozen_source {
	struct cdp_tree_source source;
	struct rb_node *node;
};

void cdp_frozen_source_init(struct cdp_frozen_source *s, struct cdp_tail *frozen);

#endif
