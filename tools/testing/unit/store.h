/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Blocks in memory behind the interface of dm-persistent-data's transaction manager, as
 * strict as the tests need it: what the kernel's would let pass until it hurts aborts here.
 *
 *  - unlock without lock, a second lock beside a write lock, locks left at a commit;
 *  - more locks at once than max_held;
 *  - a change of a block that was only locked for reading;
 *  - use of a block after it was freed: in this transaction (if it was made in it), or in
 *    one that is committed; dec of a free or a locked block;
 *  - a pointer kept past unlock, if the block happens to be written out (ASan finds it).
 */
#ifndef UNIT_STORE_H
#define UNIT_STORE_H

#include "persistent-data/dm-transaction-manager.h"

enum { STORE_BLOCK_SIZE = 4096 };

/* Counts down; the call that finds 0 fails, and so do all after it.  < 0: never. */
struct store_faults {
	long allocations;		/* then -ENOSPC */
	long reads;			/* then -EIO */
};

struct store_options {
	/* One in so many, 0: never. */
	unsigned int evict;		/* unlocks write the block out and drop it */
	unsigned int forget_shadow;	/* new blocks are not known as such */
	unsigned int would_block;	/* reads of a clone */
	unsigned int max_held;		/* locks at once; 0: any number */
	bool hostile;			/* the disk lies: misuse of blocks is an error then */
};

struct dm_transaction_manager *store_create(dm_block_t nr_blocks, unsigned int seed);
void store_destroy(struct dm_transaction_manager *tm);
struct dm_transaction_manager *store_clone(struct dm_transaction_manager *tm);
void store_clone_destroy(struct dm_transaction_manager *clone);

struct store_options *store_options(struct dm_transaction_manager *tm);
struct store_faults *store_faults(struct dm_transaction_manager *tm);

/* Ends the transaction: all blocks are written out and immutable from here on. */
void store_commit(struct dm_transaction_manager *tm);
/* Back to the last commit, with nothing cached. */
void store_abort(struct dm_transaction_manager *tm);
/* Writes out and drops what is not locked. */
void store_evict(struct dm_transaction_manager *tm);

unsigned int store_held(struct dm_transaction_manager *tm);
unsigned int store_most_held(struct dm_transaction_manager *tm);
dm_block_t store_used(struct dm_transaction_manager *tm);
/* Blocks made since the last commit. */
dm_block_t store_fresh(struct dm_transaction_manager *tm);

/* What stands on the disk, to be damaged; the block must not be locked. */
void *store_disk(struct dm_transaction_manager *tm, dm_block_t b);

#endif
