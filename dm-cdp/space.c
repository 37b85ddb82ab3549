// SPDX-License-Identifier: GPL-2.0-only
#include "space.h"

#include <linux/bitmap.h>
#include <linux/build_bug.h>
#include <linux/errno.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/vmalloc.h>

enum {
	REGION_SHIFT	= 15,
	REGION_BLOCKS	= 1 << REGION_SHIFT,
	RUN_BLOCKS	= 8192,		/* taken from the bitmap at a time */
};

/* Words on disk are 64 bits; the bitmaps are arrays of long. */
static_assert(BITS_PER_LONG == 64);

u64 cdp_space_words(const struct cdp_space *space)
{
	return (space->nr_blocks + 63) / 64;
}

int cdp_space_init(struct cdp_space *space, u64 nr_blocks)
{
	u64 words, r;

	memset(space, 0, sizeof(*space));
	space->nr_blocks = nr_blocks;
	space->nr_free = nr_blocks;
	space->nr_regions = (nr_blocks + REGION_BLOCKS - 1) >> REGION_SHIFT;
	words = cdp_space_words(space);
	space->region_free = kvcalloc(space->nr_regions, sizeof(u32), GFP_KERNEL);
	/* kvcalloc() ends at 2 GiB. */
	space->allocated = vcalloc(words, sizeof(u64));
	space->committed = vcalloc(words, sizeof(u64));
	space->dirty = kvcalloc(BITS_TO_LONGS(words), sizeof(long), GFP_KERNEL);
	if (!space->region_free || !space->allocated || !space->committed || !space->dirty) {
		cdp_space_exit(space);
		return -ENOMEM;
	}
	for (r = 0; r < space->nr_regions; r++)
		space->region_free[r] = min_t(u64, REGION_BLOCKS,
					      nr_blocks - (r << REGION_SHIFT));
	return 0;
}

void cdp_space_exit(struct cdp_space *space)
{
	kvfree(space->region_free);
	kvfree(space->allocated);
	kvfree(space->committed);
	kvfree(space->dirty);
	memset(space, 0, sizeof(*space));
}

/*
 * Takes free blocks out of the bitmap; they may cross regions.  bitmap_set() counts bits in
 * 32 bits, which do for a run, not for a device: so from the run's word on.
 */
static void take(struct cdp_space *space, u64 block, u64 nr)
{
	bitmap_set(space->allocated + BIT_WORD(block), block % BITS_PER_LONG, nr);
	while (nr) {
		u64 n = min_t(u64, nr, REGION_BLOCKS - (block & (REGION_BLOCKS - 1)));

		space->region_free[block >> REGION_SHIFT] -= n;
		block += n;
		nr -= n;
	}
}

static void give_back(struct cdp_space *space, u64 block, u64 nr)
{
	bitmap_clear(space->allocated + BIT_WORD(block), block % BITS_PER_LONG, nr);
	while (nr) {
		u64 n = min_t(u64, nr, REGION_BLOCKS - (block & (REGION_BLOCKS - 1)));

		space->region_free[block >> REGION_SHIFT] += n;
		block += n;
		nr -= n;
	}
}

void cdp_space_claim(struct cdp_space *space, u64 block, u64 nr)
{
	for (; nr; block++, nr--) {
		if (test_bit(block, space->allocated))
			continue;
		take(space, block, 1);
		space->nr_free--;
	}
}

void cdp_space_load(struct cdp_space *space, u64 word, u64 bits)
{
	u64 left = space->nr_blocks - word * 64;
	unsigned int used;

	if (left < 64)
		bits &= (1ULL << left) - 1;
	used = hweight64(bits);
	space->allocated[word] = bits;
	space->committed[word] = bits;
	space->region_free[word * 64 >> REGION_SHIFT] -= used;
	space->nr_free -= used;
	space->nr_committed += used;
}

/*
 * The next free run at or after the cursor, going round once.  Regions without a free
 * block cost one look each.
 */
static bool find_run(struct cdp_space *space, u64 *block, u64 *end)
{
	u64 region = space->cursor >> REGION_SHIFT, from = space->cursor, i;

	for (i = 0; i <= space->nr_regions; i++) {
		u64 limit = min((region + 1) << REGION_SHIFT, space->nr_blocks);

		if (space->region_free[region]) {
			*block = find_next_zero_bit(space->allocated, limit, from);
			if (*block < limit) {
				*end = find_next_bit(space->allocated,
						     min(limit, *block + RUN_BLOCKS), *block);
				return true;
			}
		}
		region = region + 1 < space->nr_regions ? region + 1 : 0;
		from = region << REGION_SHIFT;
	}
	return false;
}

/* Makes the current run longer, or replaces an empty one. */
static void refill(struct cdp_space *space)
{
	u64 block, end;

	space->cursor = space->run_end < space->nr_blocks ? space->run_end : 0;
	if (!find_run(space, &block, &end))
		return;
	if (space->run != space->run_end && block != space->run_end)
		return;
	take(space, block, end - block);
	if (space->run == space->run_end)
		space->run = block;
	space->run_end = end;
}

u64 cdp_space_alloc(struct cdp_space *space, u64 nr, u64 *block)
{
	if (space->run_end - space->run < nr && space->nr_free)
		refill(space);

	nr = min(nr, space->run_end - space->run);
	*block = space->run;
	space->run += nr;
	space->nr_free -= nr;
	return nr;
}

void cdp_space_release(struct cdp_space *space, u64 block, u64 nr)
{
	give_back(space, block, nr);
	space->nr_free += nr;
}

static void mark_dirty(struct cdp_space *space, u64 block)
{
	__set_bit(block / 64, space->dirty);
}

void cdp_space_commit(struct cdp_space *space, u64 block, u64 nr)
{
	for (; nr; block++, nr--) {
		if (__test_and_set_bit(block, space->committed))
			continue;
		space->nr_committed++;
		mark_dirty(space, block);
	}
}

void cdp_space_uncommit(struct cdp_space *space, u64 block, u64 nr)
{
	for (; nr; block++, nr--) {
		if (!__test_and_clear_bit(block, space->committed))
			continue;
		space->nr_committed--;
		mark_dirty(space, block);
	}
}

bool cdp_space_next_dirty(struct cdp_space *space, u64 *word, u64 *bits)
{
	u64 words = cdp_space_words(space);

	*word = find_next_bit(space->dirty, words, *word);
	if (*word >= words)
		return false;
	__clear_bit(*word, space->dirty);
	*bits = space->committed[*word];
	return true;
}
