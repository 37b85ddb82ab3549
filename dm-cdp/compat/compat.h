/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Differences between the kernels that dm-cdp is built for.  The rest of the code reads
 * as if it were in the tree of the newest; LINUX_VERSION_CODE stands here and nowhere else.
 */
#ifndef DM_CDP_COMPAT_H
#define DM_CDP_COMPAT_H

#include <linux/blkdev.h>
#include <linux/device-mapper.h>
#include <linux/version.h>

/* May the table be written through?  Since 6.5 the mode is of block devices, not of files. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 5, 0)
#define cdp_table_writable(table) (dm_table_get_mode(table) & BLK_OPEN_WRITE)
#else
#define cdp_table_writable(table) (dm_table_get_mode(table) & FMODE_WRITE)
#endif

/* Any length, in whole blocks.  Since 6.9 the user's own limit is a field apart. */
static inline void cdp_set_discard_limits(struct queue_limits *limits, unsigned int block_bytes)
{
	unsigned int max = round_down(UINT_MAX >> SECTOR_SHIFT, block_bytes >> SECTOR_SHIFT);

	limits->discard_granularity = block_bytes;
	limits->max_hw_discard_sectors = max;
	limits->max_write_zeroes_sectors = max;
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 9, 0)
	limits->max_discard_sectors = max;
#endif
}

/* Exported to modules, but declared in drivers/md/dm.h, which no headers package has. */
void dm_internal_suspend_noflush(struct mapped_device *md);
void dm_internal_resume(struct mapped_device *md);

#endif
