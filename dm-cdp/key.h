/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The key of a version, and the version itself.
 *
 * A version says: the extent hi (volume, level, lba) was written at time, and
 * its data stand at pblock.  Versions are ordered by hi ascending, then by time
 * descending, so that "the newest version at or before T" is a lower bound.
 *
 * An extent of level l is 8^l blocks long and aligned to its length.  A write is
 * cut into as few extents as that allows, one for the common cases; the data
 * of a bio stay one contiguous run all the same.
 *
 * Pure: no block layer here, user space compiles it too.
 */
#ifndef DM_CDP_KEY_H
#define DM_CDP_KEY_H

#include <linux/types.h>
#include <linux/dm-cdp.h>

struct cdp_version {
	u64 hi;
	u64 time;
	u64 pblock;
	u8 flags;
};

struct cdp_key {
	u64 hi;
	u64 time;
};

static inline u64 cdp_hi(u32 volume, unsigned int level, u64 lba)
{
	return (u64)volume << CDP_HI_VOLUME_SHIFT |
	       (u64)level << CDP_HI_LEVEL_SHIFT | lba;
}

static inline u32 cdp_hi_volume(u64 hi)
{
	return hi >> CDP_HI_VOLUME_SHIFT;
}

static inline unsigned int cdp_hi_level(u64 hi)
{
	return (hi >> CDP_HI_LEVEL_SHIFT) & (CDP_NR_LEVELS - 1);
}

static inline u64 cdp_hi_lba(u64 hi)
{
	return hi & ((1ULL << CDP_LBA_BITS) - 1);
}

/* Blocks in an extent of the level. */
static inline u64 cdp_level_blocks(unsigned int level)
{
	return 1ULL << (level * CDP_LEVEL_SHIFT);
}

static inline u64 cdp_hi_blocks(u64 hi)
{
	return cdp_level_blocks(cdp_hi_level(hi));
}

/* The lba where the level's extent that holds lba starts. */
static inline u64 cdp_level_base(unsigned int level, u64 lba)
{
	return lba & ~(cdp_level_blocks(level) - 1);
}

/* <0, 0, >0 as (a_hi, a_time) comes before, at or after (b_hi, b_time). */
static inline int cdp_key_cmp(u64 a_hi, u64 a_time, u64 b_hi, u64 b_time)
{
	if (a_hi != b_hi)
		return a_hi < b_hi ? -1 : 1;
	if (a_time != b_time)
		return a_time > b_time ? -1 : 1;
	return 0;
}

static inline bool cdp_key_before(struct cdp_key a, struct cdp_key b)
{
	return a.hi < b.hi || (a.hi == b.hi && a.time > b.time);
}

/*
 * The level of the largest extent that starts at lba, is at most nr blocks long
 * and not above max_level.
 */
static inline unsigned int cdp_extent_level(u64 lba, u64 nr, unsigned int max_level)
{
	unsigned int level = 0;

	while (level < max_level) {
		u64 len = cdp_level_blocks(level + 1);

		if (len > nr || (lba & (len - 1)))
			break;
		level++;
	}
	return level;
}

#endif
