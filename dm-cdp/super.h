/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Superblock of the metadata device and label of the data device, as bytes.
 *
 * Pure: user space compiles it too.
 */
#ifndef DM_CDP_SUPER_H
#define DM_CDP_SUPER_H

#include <linux/types.h>
#include <linux/dm-cdp.h>

enum { CDP_UNIT_SECTORS = CDP_UNIT_SIZE >> 9 };

struct cdp_super {
	u8 uuid[16];
	u64 compat;		/* feature bits of others, kept as they are */
	u64 generation;
	u64 time;
	u64 journal_seq;
	u32 block_sectors;
	u32 next_volume;
	u64 data_start;
	u64 nr_data_blocks;
	u64 nr_metadata_blocks;
	u64 journal_blocks;
	u64 used_data_blocks;
	u64 tree_root;
	u64 tree_entries;
	u64 tree_leaves;
	u32 tree_depth;
	u32 nr_marks;
	u64 volumes_root;
	u64 branches_root;
	u64 marks_root;
	u64 space_root;
	u8 metadata_space_map_root[128];
};

struct cdp_label {
	u8 uuid[16];
	u32 block_sectors;
	u64 data_start;
	u64 journal_blocks;
};

/* Writes a whole 4 KiB block, checksum included. */
void cdp_super_pack(void *block, const struct cdp_super *super);
void cdp_label_pack(void *block, const struct cdp_label *label);

/*
 * Checks everything that can be judged from the block alone.  Returns NULL, or what
 * is wrong, in words for a person.
 */
const char *cdp_super_unpack(struct cdp_super *super, const void *block);
const char *cdp_label_unpack(struct cdp_label *label, const void *block);

/* Do the two devices belong together?  NULL, or why not. */
const char *cdp_label_mismatch(const struct cdp_label *label, const struct cdp_super *super);

/* Sectors of label and journal, before the data blocks. */
u64 cdp_data_start(u64 journal_blocks);

#endif
