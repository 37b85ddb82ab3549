/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a new pool on two devices will look like, and whether there will be one: the module's
 * own rules (pool.c, metadata.c there), so that nothing is wiped for a pool that it refuses.
 *
 * Pure: no I/O.
 */
#ifndef LIBCDP_GEOMETRY_H
#define LIBCDP_GEOMETRY_H

#include <linux/types.h>

struct cdp_geometry {
	/* To be set; journal_blocks 0: the module's choice, which is filled in. */
	u64 metadata_bytes;
	u64 data_bytes;
	u32 block_sectors;
	u64 journal_blocks;

	/* Filled in */
	u64 data_start;			/* sectors */
	u64 nr_data_blocks;
	u64 metadata_min;		/* bytes that the metadata device has to have */
};

enum cdp_geometry_error {
	CDP_GEOMETRY_OK,
	CDP_GEOMETRY_DATA_SMALL,	/* for label, journal and one block */
	CDP_GEOMETRY_DATA_LARGE,	/* no metadata device holds the bitmap of so many blocks */
	CDP_GEOMETRY_METADATA_SMALL,	/* less than metadata_min */
};

enum cdp_geometry_error cdp_geometry_fill(struct cdp_geometry *geometry);

#endif
