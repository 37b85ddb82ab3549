// SPDX-License-Identifier: GPL-2.0-only
#include "geometry.h"

#include <linux/dm-cdp.h>

#include "pdata.h"
#include "super.h"

enum {
	SECTORS_PER_UNIT = CDP_UNIT_SIZE / 512,
	JOURNAL_SHARE = 16,			/* of the data device */
	DEFAULT_JOURNAL_BLOCKS = 16384,		/* at most */
	DATA_BLOCKS_BITS = 38,
	MIN_METADATA_BLOCKS = 512,
	WORDS_PER_ARRAY_BLOCK = 500,
	MAX_METADATA_BLOCKS = CDP_SM_BITMAPS * CDP_SM_BLOCKS_PER_BITMAP,
	FIXED_BLOCKS = 3,			/* superblock; index and counts of the space map */
};

static u64 default_journal_blocks(u64 data_units)
{
	u64 share = data_units / JOURNAL_SHARE;

	if (share < CDP_MIN_JOURNAL_BLOCKS)
		return CDP_MIN_JOURNAL_BLOCKS;
	return share < DEFAULT_JOURNAL_BLOCKS ? share : DEFAULT_JOURNAL_BLOCKS;
}

/* The module wants so many free blocks beside those of the space map. */
static u64 metadata_blocks(u64 nr_data_blocks)
{
	u64 words = (nr_data_blocks + 63) / 64, bitmap = words / WORDS_PER_ARRAY_BLOCK, blocks;
	u64 need = bitmap + MIN_METADATA_BLOCKS / 2;

	need += 4 * (bitmap < CDP_LEAF_ENTRIES ? bitmap : CDP_LEAF_ENTRIES);
	need += need / 8 + FIXED_BLOCKS;
	for (blocks = need; blocks < need + (blocks + CDP_SM_BLOCKS_PER_BITMAP - 1) /
						     CDP_SM_BLOCKS_PER_BITMAP; blocks++)
		;
	return blocks < MIN_METADATA_BLOCKS ? MIN_METADATA_BLOCKS : blocks;
}

enum cdp_geometry_error cdp_geometry_fill(struct cdp_geometry *g)
{
	u64 sectors = g->data_bytes / 512;

	if (!g->journal_blocks)
		g->journal_blocks = default_journal_blocks(sectors / SECTORS_PER_UNIT);
	g->data_start = cdp_data_start(g->journal_blocks);
	if (sectors < g->data_start + g->block_sectors)
		return CDP_GEOMETRY_DATA_SMALL;
	g->nr_data_blocks = (sectors - g->data_start) / g->block_sectors;
	if (g->nr_data_blocks >> DATA_BLOCKS_BITS)
		return CDP_GEOMETRY_DATA_LARGE;
	g->metadata_min = metadata_blocks(g->nr_data_blocks) * CDP_UNIT_SIZE;
	if (g->metadata_min / CDP_UNIT_SIZE > MAX_METADATA_BLOCKS)
		return CDP_GEOMETRY_DATA_LARGE;
	return g->metadata_bytes < g->metadata_min ? CDP_GEOMETRY_METADATA_SMALL :
						     CDP_GEOMETRY_OK;
}
