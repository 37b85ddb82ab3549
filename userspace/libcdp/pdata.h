/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Blocks of the kernel's dm-persistent-data library, as bytes: B-tree nodes, array blocks,
 * and the metadata space map.
 *
 * Every cdp_*_open() takes a whole 4 KiB block that is not trusted, and checks all that the
 * accessors rely on.  It returns NULL, or what is wrong, in words.
 *
 * Pure: no I/O.
 */
#ifndef LIBCDP_PDATA_H
#define LIBCDP_PDATA_H

#include <linux/types.h>

struct cdp_btree_node {
	const u8 *block;
	bool leaf;
	u32 nr;
	u32 max;
	u32 value_size;
};

/* value_size: of the leaves; an inner node's values are block numbers. */
const char *cdp_btree_open(struct cdp_btree_node *node, const void *block, u64 blocknr,
			   u32 value_size);
u64 cdp_btree_key(const struct cdp_btree_node *node, u32 i);
const void *cdp_btree_value(const struct cdp_btree_node *node, u32 i);	/* not aligned */
u64 cdp_btree_child(const struct cdp_btree_node *node, u32 i);

enum { CDP_ARRAY_WORDS = 509 };			/* of an array block */

struct cdp_array_block {
	const u8 *values;
	u32 nr;
	u32 max;
};

/* An array of 64-bit words. */
const char *cdp_array_open(struct cdp_array_block *array, const void *block, u64 blocknr);
u64 cdp_array_word(const struct cdp_array_block *array, u32 i);

/*
 * Metadata space map: a root in the superblock, an index block, bitmaps of two bits per
 * block (0, 1, 2 references, or 3: more, see the B-tree of counts).
 */
struct cdp_sm_root {
	u64 nr_blocks;
	u64 nr_allocated;
	u64 index;
	u64 counts;		/* B-tree: block -> u32 */
};

enum {
	CDP_SM_BITMAPS = 255,			/* in the index */
	CDP_SM_BLOCKS_PER_BITMAP = 16320,
	CDP_SM_MANY = 3,
};

struct cdp_sm_entry {
	u64 bitmap;
	u32 nr_free;
};

const char *cdp_sm_root_open(struct cdp_sm_root *root, const u8 disk[128], u64 nr_blocks);
const char *cdp_sm_index_open(const void *block, u64 blocknr);
void cdp_sm_index_get(const void *block, u32 i, struct cdp_sm_entry *entry);
const char *cdp_sm_bitmap_open(const void *block, u64 blocknr);
unsigned int cdp_sm_bitmap_get(const void *block, u32 i);

#endif
