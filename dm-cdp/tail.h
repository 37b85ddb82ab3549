/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The tail: versions that are not in the index on disk yet.
 *
 * A tail is a search tree of extents in key order, and the list of those whose record is not
 * in the journal yet.  A pool has two: the active one takes new versions, the
 * frozen one is being merged into the index by the checkpoint.
 *
 * Locking: the caller's.  No call sleeps, except where gfp allows it.
 */
#ifndef DM_CDP_TAIL_H
#define DM_CDP_TAIL_H

#include "key.h"
#include "lineage.h"

#include <linux/gfp.h>
#include <linux/rbtree.h>

struct cdp_extent {
	struct rb_node node;
	struct cdp_version v;
	u32 csum;		/* of the data, if checked */
	bool checked;
	struct cdp_extent *next; /* of the same bio, then of the pending list */
};

struct cdp_tail {
	struct rb_root root;
	u64 nr;
	u64 newest;		/* time of the newest version */
	u64 level_nr[CDP_NR_LEVELS];
	u64 nr_pending;
	struct cdp_extent *pending;
	struct cdp_extent **pending_end;
};

int cdp_extent_cache_create(void);
void cdp_extent_cache_destroy(void);

void cdp_tail_init(struct cdp_tail *tail);

/* Frees all extents; may be called on a tail that others do not see any more. */
void cdp_tail_free(struct cdp_tail *tail);

/*
 * A chain of extents that covers nr blocks from lba on, with hi set; NULL if there is no
 * memory.  cdp_extents_free() undoes it.
 */
struct cdp_extent *cdp_extents_alloc(u32 volume, u64 lba, u64 nr, unsigned int max_level,
				     gfp_t gfp);
void cdp_extents_free(struct cdp_extent *extents);

/* Adds the extents of a chain; they are pending. */
void cdp_tail_add(struct cdp_tail *tail, struct cdp_extent *extents);

/*
 * The same for what a replay found in the journal: not pending.  -EEXIST if there
 * is such a version already, which no sound journal holds.
 */
int cdp_tail_restore(struct cdp_tail *tail, struct cdp_extent *extent);

/*
 * The newest version of extent hi that the lineage sees, or NULL.
 */
const struct cdp_version *cdp_tail_find(const struct cdp_tail *tail, u64 hi,
					const struct cdp_lineage *lineage);

/* Takes the next pending extent, or NULL; it stays in the search tree. */
struct cdp_extent *cdp_tail_pop_pending(struct cdp_tail *tail);

#endif
