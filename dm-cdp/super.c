// SPDX-License-Identifier: GPL-2.0-only
#include "node.h"
#include "super.h"

#include <linux/build_bug.h>
#include <linux/crc32c.h>
#include <linux/string.h>
#include <asm/byteorder.h>

enum {
	DATA_ALIGNMENT = 2048,		/* sectors: data blocks start at a MiB */
	SUMMED_SIZE = 512,
};

static __le32 summed_csum(const void *block)
{
	return cpu_to_le32(crc32c(~0, (const u8 *)block + sizeof(__le32),
				  SUMMED_SIZE - sizeof(__le32)));
}

u64 cdp_data_start(u64 journal_blocks)
{
	u64 sectors = (journal_blocks + 1) * CDP_UNIT_SECTORS;

	return (sectors + DATA_ALIGNMENT - 1) / DATA_ALIGNMENT * DATA_ALIGNMENT;
}

void cdp_super_pack(void *block, const struct cdp_super *super)
{
	struct cdp_super_disk *d = block;

	static_assert(sizeof(*d) <= SUMMED_SIZE);
	memset(block, 0, CDP_UNIT_SIZE);
	d->version = cpu_to_le32(CDP_FORMAT_VERSION);
	d->magic = cpu_to_le64(CDP_SUPER_MAGIC);
	memcpy(d->uuid, super->uuid, sizeof(d->uuid));
	d->compat = cpu_to_le64(super->compat);
	d->generation = cpu_to_le64(super->generation);
	d->time = cpu_to_le64(super->time);
	d->journal_seq = cpu_to_le64(super->journal_seq);
	d->block_sectors = cpu_to_le32(super->block_sectors);
	d->next_volume = cpu_to_le32(super->next_volume);
	d->data_start = cpu_to_le64(super->data_start);
	d->nr_data_blocks = cpu_to_le64(super->nr_data_blocks);
	d->nr_metadata_blocks = cpu_to_le64(super->nr_metadata_blocks);
	d->journal_blocks = cpu_to_le64(super->journal_blocks);
	d->used_data_blocks = cpu_to_le64(super->used_data_blocks);
	d->tree_root = cpu_to_le64(super->tree_root);
	d->tree_entries = cpu_to_le64(super->tree_entries);
	d->tree_leaves = cpu_to_le64(super->tree_leaves);
	d->tree_depth = cpu_to_le32(super->tree_depth);
	d->nr_marks = cpu_to_le32(super->nr_marks);
	d->volumes_root = cpu_to_le64(super->volumes_root);
	d->branches_root = cpu_to_le64(super->branches_root);
	d->marks_root = cpu_to_le64(super->marks_root);
	d->space_root = cpu_to_le64(super->space_root);
	memcpy(d->metadata_space_map_root, super->metadata_space_map_root,
	       sizeof(d->metadata_space_map_root));
	d->csum = summed_csum(block);
}

static bool block_sectors_valid(u32 sectors)
{
	return sectors >= CDP_MIN_BLOCK_SECTORS && sectors <= CDP_MAX_BLOCK_SECTORS &&
	       !(sectors & (sectors - 1));
}

static bool journal_blocks_valid(u64 blocks)
{
	return blocks >= CDP_MIN_JOURNAL_BLOCKS && blocks <= CDP_MAX_JOURNAL_BLOCKS;
}

static const char *super_bounds(const struct cdp_super *s)
{
	if (!block_sectors_valid(s->block_sectors))
		return "superblock: block size is not a power of two from 4 KiB to 64 KiB";
	if (!journal_blocks_valid(s->journal_blocks))
		return "superblock: journal size is out of range";
	if (s->data_start != cdp_data_start(s->journal_blocks))
		return "superblock: data area does not follow the journal";
	if (!s->nr_data_blocks || s->nr_data_blocks >> CDP_PBLOCK_BITS)
		return "superblock: number of data blocks is out of range";
	if (s->used_data_blocks > s->nr_data_blocks)
		return "superblock: more data blocks in use than there are";
	if (s->tree_depth > CDP_MAX_DEPTH)
		return "superblock: index is too deep";
	if (s->time >> CDP_TIME_BITS)
		return "superblock: time is out of range";
	if (s->next_volume >> CDP_VOLUME_BITS)
		return "superblock: volume number is out of range";
	return NULL;
}

