/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A small, sound pool as two images, to be damaged: blocks of dm-persistent-data are put
 * together here by hand, all else by the module's own packers.
 *
 * One volume of two branches, two marks, six versions in an index of two leaves; in the
 * journal, from seq 7 on: a version that the index has already, a new one and a mark; then a
 * revert.
 */
#ifndef UNIT_POOL_IMAGE_H
#define UNIT_POOL_IMAGE_H

#include "super.h"
#include "node.h"
#include "record.h"

enum pool_block {
	POOL_SUPER, POOL_ROOT, POOL_VOLUMES, POOL_BRANCHES, POOL_MARKS, POOL_SPACE,
	POOL_WORDS, POOL_SM_INDEX, POOL_SM_BITMAP, POOL_SM_COUNTS, POOL_LEAF_0, POOL_LEAF_1,
	POOL_USED, POOL_NR_BLOCKS = 64,
};

enum {
	POOL_DATA_BLOCKS = 200,
	POOL_VERSIONS = 6,
	POOL_JOURNAL_SEQ = 7,
	POOL_JOURNAL_BLOCKS = 16,
	POOL_DATA_UNITS = 256 + POOL_DATA_BLOCKS,
};

struct pool_image {
	/* What it is made of; to be changed between init and build. */
	struct cdp_super super;
	struct cdp_label label;
	struct cdp_version versions[POOL_VERSIONS];
	struct cdp_volume_disk volume;
	struct cdp_branch_disk branches[2];
	struct cdp_mark_disk marks[2];
	u64 mark_times[2];
	__le64 words[(POOL_DATA_BLOCKS + 63) / 64];
	struct cdp_version journaled[2];
	struct cdp_record mark, revert;
	struct cdp_version last;	/* written behind the revert, if it has a time */
	u32 last_csum;

	/* The devices. */
	u8 metadata[POOL_NR_BLOCKS][CDP_UNIT_SIZE];
	u8 data[1 + POOL_JOURNAL_BLOCKS][CDP_UNIT_SIZE];
	char metadata_path[64];
	char data_path[64];
};

struct pool_image *pool_image_new(void);	/* sound, built, not written */
void pool_image_free(struct pool_image *p);	/* and its files */

void pool_image_build(struct pool_image *p);
void pool_image_write(struct pool_image *p);	/* to files of its own */

/* The checksum again, of a block that the test has changed. */
void pool_image_seal(struct pool_image *p, enum pool_block block);

#endif
