/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The index: a B-tree of versions on dm-persistent-data's transaction manager.
 *
 * 128-bit keys (hi ascending, time descending), leaves packed to 16 bytes a
 * version, sorted runs merged in bulk, lower-bound search, removal of a range.
 * Nodes are copied on write by the transaction manager: a root that was
 * committed stays readable, unchanged, until the next transaction but one.
 *
 * Calls that change the tree belong to one writer at a time, in a transaction.
 * Searches may run beside them, on a committed root.
 *
 * Every node is checked when it comes from the disk (validator: checksum, magic,
 * pool, place, and all bounds that the code relies on), so that a damaged or
 * hostile one yields -EILSEQ or -EINVAL and is never interpreted.
 *
 * Invariants of a tree, between calls:
 *
 *  1. every node is sound by itself (node.h);
 *  2. a node at level l has children at level l - 1, the root is at level depth;
 *  3. no node but the root is empty, and an inner root has two children at least;
 *  4. a child's keys are at or after its entry's key and before the next entry's; the
 *     bounds of a node hold for all that is below it;
 *  5. nr_entries and nr_leaves are exact;
 *  6. no block stands in the tree twice.
 */
#ifndef DM_CDP_TREE_H
#define DM_CDP_TREE_H

#include "key.h"
#include "lineage.h"
#include "persistent-data/dm-transaction-manager.h"

struct cdp_tree_root {
	dm_block_t block;
	u64 nr_entries;
	u64 nr_leaves;
	u32 depth;		/* 0: the root is a leaf */
};

/*
 * The block manager remembers the address of the validator with each cached node: one
 * cdp_tree per pool, at a place that does not change while the block manager lives.
 */
struct cdp_tree {
	struct dm_transaction_manager *tm;
	struct dm_block_validator validator;	/* holds nothing but the callbacks; container_of */
	u8 uuid[16];
	u64 nr_data_blocks;	/* pblocks at or above it make a node invalid */
};

/* nr_data_blocks: at most 2^CDP_PBLOCK_BITS.  Set the field when the data device grows. */
void cdp_tree_init(struct cdp_tree *tree, struct dm_transaction_manager *tm,
		   const u8 uuid[16], u64 nr_data_blocks);

/*
 * A new block, locked for writing, zeroed, with the tree's validator.  It is the tree's
 * environment that provides it (metadata.c; the unit tests' block store), as
 * dm_tm_new_block() is not exported to modules.
 */
int cdp_tree_new_block(struct cdp_tree *tree, struct dm_block **result);

/*
 * Has the device write what the transaction has changed so far, and flush it: all that a
 * checkpoint changes would keep the device from anything else for long if it came at once.
 * From the tree's environment, too; called with nodes locked.  0 or -EIO.
 */
int cdp_tree_write_out(struct cdp_tree *tree);

/* A new, empty tree.  May sleep.  0, or what the transaction manager returned. */
int cdp_tree_empty(struct cdp_tree *tree, struct cdp_tree_root *root);

/*
 * A source of versions in key order, without duplicate keys.
 */
struct cdp_tree_source {
	/* The next version without consuming it, or NULL at the end. */
	const struct cdp_version *(*peek)(struct cdp_tree_source *source);
	void (*next)(struct cdp_tree_source *source);
};

/*
 * Merges all versions of the source into the tree.  A key that is there already
 * gets the new value (replay after a crash merges again what it merged before).
 * Versions are consumed ahead of being merged.
 * *root is changed in place; after an error the transaction has to be abandoned.
 * May sleep.  0, -ENOSPC (metadata device full), -EILSEQ/-EINVAL (damaged node, or
 * a source out of order or with impossible versions), -ENOMEM (before any change), -EIO.
 */
int cdp_tree_merge(struct cdp_tree *tree, struct cdp_tree_root *root,
		   struct cdp_tree_source *source);

/*
 * Removes versions with lo <= hi key part <= hi, calling freed() for each.  Stops after
 * max_leaves (at least 1) leaves and returns -EAGAIN: call again in the next
 * transaction.  0 when nothing of the range is left.  May sleep.
 *
 * freed() tells what the transaction gives up: it holds only once that is committed.  It
 * is called with nodes locked and must not use the tree.
 */
int cdp_tree_remove(struct cdp_tree *tree, struct cdp_tree_root *root, u64 lo, u64 hi,
		    unsigned int max_leaves,
		    void (*freed)(void *context, const struct cdp_version *version),
		    void *context);

/*
 * The keys that a node covers.
 */
struct cdp_range {
	struct cdp_key start;
	struct cdp_key end;	/* exclusive */
	bool last;		/* there is no end */
};

/*
 * A search that remembers the leaf it was in, so that neighbours cost no new
 * descent.  tm: the tree's, or a non-blocking clone of it; then searches
 * return -EWOULDBLOCK where they would have to read the disk.
 *
 * Between calls it may hold one lock, that of the leaf; after an error, none.
 */
struct cdp_tree_cursor {
	struct cdp_tree *tree;
	struct dm_transaction_manager *tm;
	struct cdp_tree_root root;
	const void *root_copy;		/* as cdp_tree_copy_root() made it, or NULL */
	struct dm_block *leaf;		/* locked for reading, or NULL */
	struct cdp_range range;		/* the leaf's */
	unsigned int index;		/* of the last result in the leaf */
};

void cdp_tree_cursor_init(struct cdp_tree_cursor *c, struct cdp_tree *tree,
			  struct dm_transaction_manager *tm,
			  const struct cdp_tree_root *root);
void cdp_tree_cursor_exit(struct cdp_tree_cursor *c);	/* unlocks */

/*
 * Copies the root node to a block of memory; a cursor that is given it saves the lookup of one
 * node in each search.  False: the root is a leaf, or cannot be read.
 */
bool cdp_tree_copy_root(struct cdp_tree *tree, const struct cdp_tree_root *root, void *copy);

/*
 * The first version whose key is at or after (hi, time): 1 and *result, 0 if there is none
 * left, or an error as above.
 */
int cdp_tree_lower_bound(struct cdp_tree_cursor *c, u64 hi, u64 time,
			 struct cdp_version *result);

/*
 * The version after the last one that a search of this cursor returned: a walk is one
 * cdp_tree_lower_bound(), then this one.  Not after an error or a 0.  Returns as above.
 */
int cdp_tree_next(struct cdp_tree_cursor *c, struct cdp_version *result);

/*
 * The newest version of extent hi that the lineage sees: 1 and *result, 0, or an error.
 */
int cdp_tree_find(struct cdp_tree_cursor *c, u64 hi, const struct cdp_lineage *lineage,
		  struct cdp_version *result);

#endif
