/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The metadata device: superblock, index tree, catalog, space bitmap, in
 * transactions of dm-persistent-data.
 *
 * A commit is in two phases: everything but the superblock is written and
 * flushed; then the superblock, and flushed.  Until then the device holds the state of
 * the commit before, whole, whatever happens.
 *
 * Locking: one caller at a time (the pool's ordered workqueue, or whoever opens or closes
 * the pool).  Every call may sleep.
 */
#ifndef DM_CDP_METADATA_H
#define DM_CDP_METADATA_H

#include "super.h"
#include "tree.h"
#include "persistent-data/dm-array.h"
#include "persistent-data/dm-btree.h"
#include "persistent-data/dm-space-map.h"

/* An array has 2^32 - 1 words at most. */
#define CDP_MAX_DATA_BLOCKS	(((1ULL << 32) - 1) * 64)

struct cdp_catalog;
struct cdp_change;
struct cdp_space;
struct cdp_volume;

struct cdp_metadata {
	struct dm_block_manager *bm;
	struct dm_transaction_manager *tm;
	struct dm_transaction_manager *non_blocking;
	struct dm_space_map *sm;
	struct dm_btree_info volumes;
	struct dm_btree_info branches;
	struct dm_btree_info marks;
	struct dm_array_info words;
	struct cdp_tree tree;
	struct cdp_super super;		/* what the next commit writes */
};

/*
 * Opens the device: 1 if it was blank, 0 if metadata->super is what it holds, or an
 * error with *error in the user's words.
 */
int cdp_metadata_open(struct cdp_metadata *metadata, struct block_device *bdev, char **error);

/* Blank device: makes the empty structures for the geometry in metadata->super, commits. */
int cdp_metadata_format(struct cdp_metadata *metadata, char **error);

/* Reads what the device holds. */
int cdp_metadata_start(struct cdp_metadata *metadata, char **error);
int cdp_metadata_load_catalog(struct cdp_metadata *metadata, struct cdp_catalog *catalog);
int cdp_metadata_load_space(struct cdp_metadata *metadata, struct cdp_space *space);

void cdp_metadata_close(struct cdp_metadata *metadata);

void cdp_metadata_tree_root(const struct cdp_metadata *metadata, struct cdp_tree_root *root);
void cdp_metadata_set_tree_root(struct cdp_metadata *metadata,
				const struct cdp_tree_root *root);

/* Within a transaction. */
int cdp_metadata_save_change(struct cdp_metadata *metadata, const struct cdp_record *record);
int cdp_metadata_save_newest(struct cdp_metadata *metadata, u32 volume, const u64 *newest);
int cdp_metadata_forget_volume(struct cdp_metadata *metadata, u32 volume,
			       unsigned int nr_branches);
int cdp_metadata_save_space(struct cdp_metadata *metadata, struct cdp_space *space);
int cdp_metadata_commit(struct cdp_metadata *metadata);

/* Blocks that the transaction can still take. */
int cdp_metadata_free_blocks(struct cdp_metadata *metadata, u64 *nr_free);
/* How many hold the space bitmap, at most. */
u64 cdp_metadata_bitmap_blocks(const struct cdp_metadata *metadata);

#endif
