/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Free space of the data device: which blocks are taken.
 *
 * Two bitmaps.  `allocated` is what must not be handed out: everything a version
 * in the index, in the tail or in flight stands on.  `committed` is what the
 * index on disk stands on; it is what the metadata device holds a copy of, as
 * 64-bit words, and only the checkpoint touches it.  A block that is allocated
 * but not committed is free again after a crash, unless the journal claims it.
 *
 * Runs are handed out from a cursor that goes round the device, so that random
 * writes become sequential ones.
 *
 * Memory: two bits per data block.
 *
 * Pure: user space compiles it too.
 */
#ifndef DM_CDP_SPACE_H
#define DM_CDP_SPACE_H

#include <linux/types.h>

struct cdp_space {
	u64 nr_blocks;
	u64 nr_free;			/* not allocated */
	u64 nr_committed;
	u64 run, run_end;		/* taken from the bitmap, not handed out yet */
	u64 cursor;
	u64 nr_regions;
	u32 *region_free;		/* not taken from the bitmap, per region */
	unsigned long *allocated;
	unsigned long *committed;
	unsigned long *dirty;		/* a bit per word of committed */
};

int cdp_space_init(struct cdp_space *space, u64 nr_blocks);
void cdp_space_exit(struct cdp_space *space);

/* Words of 64 blocks. */
u64 cdp_space_words(const struct cdp_space *space);

/*
 * While a pool opens: a word as it stood on disk, then the blocks that the
 * journal claims.
 */
void cdp_space_load(struct cdp_space *space, u64 word, u64 bits);
void cdp_space_claim(struct cdp_space *space, u64 block, u64 nr);

/*
 * Takes up to nr contiguous blocks.  Returns how many (0: the device is full)
 * and sets *block.  Caller serialises with cdp_space_release().
 */
u64 cdp_space_alloc(struct cdp_space *space, u64 nr, u64 *block);
void cdp_space_release(struct cdp_space *space, u64 block, u64 nr);

/*
 * Checkpoint only: the index on disk is about to use, or not to use, the blocks.
 */
void cdp_space_commit(struct cdp_space *space, u64 block, u64 nr);
void cdp_space_uncommit(struct cdp_space *space, u64 block, u64 nr);

/* The next word at or after *word that changed: true, and it is clean now. */
bool cdp_space_next_dirty(struct cdp_space *space, u64 *word, u64 *bits);

#endif
