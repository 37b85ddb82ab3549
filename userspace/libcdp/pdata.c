// SPDX-License-Identifier: GPL-2.0-only
#include "pdata.h"

#include <asm/byteorder.h>
#include <linux/crc32c.h>
#include <linux/dm-cdp.h>
#include <linux/string.h>

/* Each kind of block xors its checksum with a number of its own. */
enum {
	BTREE_XOR = 121107,
	ARRAY_XOR = 595846735,
	SM_INDEX_XOR = 160478,
	SM_BITMAP_XOR = 240779,
};

enum { BTREE_INNER = 1, BTREE_LEAF = 2 };

struct btree_disk {
	__le32 csum;
	__le32 flags;
	__le64 blocknr;
	__le32 nr_entries;
	__le32 max_entries;
	__le32 value_size;
	__le32 padding;
} __attribute__((packed));

struct array_disk {
	__le32 csum;
	__le32 max_entries;
	__le32 nr_entries;
	__le32 value_size;
	__le64 blocknr;
} __attribute__((packed));

/* Begins an index and a bitmap of the space map. */
struct sm_disk {
	__le32 csum;
	__le32 padding;
	__le64 blocknr;
} __attribute__((packed));

struct sm_root_disk {
	__le64 nr_blocks;
	__le64 nr_allocated;
	__le64 index;
	__le64 counts;
} __attribute__((packed));

struct sm_entry_disk {
	__le64 bitmap;
	__le32 nr_free;
	__le32 none_free_before;
} __attribute__((packed));

static u32 get32(const void *p)
{
	__le32 v;

	memcpy(&v, p, sizeof(v));
	return le32_to_cpu(v);
}

static u64 get64(const void *p)
{
	__le64 v;

	memcpy(&v, p, sizeof(v));
	return le64_to_cpu(v);
}

static bool csum_matches(const void *block, u32 xor)
{
	u32 csum = crc32c(~0, (const u8 *)block + sizeof(__le32), CDP_UNIT_SIZE - sizeof(__le32));

	return get32(block) == (csum ^ xor);
}

/*
 * B-tree nodes: header, max keys, max values
 */
static const char *keys_ascend(const struct cdp_btree_node *node)
{
	u32 i;

	for (i = 1; i < node->nr; i++)
		if (cdp_btree_key(node, i - 1) >= cdp_btree_key(node, i))
			return "keys are out of order";
	return NULL;
}

const char *cdp_btree_open(struct cdp_btree_node *node, const void *block, u64 blocknr,
			   u32 value_size)
{
	const struct btree_disk *d = block;
	u32 flags = le32_to_cpu(d->flags);

	if (!csum_matches(block, BTREE_XOR))
		return "checksum does not match";
	if (le64_to_cpu(d->blocknr) != blocknr)
		return "node of another place";
	if (flags != BTREE_INNER && flags != BTREE_LEAF)
		return "neither leaf nor inner node";
	node->block = block;
	node->leaf = flags == BTREE_LEAF;
	node->nr = le32_to_cpu(d->nr_entries);
	node->max = le32_to_cpu(d->max_entries);
	node->value_size = le32_to_cpu(d->value_size);
	if (node->value_size != (node->leaf ? value_size : sizeof(__le64)))
		return "wrong size of values";
	if (node->max > (CDP_UNIT_SIZE - sizeof(*d)) / (sizeof(__le64) + node->value_size))
		return "more room than the node has";
	if (node->nr > node->max)
		return "too many entries";
	if (!node->leaf && !node->nr)
		return "inner node without children";
	return keys_ascend(node);
}

u64 cdp_btree_key(const struct cdp_btree_node *node, u32 i)
{
	return get64(node->block + sizeof(struct btree_disk) + i * sizeof(__le64));
}

const void *cdp_btree_value(const struct cdp_btree_node *node, u32 i)
{
	return node->block + sizeof(struct btree_disk) + node->max * sizeof(__le64) +
	       i * node->value_size;
}

u64 cdp_btree_child(const struct cdp_btree_node *node, u32 i)
{
	return get64(cdp_btree_value(node, i));
}

/*
 * Array blocks
 */
const char *cdp_array_open(struct cdp_array_block *array, const void *block, u64 blocknr)
{
	const struct array_disk *d = block;

	if (!csum_matches(block, ARRAY_XOR))
		return "checksum does not match";
	if (le64_to_cpu(d->blocknr) != blocknr)
		return "array block of another place";
	if (le32_to_cpu(d->value_size) != sizeof(__le64))
		return "wrong size of values";
	array->values = (const u8 *)(d + 1);
	array->nr = le32_to_cpu(d->nr_entries);
	array->max = le32_to_cpu(d->max_entries);
	if (array->max != CDP_ARRAY_WORDS)
		return "more or less room than the block has";
	if (array->nr > array->max)
		return "too many entries";
	return NULL;
}

u64 cdp_array_word(const struct cdp_array_block *array, u32 i)
{
	return get64(array->values + i * sizeof(__le64));
}

/*
 * Space map
 */
const char *cdp_sm_root_open(struct cdp_sm_root *root, const u8 disk[128], u64 nr_blocks)
{
	const struct sm_root_disk *d = (const void *)disk;

	root->nr_blocks = le64_to_cpu(d->nr_blocks);
	root->nr_allocated = le64_to_cpu(d->nr_allocated);
	root->index = le64_to_cpu(d->index);
	root->counts = le64_to_cpu(d->counts);
	if (root->nr_blocks > nr_blocks)
		return "counts more blocks than the device has";
	if (root->nr_blocks > (u64)CDP_SM_BITMAPS * CDP_SM_BLOCKS_PER_BITMAP)
		return "counts more blocks than there may be";
	if (root->nr_allocated > root->nr_blocks)
		return "counts more blocks in use than there are";
	return NULL;
}

static const char *sm_block_open(const void *block, u64 blocknr, u32 xor)
{
	const struct sm_disk *d = block;

	if (!csum_matches(block, xor))
		return "checksum does not match";
	if (le64_to_cpu(d->blocknr) != blocknr)
		return "space map block of another place";
	return NULL;
}

const char *cdp_sm_index_open(const void *block, u64 blocknr)
{
	return sm_block_open(block, blocknr, SM_INDEX_XOR);
}

void cdp_sm_index_get(const void *block, u32 i, struct cdp_sm_entry *entry)
{
	const struct sm_entry_disk *d = (const void *)((const struct sm_disk *)block + 1);

	entry->bitmap = le64_to_cpu(d[i].bitmap);
	entry->nr_free = le32_to_cpu(d[i].nr_free);
}

const char *cdp_sm_bitmap_open(const void *block, u64 blocknr)
{
	return sm_block_open(block, blocknr, SM_BITMAP_XOR);
}

/* In each 64-bit word the first block has the two lowest bits, the upper bit of its count first. */
unsigned int cdp_sm_bitmap_get(const void *block, u32 i)
{
	u64 word = get64((const u8 *)block + sizeof(struct sm_disk) + i / 32 * sizeof(__le64));
	unsigned int bits = word >> i % 32 * 2 & 3;

	return (bits & 1) << 1 | bits >> 1;
}
