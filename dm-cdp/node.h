/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One node of the index as bytes: packing, unpacking, searching, checking.
 * Pure: the kernel, the offline tools, the unit tests and the fuzzers compile it.
 *
 * All functions but cdp_node_invalid() rely on a block that it found sound, or that was
 * built by the functions here.  What they rely on, numbered; cdp_node_invalid() checks each:
 *
 *  1. the block says what it is (magic, kind, entry size), whose (uuid) and where (blocknr);
 *  2. a leaf is at level 0, an inner node at 1..CDP_MAX_DEPTH;
 *  3. there are no more entries than room for them, and an inner node has at least one
 *     (a leaf may be empty: the root of an empty tree);
 *  4. keys ascend strictly;
 *  5. base + offset overflows in no leaf entry;
 *  6. every version is one that could have been written (cdp_version_invalid);
 *  7. no child is block 0 (the superblock) or the node itself.
 */
#ifndef DM_CDP_NODE_H
#define DM_CDP_NODE_H

#include <asm/byteorder.h>
#include "key.h"

enum {
	CDP_MAX_DEPTH = 12,		/* levels above the leaves */
};

/*
 * Is this 4 KiB block a sound node of this pool at this place?  Does not look at the
 * checksum.  Returns NULL, or what is wrong, in words.
 */
const char *cdp_node_invalid(const void *block, const u8 uuid[16], u64 blocknr,
			     u64 nr_data_blocks);

/*
 * Can the version stand in the index of a pool with so many data blocks?  Its time is in
 * 1..2^62-1, its lba aligned to its extent, its blocks lie all on the data device; a
 * tombstone has none.  Returns NULL, or what is wrong, in words.
 */
const char *cdp_version_invalid(const struct cdp_version *version, u64 nr_data_blocks);

static inline unsigned int cdp_node_nr(const void *block)
{
	return le16_to_cpu(((const struct cdp_node_disk *)block)->nr_entries);
}

static inline unsigned int cdp_node_level(const void *block)
{
	return le16_to_cpu(((const struct cdp_node_disk *)block)->level);
}

/*
 * Leaves
 */

/* How many of the versions fit into one leaf (by number and by the width of offsets). */
unsigned int cdp_leaf_fits(const struct cdp_version *versions, unsigned int nr);

/* Writes a leaf; nr <= cdp_leaf_fits(). Sets all of the block but csum and blocknr. */
void cdp_leaf_pack(void *block, const u8 uuid[16], const struct cdp_version *versions,
		   unsigned int nr);
void cdp_leaf_get(const void *block, unsigned int i, struct cdp_version *version);

/* Index of the first entry at or after the key: 0..nr_entries. */
unsigned int cdp_leaf_lower_bound(const void *block, u64 hi, u64 time);

/*
 * Inserts versions (in key order) without touching the bases of the leaf.  A key that is
 * there gets the new value.  Returns how many entries were added; -ENOSPC if there may be
 * no room for them or -ERANGE if an offset is too wide, with the leaf unchanged.
 */
int cdp_leaf_insert(void *block, const struct cdp_version *versions, unsigned int nr);

/* Removes the entries [from, to) and makes the bases those of what is left. */
void cdp_leaf_remove(void *block, unsigned int from, unsigned int to);

/*
 * Inner nodes.  The key of entry i > 0 is the least that its child may hold.  So is that
 * of entry 0, but searches do not look at it: its child covers all that is before entry 1.
 */
void cdp_inner_init(void *block, const u8 uuid[16], unsigned int level);

/* Index of the child that covers the key; entry 0 covers all that is before entry 1. */
unsigned int cdp_inner_search(const void *block, u64 hi, u64 time);

struct cdp_key cdp_inner_key(const void *block, unsigned int i);
void cdp_inner_set_key(void *block, unsigned int i, struct cdp_key key);
u64 cdp_inner_child(const void *block, unsigned int i);
void cdp_inner_set_child(void *block, unsigned int i, u64 child);

/* Makes room at i (0..nr) for one more; nr < CDP_INNER_ENTRIES. */
void cdp_inner_insert(void *block, unsigned int i, struct cdp_key key, u64 child);
void cdp_inner_remove(void *block, unsigned int i);

/* Moves the entries from 'from' on to the node right, which is initialised and empty. */
void cdp_inner_split(void *block, void *right, unsigned int from);

#endif
