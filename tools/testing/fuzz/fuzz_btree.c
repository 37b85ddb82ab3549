// SPDX-License-Identifier: GPL-2.0-only
/*
 * Blocks of dm-persistent-data as the offline tools read them: the first byte of the
 * input says which kind.
 */
#include "fuzz.h"
#include "pdata.h"

enum {
	BLOCKNR = 5,
	BTREE_XOR = 121107,
	ARRAY_XOR = 595846735,
	INDEX_XOR = 160478,
	BITMAP_XOR = 240779,
};

static u64 sink;

static void use(const void *bytes, size_t len)
{
	const u8 *p = bytes;

	while (len--)
		sink += *p++;
}

static void fuzz_node(struct fuzz_block *block, u32 value_size)
{
	struct cdp_btree_node node;
	u32 i;

	fuzz_put64(block, 8, BLOCKNR);
	fuzz_seal(block, CDP_UNIT_SIZE, BTREE_XOR);
	if (cdp_btree_open(&node, block, BLOCKNR, value_size))
		return;
	for (i = 0; i < node.nr; i++) {
		sink += cdp_btree_key(&node, i);
		if (node.leaf)
			use(cdp_btree_value(&node, i), value_size);
		else
			sink += cdp_btree_child(&node, i);
	}
}

static void fuzz_array(struct fuzz_block *block)
{
	struct cdp_array_block array;
	u32 i;

	fuzz_put64(block, 16, BLOCKNR);
	fuzz_seal(block, CDP_UNIT_SIZE, ARRAY_XOR);
	if (cdp_array_open(&array, block, BLOCKNR))
		return;
	for (i = 0; i < array.nr; i++)
		sink += cdp_array_word(&array, i);
}

static void fuzz_space_map(struct fuzz_block *block)
{
	struct cdp_sm_entry entry;
	struct cdp_sm_root root;
	u32 i;

	sink += !cdp_sm_root_open(&root, block->bytes, 1000);
	fuzz_put64(block, 8, BLOCKNR);
	fuzz_seal(block, CDP_UNIT_SIZE, INDEX_XOR);
	if (!cdp_sm_index_open(block, BLOCKNR)) {
		for (i = 0; i < CDP_SM_BITMAPS; i++) {
			cdp_sm_index_get(block, i, &entry);
			sink += entry.bitmap + entry.nr_free;
		}
	}
	fuzz_seal(block, CDP_UNIT_SIZE, BITMAP_XOR);
	if (!cdp_sm_bitmap_open(block, BLOCKNR))
		for (i = 0; i < CDP_SM_BLOCKS_PER_BITMAP; i++)
			sink += cdp_sm_bitmap_get(block, i);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const u32 sizes[] = {
		4, 8, sizeof(struct cdp_volume_disk), sizeof(struct cdp_branch_disk),
		sizeof(struct cdp_mark_disk),
	};
	struct fuzz_block block;
	unsigned int kind;

	if (!size)
		return 0;
	kind = data[0] % 7;
	fuzz_fill(&block, data + 1, size - 1);
	if (kind < 5)
		fuzz_node(&block, sizes[kind]);
	else if (kind == 5)
		fuzz_array(&block);
	else
		fuzz_space_map(&block);
	return 0;
}
