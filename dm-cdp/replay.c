// SPDX-License-Identifier: GPL-2.0-only
/*
 * Replay: what the journal holds from the superblock's position on, into the
 * active tail and the catalog.
 *
 * It ends at the first block that is not the next one in sequence: never written, torn, or of
 * an earlier turn of the ring.  No flush that needed that block was
 * acknowledged.  Inside a sound block nothing may be unsound; if it is, the pool is not opened.
 *
 * The last round may have been written beside its data, not behind them.  So a round is held
 * back until the next one shows that it had become durable; the last one's data
 * are compared with the checksums in their records, and it ends before the first block that
 * fails.
 *
 * Blocks of a round that was torn may stand behind the end.  Nothing could tell them from the
 * blocks that are written next, but their numbers: so the first checkpoint, right after the
 * replay, lets the journal start over behind every number that they can have.
 */
#include "pool.h"

#include <linux/blkdev.h>
#include <linux/crc32c.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

enum { WINDOW = CDP_ROUND_BLOCKS };	/* blocks read at a time */

struct replay {
	struct cdp_pool *pool;
	char **error;
	u64 seq;		/* the next block */
	u64 time;		/* the latest one met */
	u8 *window;		/* blocks as read, from window_seq on */
	u64 window_seq;
	unsigned int window_nr;
	u8 *held;		/* the blocks of one round */
	struct cdp_journal_header headers[CDP_ROUND_BLOCKS];
	unsigned int nr_held;
};

static int read_data(struct cdp_pool *pool, sector_t sector, void *buf, unsigned int units)
{
	struct bio_vec vecs[WINDOW];
	struct bio bio;
	int r;

	bio_init(&bio, pool->data_bdev, vecs, WINDOW, REQ_OP_READ);
	bio.bi_iter.bi_sector = sector;
	for (; units; units--, buf += CDP_UNIT_SIZE)
		__bio_add_page(&bio, vmalloc_to_page(buf), CDP_UNIT_SIZE, 0);
	r = submit_bio_wait(&bio);
	bio_uninit(&bio);
	return r;
}

static bool write_in_bounds(struct cdp_pool *pool, const struct cdp_volume *volume,
			    const struct cdp_record *r)
{
	u64 nr = cdp_hi_blocks(r->hi), blocks = volume->nr_sectors >> pool->block_shift;

	if (cdp_hi_lba(r->hi) + nr > blocks || r->time <= volume->created)
		return false;
	return (r->flags & CDP_TOMBSTONE) || r->pblock + nr <= pool->nr_data_blocks;
}

static int replay_write(struct replay *replay, const struct cdp_record *r)
{
	struct cdp_pool *pool = replay->pool;
	struct cdp_volume *volume = cdp_catalog_volume_by_id(&pool->catalog, r->volume);
	u64 *newest, nr = cdp_hi_blocks(r->hi);
	struct cdp_extent *extent;
	int error;

	if (!volume || !write_in_bounds(pool, volume, r))
		return -EINVAL;
	extent = cdp_extents_alloc(r->volume, cdp_hi_lba(r->hi), nr, cdp_hi_level(r->hi),
				   GFP_KERNEL);
	if (!extent)
		return -ENOMEM;
	extent->v = (struct cdp_version){ .hi = r->hi, .time = r->time, .pblock = r->pblock,
					  .flags = r->flags & CDP_TOMBSTONE };
	error = cdp_tail_restore(pool->index.active, extent);
	if (error) {
		cdp_extents_free(extent);
		return error;
	}
	if (!(r->flags & CDP_TOMBSTONE))
		cdp_space_claim(&pool->space, r->pblock, nr);
	newest = &volume->newest[cdp_hi_level(r->hi)];
	*newest = max(*newest, r->time);
	volume->newest_dirty = true;
	return 0;
}

static int replay_change(struct replay *replay, const struct cdp_record *r)
{
	struct cdp_change *change;

	change = cdp_change_prepare(&replay->pool->catalog, r);
	if (IS_ERR(change))
		return PTR_ERR(change);
	cdp_change_apply(&replay->pool->catalog, change);
	return 0;
}

static int apply_block(struct replay *replay, unsigned int i)
{
	const void *block = replay->held + i * CDP_UNIT_SIZE;
	struct cdp_record record;
	unsigned int offset = 0;
	int r;

	while ((r = cdp_record_next(&record, block, &replay->headers[i], &offset)) > 0) {
		replay->time = max(replay->time, record.time);
		if (record.type == CDP_REC_WRITE)
			r = replay_write(replay, &record);
		else
			r = replay_change(replay, &record);
		if (r)
			break;
	}
	if (r)
		*replay->error = r == -ENOMEM ? "out of memory" :
				 "the journal holds a record that does not fit the pool";
	return r;
}

static int apply_held(struct replay *replay, unsigned int nr)
{
	unsigned int i;
	int r = 0;

	for (i = 0; i < nr && !r; i++)
		r = apply_block(replay, i);
	replay->nr_held = 0;
	return r;
}

/* 1: the data of the record are on the device, 0: not, or an error. */
static int data_match(struct replay *replay, const struct cdp_record *record)
{
	struct cdp_pool *pool = replay->pool;
	u64 nr = cdp_hi_blocks(record->hi), units;
	sector_t sector = pool->data_start + (record->pblock << pool->block_shift);
	u32 csum = ~0;

	if (record->pblock + nr > pool->nr_data_blocks)
		return -EINVAL;
	for (units = (nr << pool->block_shift) / CDP_UNIT_SECTORS; units; units--) {
		int r = read_data(pool, sector, replay->window, 1);

		if (r)
			return r;
		csum = crc32c(csum, replay->window, CDP_UNIT_SIZE);
		sector += CDP_UNIT_SECTORS;
	}
	return csum == record->csum;
}

