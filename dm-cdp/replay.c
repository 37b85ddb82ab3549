// SPDX-License-Identifier: GPL-2.0-only
/*
 * Replay: what the journal holds from the superblock's position on, into the
 * active tail and the catalog.
 *
 * It ends at the first block that is not the next one in sequence: never written, torn, or of
 * an earlier turn of the ring.  No flush that needed that block was
 * acknowledged.  Inside a sound block nothing may be unsound; if it is, the pool is not opened.
 */
#include "pool.h"

#include <linux/blkdev.h>
#include <linux/crc32c.h>
#include <linux/slab.h>

struct replay {
	struct cdp_pool *pool;
	struct page *page;
	u64 seq;
	u64 time;		/* the latest one met */
	char **error;
};

static int read_unit(struct cdp_pool *pool, sector_t sector, struct page *page)
{
	struct bio_vec vec;
	struct bio bio;
	int r;

	bio_init(&bio, pool->data_bdev, &vec, 1, REQ_OP_READ);
	bio.bi_iter.bi_sector = sector;
	__bio_add_page(&bio, page, CDP_UNIT_SIZE, 0);
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

static int replay_block(struct replay *replay, const struct cdp_journal_header *header)
{
	struct cdp_record record;
	unsigned int offset = 0;
	int r;

	while ((r = cdp_record_next(&record, page_address(replay->page), header, &offset)) > 0) {
		replay->time = max(replay->time, record.time);
		if (record.type == CDP_REC_WRITE)
			r = replay_write(replay, &record);
		else
			r = replay_change(replay, &record);
		if (r)
			break;
	}
	if (r)
		*replay->error = "the journal holds a record that does not fit the pool";
	return r;
}

static int replay_all(struct replay *replay)
{
	struct cdp_pool *pool = replay->pool;
	const struct cdp_journal *j = &pool->journal;
	u64 end = replay->seq + j->blocks;
	int r = 0;

	while (!r && replay->seq < end) {
		struct cdp_journal_header header;

		r = read_unit(pool, cdp_journal_sector(j, replay->seq), replay->page);
		if (r) {
			*replay->error = "the journal cannot be read";
			return r;
		}
		if (cdp_journal_open(&header, page_address(replay->page),
				     pool->metadata.super.uuid, replay->seq))
			break;
		r = replay_block(replay, &header);
		replay->seq++;
	}
	return r;
}

int cdp_replay(struct cdp_pool *pool, char **error)
{
	struct replay replay = {
		.pool = pool,
		.seq = pool->metadata.super.journal_seq,
		.time = pool->metadata.super.time,
		.error = error,
	};
	int r;

	replay.page = alloc_page(GFP_KERNEL);
	if (!replay.page)
		return -ENOMEM;
	mutex_lock(&pool->catalog.mutex);
	r = replay_all(&replay);
	mutex_unlock(&pool->catalog.mutex);
	__free_page(replay.page);

	pool->journal.tail_seq = pool->metadata.super.journal_seq;
	pool->journal.head = replay.seq;
	pool->checkpoint_seq = pool->journal.tail_seq;
	cdp_gate_init(&pool->gate, replay.time);
	if (!r && replay.seq != pool->journal.tail_seq)
		DMINFO("%s: replayed %llu journal blocks, %llu versions",
		       dm_device_name(pool->md), replay.seq - pool->journal.tail_seq,
		       pool->index.active->nr);
	return r;
}