const char *cdp_super_unpack(struct cdp_super *super, const void *block)
{
	const struct cdp_super_disk *d = block;

	if (le64_to_cpu(d->magic) != CDP_SUPER_MAGIC)
		return "superblock: not the metadata device of a cdp pool";
	if (d->csum != summed_csum(block))
		return "superblock: checksum does not match";
	if (le32_to_cpu(d->version) != CDP_FORMAT_VERSION)
		return "superblock: format version is not supported";
	if (d->incompat)
		return "superblock: uses features that this version does not know";
	if (d->blocknr)
		return "superblock: not written for this place";

	memcpy(super->uuid, d->uuid, sizeof(super->uuid));
	super->compat = le64_to_cpu(d->compat);
	super->generation = le64_to_cpu(d->generation);
	super->time = le64_to_cpu(d->time);
	super->journal_seq = le64_to_cpu(d->journal_seq);
	super->block_sectors = le32_to_cpu(d->block_sectors);
	super->next_volume = le32_to_cpu(d->next_volume);
	super->data_start = le64_to_cpu(d->data_start);
	super->nr_data_blocks = le64_to_cpu(d->nr_data_blocks);
	super->nr_metadata_blocks = le64_to_cpu(d->nr_metadata_blocks);
	super->journal_blocks = le64_to_cpu(d->journal_blocks);
	super->used_data_blocks = le64_to_cpu(d->used_data_blocks);
	super->tree_root = le64_to_cpu(d->tree_root);
	super->tree_entries = le64_to_cpu(d->tree_entries);
	super->tree_leaves = le64_to_cpu(d->tree_leaves);
	super->tree_depth = le32_to_cpu(d->tree_depth);
	super->nr_marks = le32_to_cpu(d->nr_marks);
	super->volumes_root = le64_to_cpu(d->volumes_root);
	super->branches_root = le64_to_cpu(d->branches_root);
	super->marks_root = le64_to_cpu(d->marks_root);
	super->space_root = le64_to_cpu(d->space_root);
	memcpy(super->metadata_space_map_root, d->metadata_space_map_root,
	       sizeof(super->metadata_space_map_root));
	return super_bounds(super);
}

void cdp_label_pack(void *block, const struct cdp_label *label)
{
	struct cdp_label_disk *d = block;

	static_assert(sizeof(*d) == SUMMED_SIZE);
	memset(block, 0, CDP_UNIT_SIZE);
	d->version = cpu_to_le32(CDP_FORMAT_VERSION);
	d->magic = cpu_to_le64(CDP_LABEL_MAGIC);
	memcpy(d->uuid, label->uuid, sizeof(d->uuid));
	d->block_sectors = cpu_to_le32(label->block_sectors);
	d->data_start = cpu_to_le64(label->data_start);
	d->journal_blocks = cpu_to_le64(label->journal_blocks);
	d->csum = summed_csum(block);
}

const char *cdp_label_unpack(struct cdp_label *label, const void *block)
{
	const struct cdp_label_disk *d = block;

	if (le64_to_cpu(d->magic) != CDP_LABEL_MAGIC)
		return "label: not the data device of a cdp pool";
	if (d->csum != summed_csum(block))
		return "label: checksum does not match";
	if (le32_to_cpu(d->version) != CDP_FORMAT_VERSION)
		return "label: format version is not supported";
	if (d->blocknr)
		return "label: not written for this place";

	memcpy(label->uuid, d->uuid, sizeof(label->uuid));
	label->block_sectors = le32_to_cpu(d->block_sectors);
	label->data_start = le64_to_cpu(d->data_start);
	label->journal_blocks = le64_to_cpu(d->journal_blocks);
	if (!block_sectors_valid(label->block_sectors) ||
	    !journal_blocks_valid(label->journal_blocks) ||
	    label->data_start != cdp_data_start(label->journal_blocks))
		return "label: sizes are out of range";
	return NULL;
}

const char *cdp_label_mismatch(const struct cdp_label *label, const struct cdp_super *super)
{
	if (memcmp(label->uuid, super->uuid, sizeof(label->uuid)))
		return "the data device belongs to another pool than the metadata device";
	if (label->block_sectors != super->block_sectors ||
	    label->data_start != super->data_start ||
	    label->journal_blocks != super->journal_blocks)
		return "label and superblock disagree on the layout of the data device";
	return NULL;
}