static int block_matches(struct replay *replay, unsigned int i)
{
	const void *block = replay->held + i * CDP_UNIT_SIZE;
	struct cdp_record record;
	unsigned int offset = 0;
	int r;

	while ((r = cdp_record_next(&record, block, &replay->headers[i], &offset)) > 0) {
		if (record.type != CDP_REC_WRITE || !(record.flags & CDP_CHECKED))
			continue;
		r = data_match(replay, &record);
		if (r <= 0)
			return r;
	}
	return r ?: 1;
}

/* The last round: as many of its blocks as have their data. */
static int apply_last(struct replay *replay)
{
	unsigned int i, nr = replay->nr_held;

	for (i = 0; i < nr; i++) {
		int r = block_matches(replay, i);

		if (r < 0) {
			*replay->error = "the journal's last records cannot be checked";
			return r;
		}
		if (!r)
			break;
	}
	return apply_held(replay, i);
}

static int fill_window(struct replay *replay)
{
	struct cdp_pool *pool = replay->pool;
	const struct cdp_journal *j = &pool->journal;
	u64 block;
	int r;

	if (replay->seq < replay->window_seq + replay->window_nr)
		return 0;
	div64_u64_rem(replay->seq, j->blocks, &block);
	replay->window_seq = replay->seq;
	replay->window_nr = min_t(u64, WINDOW, j->blocks - block);
	r = read_data(pool, cdp_journal_sector(j, replay->seq), replay->window,
		      replay->window_nr);
	if (r)
		*replay->error = "the journal cannot be read";
	return r;
}

/* Holds the next block: 1, or 0 if there is none, or an error. */
static int next_block(struct replay *replay)
{
	struct cdp_journal_header header;
	const void *block;
	int r;

	r = fill_window(replay);
	if (r)
		return r;
	block = replay->window + (replay->seq - replay->window_seq) * CDP_UNIT_SIZE;
	if (cdp_journal_open(&header, block, replay->pool->metadata.super.uuid, replay->seq))
		return 0;
	if (header.commit_seq == header.seq) {
		r = apply_held(replay, replay->nr_held);
		if (r)
			return r;
	} else if (!replay->nr_held || replay->nr_held == CDP_ROUND_BLOCKS ||
		   header.commit_seq != replay->headers[0].commit_seq) {
		return 0;
	}
	memcpy(replay->held + replay->nr_held * CDP_UNIT_SIZE, block, CDP_UNIT_SIZE);
	replay->headers[replay->nr_held++] = header;
	replay->seq++;
	return 1;
}

/*
 * Does a later block say that the one where replay ended had become durable?  Then it
 * was not torn by the crash: it is damaged, and what was acknowledged stands behind it.  All
 * of the ring is looked through: more than one round may be damaged.
 */
static int check_end(struct replay *replay)
{
	struct cdp_pool *pool = replay->pool;
	u64 end = replay->seq, stop = pool->metadata.super.journal_seq + pool->journal.blocks;
	int r = 0;

	while (++replay->seq < stop && !r) {
		struct cdp_journal_header header;

		r = fill_window(replay);
		if (r || cdp_journal_open(&header, replay->window + CDP_UNIT_SIZE *
					  (replay->seq - replay->window_seq),
					  pool->metadata.super.uuid, replay->seq))
			continue;
		if (header.durable_seq >= end) {
			*replay->error = "a journal block that had been written is damaged";
			r = -EILSEQ;
		}
	}
	replay->seq = end;
	return r;
}

static int replay_all(struct replay *replay)
{
	u64 end = replay->seq + replay->pool->journal.blocks;
	int r;

	do {
		r = next_block(replay);
	} while (r > 0 && replay->seq < end);
	if (!r)
		r = check_end(replay);
	return r < 0 ? r : apply_last(replay);
}

int cdp_replay(struct cdp_pool *pool, char **error)
{
	const struct cdp_super *super = &pool->metadata.super;
	struct cdp_journal *j = &pool->journal;
	struct replay *replay = kzalloc(sizeof(*replay), GFP_KERNEL);
	int r = -ENOMEM;

	if (!replay)
		return r;
	replay->pool = pool;
	replay->error = error;
	replay->seq = super->journal_seq;
	replay->time = super->time;
	replay->window = vmalloc(WINDOW * CDP_UNIT_SIZE);
	replay->held = vmalloc(CDP_ROUND_BLOCKS * CDP_UNIT_SIZE);
	if (replay->window && replay->held) {
		mutex_lock(&pool->catalog.mutex);
		r = replay_all(replay);
		mutex_unlock(&pool->catalog.mutex);
	}
	if (!r && replay->seq != super->journal_seq)
		DMINFO("%s: replayed %llu journal blocks, %llu versions",
		       dm_device_name(pool->md), replay->seq - super->journal_seq,
		       pool->index.active->nr);
	j->head = replay->seq + CDP_ROUND_BLOCKS;
	j->tail_seq = j->head;
	pool->checkpoint_seq = j->head;
	cdp_gate_init(&pool->gate, replay->time);
	vfree(replay->window);
	vfree(replay->held);
	kfree(replay);
	return r;
}
