/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Journal blocks and the records in them, as bytes.
 *
 * Reading never trusts the block: every length and value is checked before use.
 *
 * Pure: user space compiles it too.
 */
#ifndef DM_CDP_RECORD_H
#define DM_CDP_RECORD_H

#include "key.h"

struct cdp_journal_header {
	u64 seq;
	u64 commit_seq;
	u64 durable_seq;
	unsigned int used;
};

/* One record, any type; which fields count is told by cdp_*_record_disk. */
struct cdp_record {
	u8 type;
	u8 flags;
	u32 csum;
	u32 volume;
	u64 time;
	u64 hi;
	u64 pblock;
	u64 nr_sectors;
	u64 revert_to;
	char name[CDP_NAME_SIZE];
	u32 nr_volumes;
	u32 volumes[CDP_MARK_VOLUMES];
};

enum {
	CDP_JOURNAL_ROOM = CDP_UNIT_SIZE - sizeof(struct cdp_journal_disk),
	CDP_WRITES_PER_BLOCK = CDP_JOURNAL_ROOM / sizeof(struct cdp_write_record_disk),
	CDP_RECORD_MAX = sizeof(struct cdp_mark_record_disk) +
			 CDP_MARK_VOLUMES * sizeof(__le32),
};

/* Is the name 1 to 63 of the allowed characters, with a NUL behind it? */
bool cdp_name_valid(const char *name);

/*
 * Encodes the record to buf (CDP_RECORD_MAX bytes); returns its length.
 */
unsigned int cdp_record_pack(void *buf, const struct cdp_record *record);

/* Starts a block; then append records, then seal it. */
void cdp_journal_init(void *block, const u8 uuid[16], const struct cdp_journal_header *header);

/* Room for len more bytes of records, or NULL if the block is full. */
void *cdp_journal_append(void *block, unsigned int len);
void cdp_journal_seal(void *block);

/* A write record, in place. */
void cdp_write_record_pack(struct cdp_write_record_disk *d, const struct cdp_version *v,
			   u32 csum);

/*
 * Is the block a sealed journal block of this pool with this seq?  NULL, or why not (which
 * is where replay ends).
 */
const char *cdp_journal_open(struct cdp_journal_header *header, const void *block,
			     const u8 uuid[16], u64 seq);

/*
 * Decodes the record at *offset (0 at first) of an opened block and advances.
 * 1: *record is filled; 0: no more; -EINVAL: the block holds what no version of this
 * code wrote.
 */
int cdp_record_next(struct cdp_record *record, const void *block,
		    const struct cdp_journal_header *header, unsigned int *offset);

#endif
