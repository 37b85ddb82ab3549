// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reads and writes of volumes and views.
 *
 * A write goes, whole, to a contiguous run of free blocks: map() takes the run
 * and a time, sends the bio there, and when it completes its versions enter the
 * tail.  Nothing is read, nothing sleeps, no metadata is touched.  A read is
 * looked up in the tails and in cached tree nodes; only a cold one goes to a
 * worker.
 *
 * A bio is cut in map() (dm_accept_partial_bio) where the free run or the run of
 * a read ends, and where its ends do not cover whole blocks; what is
 * left comes back as a bio of its own.  In a worker, where that is not possible any more,
 * it is cut into cdp_splits.
 */
#include "pool.h"

#include <linux/blkdev.h>
#include <linux/crc32c.h>

enum { CHECKED_BYTES = 64 * 1024 };	/* longer writes are not copied */

static sector_t in_block(const struct cdp_pool *pool, sector_t sector)
{
	return sector & (pool->block_sectors - 1);
}

static void remap(struct cdp_pool *pool, struct bio *bio, u64 pblock, sector_t offset)
{
	bio_set_dev(bio, pool->data_bdev);
	bio->bi_iter.bi_sector = pool->data_start + (pblock << pool->block_shift) + offset;
}

/*
 * Ending
 */
void cdp_io_finish(struct cdp_io *io, blk_status_t status)
{
	struct bio *bio = cdp_io_bio(io);

	if (status)	/* one of a split may have set it already */
		bio->bi_status = status;
	bio_endio(bio);
}

static void flush_done(struct cdp_waiter *waiter, blk_status_t status)
{
	cdp_io_finish(container_of(waiter, struct cdp_io, waiter), status);
}

void cdp_io_end_write(struct cdp_io *io, bool ok)
{
	struct cdp_pool *pool = io->pool;
	struct cdp_extent *extents = io->extents;
	unsigned long flags;

	io->extents = NULL;
	if (ok) {
		cdp_index_add(&pool->index, io->volume, extents);
	} else {
		if (!(extents->v.flags & CDP_TOMBSTONE)) {
			spin_lock_irqsave(&pool->lock, flags);
			cdp_space_release(&pool->space, io->pblock, io->nr);
			spin_unlock_irqrestore(&pool->lock, flags);
		}
		cdp_extents_free(extents);
	}
	atomic64_sub(io->nr_extents, &pool->in_flight);
	cdp_gate_leave(&pool->gate, io->side);
	cdp_checkpoint_poll(pool);
}

/*
 * Every clone comes by here when it ends.  One with FUA comes twice: after its
 * data, and when its record is durable too.
 */
int cdp_io_end(struct cdp_io *io, struct bio *bio, blk_status_t *error)
{
	if (io->extents)
		cdp_io_end_write(io, !*error);
	if (!io->fua || *error)
		return DM_ENDIO_DONE;

	io->fua = false;
	io->waiter.done = flush_done;
	cdp_journal_flush_later(io->pool, &io->waiter);
	return DM_ENDIO_INCOMPLETE;
}

/*
 * Writes
 */
static void stamp(struct cdp_extent *extents, u64 time, u64 pblock, bool zero)
{
	struct cdp_extent *e;

	for (e = extents; e; e = e->next) {
		e->v.time = time;
		e->v.flags = zero ? CDP_TOMBSTONE : 0;
		e->v.pblock = zero ? 0 : pblock;
		pblock += cdp_hi_blocks(e->v.hi);
	}
}

static unsigned int max_level(bool zero)
{
	return zero ? CDP_NR_LEVELS - 1 : CDP_MAX_WRITE_LEVEL;
}

/* Blocks, then a time: 0, -EAGAIN while the volume is being reverted, or -ENOSPC. */
static int pass_gate(struct cdp_io *io, u64 nr, bool zero, u64 *time)
{
	struct cdp_pool *pool = io->pool;
	unsigned long flags;
	int r = 0;

	spin_lock_irqsave(&pool->lock, flags);
	io->nr = nr;
	if (io->volume->reverting)
		r = -EAGAIN;
	else if (!zero)
		io->nr = cdp_space_alloc(&pool->space, nr, &io->pblock);
	if (!io->nr)
		r = -ENOSPC;
	if (!r)
		*time = cdp_gate_enter(&pool->gate, &io->side);
	spin_unlock_irqrestore(&pool->lock, flags);
	return r;
}

int cdp_io_may_write(const struct cdp_pool *pool)
{
	if (!cdp_pool_writable(pool))
		return -EROFS;
	if (READ_ONCE(pool->index.active->nr) + atomic64_read(&pool->in_flight) <
	    READ_ONCE(pool->tail_limit))
		return 0;
	return READ_ONCE(pool->mode) == CDP_MODE_NO_METADATA_SPACE ? -ENOSPC : -EAGAIN;
}

/* The tail has to have room for them when they are written. */
static void account(struct cdp_io *io)
{
	const struct cdp_extent *e;

	io->nr_extents = 0;
	for (e = io->extents; e; e = e->next)
		io->nr_extents++;
	atomic64_add(io->nr_extents, &io->pool->in_flight);
}

int cdp_io_begin_write(struct cdp_io *io, u64 lba, u64 nr, bool zero, gfp_t gfp)
{
	struct cdp_pool *pool = io->pool;
	struct cdp_extent *extents;
	u64 time;
	int r;

	r = cdp_io_may_write(pool);
	if (r)
		return r;
	extents = cdp_extents_alloc(io->volume->id, lba, nr, max_level(zero), gfp);
	if (!extents)
		return -ENOMEM;
	r = pass_gate(io, nr, zero, &time);
	if (r) {
		cdp_extents_free(extents);
		if (r == -ENOSPC)
			cdp_pool_set_mode(pool, CDP_MODE_NO_DATA_SPACE,
					  "the data device is full");
		return r;
	}
	io->extents = extents;
	if (io->nr < nr) {
		io->extents = cdp_extents_alloc(io->volume->id, lba, io->nr, max_level(zero),
						gfp);
		if (!io->extents) {
			io->extents = extents;
			account(io);
			cdp_io_end_write(io, false);
			return -ENOMEM;
		}
		cdp_extents_free(extents);
	}
	account(io);
	stamp(io->extents, time, io->pblock, zero);
	return 0;
}

int cdp_io_begin_write_at(struct cdp_io *io, u64 lba, u64 time)
{
	struct cdp_pool *pool = io->pool;
	struct cdp_extent *extent;
	int r = cdp_io_may_write(pool);
	u64 got;

	if (r && r != -EAGAIN)		/* the tail can bear a batch more */
		return r;
	spin_lock_irq(&pool->lock);
	got = cdp_space_alloc(&pool->space, 1, &io->pblock);
	spin_unlock_irq(&pool->lock);
	if (!got) {
		cdp_pool_set_mode(pool, CDP_MODE_NO_DATA_SPACE, "the data device is full");
		return -ENOSPC;
	}
	extent = cdp_extents_alloc(io->volume->id, lba, 1, 0, GFP_NOIO | __GFP_NOFAIL);
	io->nr = 1;
	io->extents = extent;
	account(io);
	stamp(extent, time, io->pblock, false);
	return 0;
}

/* It goes on in a worker: after a checkpoint or a revert, or where memory can be waited for. */
static void throttle(struct cdp_io *io, int r)
{
	struct cdp_pool *pool = io->pool;
	unsigned long flags;

	spin_lock_irqsave(&pool->lock, flags);
	list_add_tail(&io->list, &pool->throttled);
	spin_unlock_irqrestore(&pool->lock, flags);
	if (r == -ENOMEM)
		queue_work(pool->io_wq, &pool->throttled_work);
	else
		cdp_checkpoint_kick(pool);
}

static int map_failed(struct cdp_io *io, int r)
{
	if (r == -EAGAIN || r == -ENOMEM) {
		throttle(io, r);
		return DM_MAPIO_SUBMITTED;
	}
	cdp_io_finish(io, errno_to_blk_status(r));
	return DM_MAPIO_SUBMITTED;
}

/*
 * Checked writes: from a copy, so that nobody changes the data between their checksum and the
 * device.  (A guest may well change a page that it is writing.)
 */
static void checked_end_io(struct bio *bio)
{
	struct cdp_split *split = container_of(bio, struct cdp_split, bio);
	struct bio *parent = split->parent;
	struct bio_vec *vec;
	struct bvec_iter_all all;

	parent->bi_status = bio->bi_status;
	bio_for_each_segment_all(vec, bio, all)
		__free_page(vec->bv_page);
	bio_put(bio);
	bio_endio(parent);
}

static struct bio *copy_of(struct cdp_pool *pool, struct bio *bio)
{
	unsigned int left = bio->bi_iter.bi_size;
	struct bio *copy;

	copy = bio_alloc_bioset(pool->data_bdev, DIV_ROUND_UP(left, PAGE_SIZE), bio->bi_opf,
				GFP_NOWAIT | __GFP_NOWARN, &pool->splits);
	if (!copy)
		return NULL;
	bio_clear_polled(copy);
	copy->bi_iter.bi_sector = bio->bi_iter.bi_sector;
	while (left) {
		unsigned int len = min_t(unsigned int, left, PAGE_SIZE);
		struct page *page = alloc_page(GFP_NOWAIT | __GFP_NOWARN);

		if (!page) {
			bio_free_pages(copy);
			bio_put(copy);
			return NULL;
		}
		__bio_add_page(copy, page, len, 0);
		left -= len;
	}
	bio_copy_data(copy, bio);
	return copy;
}

static void sum_extents(struct cdp_pool *pool, struct cdp_extent *extents, struct bio *copy)
{
	struct bvec_iter iter = copy->bi_iter;
	struct cdp_extent *e;

	for (e = extents; e; e = e->next) {
		unsigned int left = cdp_hi_blocks(e->v.hi) << (pool->block_shift + SECTOR_SHIFT);
		u32 csum = ~0;

		while (left) {
			struct bio_vec vec = bio_iter_iovec(copy, iter);
			unsigned int len = min(left, vec.bv_len);

			csum = crc32c(csum, page_address(vec.bv_page) + vec.bv_offset, len);
			bio_advance_iter_single(copy, &iter, len);
			left -= len;
		}
		e->csum = csum;
		e->checked = true;
	}
}

/* False if it is too long or there is no memory: then it goes the ordinary way. */
static bool write_checked(struct cdp_io *io, struct bio *bio)
{
	struct cdp_split *split;
	struct bio *copy;

	if (bio->bi_iter.bi_size > CHECKED_BYTES)
		return false;
	copy = copy_of(io->pool, bio);
	if (!copy)
		return false;
	sum_extents(io->pool, io->extents, copy);
	split = container_of(copy, struct cdp_split, bio);
	split->parent = bio;
	copy->bi_end_io = checked_end_io;
	submit_bio_noacct(copy);
	return true;
}

static int map_write(struct cdp_io *io, struct bio *bio)
{
	struct cdp_pool *pool = io->pool;
	sector_t sector = bio->bi_iter.bi_sector, offset = in_block(pool, sector);
	unsigned int sectors = bio_sectors(bio);
	int r;

	if (offset || sectors < pool->block_sectors) {
		sectors = min_t(sector_t, sectors, pool->block_sectors - offset);
		if (sectors < bio_sectors(bio))
			dm_accept_partial_bio(bio, sectors);
		cdp_partial_queue(io);
		return DM_MAPIO_SUBMITTED;
	}
	sectors -= in_block(pool, sectors);
	if (sectors < bio_sectors(bio))
		dm_accept_partial_bio(bio, sectors);
	r = cdp_io_begin_write(io, sector >> pool->block_shift, sectors >> pool->block_shift,
			       false, GFP_NOWAIT | __GFP_NOWARN);
	if (r)
		return map_failed(io, r);
	if (io->nr << pool->block_shift < sectors)
		dm_accept_partial_bio(bio, io->nr << pool->block_shift);
	remap(pool, bio, io->pblock, 0);
	if (cdp_journal_wants_checked(pool) && write_checked(io, bio))
		return DM_MAPIO_SUBMITTED;
	return DM_MAPIO_REMAPPED;
}

/* The whole blocks of a discard; the ends are only a hint that is not taken. */
static u64 discard_blocks(struct cdp_pool *pool, struct bio *bio, u64 *lba)
{
	u64 end = bio_end_sector(bio) >> pool->block_shift;

	*lba = (bio->bi_iter.bi_sector + pool->block_sectors - 1) >> pool->block_shift;
	return end > *lba ? end - *lba : 0;
}

static int write_zeroes(struct cdp_io *io, struct bio *bio, gfp_t gfp)
{
	u64 lba, nr = discard_blocks(io->pool, bio, &lba);
	int r = nr ? cdp_io_begin_write(io, lba, nr, true, gfp) : 0;

	if (!r)
		cdp_io_finish(io, BLK_STS_OK);
	return r;
}

/* Zeroes have to be exact: what does not cover a block is written like data. */
static bool cut_zeroes(struct cdp_pool *pool, struct bio *bio)
{
	sector_t offset = in_block(pool, bio->bi_iter.bi_sector);
	unsigned int sectors = bio_sectors(bio);
	bool partial = offset || sectors < pool->block_sectors;

	sectors = partial ? min_t(sector_t, sectors, pool->block_sectors - offset) :
			    sectors - in_block(pool, sectors);
	if (sectors < bio_sectors(bio))
		dm_accept_partial_bio(bio, sectors);
	return partial;
}

static int map_zeroes(struct cdp_io *io, struct bio *bio)
{
	int r;

	if (bio_op(bio) == REQ_OP_WRITE_ZEROES && cut_zeroes(io->pool, bio)) {
		cdp_partial_queue(io);
		return DM_MAPIO_SUBMITTED;
	}
	r = write_zeroes(io, bio, GFP_NOWAIT | __GFP_NOWARN);
	return r ? map_failed(io, r) : DM_MAPIO_SUBMITTED;
}

/*
 * Splits, in a worker
 */
static void split_end_io(struct bio *bio)
{
	struct cdp_split *split = container_of(bio, struct cdp_split, bio);
	struct bio *parent = split->parent;

	if (split->io.extents)
		cdp_io_end_write(&split->io, !bio->bi_status);
	if (bio->bi_status)
		parent->bi_status = bio->bi_status;
	bio_put(bio);
	bio_endio(parent);
}

/* A bio for the first sectors of the parent, which does not end before it. */
static struct cdp_split *split_off(struct cdp_io *io, struct bio *parent, unsigned int sectors)
{
	struct cdp_pool *pool = io->pool;
	struct cdp_split *split;
	struct bio *bio;

	bio = bio_alloc_clone(pool->data_bdev, parent, GFP_NOIO, &pool->splits);
	bio->bi_iter.bi_size = sectors << SECTOR_SHIFT;
	bio->bi_opf &= ~(REQ_FUA | REQ_PREFLUSH);
	bio_clear_polled(bio);
	bio->bi_end_io = split_end_io;
	bio_advance(parent, sectors << SECTOR_SHIFT);
	bio_inc_remaining(parent);

	split = container_of(bio, struct cdp_split, bio);
	memset(&split->io, 0, sizeof(split->io));
	split->io.pool = pool;
	split->io.volume = io->volume;
	split->parent = parent;
	return split;
}

/* 0: all of it is under way; otherwise what stands in the way of the rest. */
static int write_splits(struct cdp_io *io, struct bio *bio)
{
	struct cdp_pool *pool = io->pool;

	while (bio->bi_iter.bi_size) {
		u64 lba = bio->bi_iter.bi_sector >> pool->block_shift;
		u64 nr = bio_sectors(bio) >> pool->block_shift;
		struct cdp_io begun = { .pool = pool, .volume = io->volume };
		struct cdp_split *split;
		int r;

		r = cdp_io_begin_write(&begun, lba, nr, false, GFP_NOIO);
		if (r)
			return r;
		split = split_off(io, bio, begun.nr << pool->block_shift);
		split->io.extents = begun.extents;
		split->io.pblock = begun.pblock;
		split->io.nr = begun.nr;
		split->io.nr_extents = begun.nr_extents;
		split->io.side = begun.side;
		remap(pool, &split->bio, begun.pblock, 0);
		submit_bio_noacct(&split->bio);
	}
	cdp_io_finish(io, BLK_STS_OK);
	return 0;
}

static int retry_write(struct cdp_io *io)
{
	struct bio *bio = cdp_io_bio(io);

	if (bio_op(bio) == REQ_OP_WRITE)
		return write_splits(io, bio);
	return write_zeroes(io, bio, GFP_NOIO);
}

/* After a checkpoint or a revert, or for memory: once through those that waited before it. */
void cdp_io_throttled_work(struct work_struct *work)
{
	struct cdp_pool *pool = container_of(work, struct cdp_pool, throttled_work);
	LIST_HEAD(waiting);

	spin_lock_irq(&pool->lock);
	list_splice_init(&pool->throttled, &waiting);
	spin_unlock_irq(&pool->lock);

	while (!list_empty(&waiting)) {
		struct cdp_io *io = list_first_entry(&waiting, struct cdp_io, list);
		int r;

		list_del(&io->list);
		r = retry_write(io);
		if (r == -EAGAIN || r == -ENOMEM)
			throttle(io, r);
		else if (r)
			cdp_io_finish(io, errno_to_blk_status(r));
	}
}

/*
 * Reads
 */
static int locate(struct cdp_io *io, struct bio *bio, bool may_block,
		  struct cdp_location *location, unsigned int *sectors)
{
	struct cdp_pool *pool = io->pool;
	sector_t sector = bio->bi_iter.bi_sector, offset = in_block(pool, sector);
	u64 nr = (offset + bio_sectors(bio) + pool->block_sectors - 1) >> pool->block_shift;
	int r;

	r = cdp_index_locate(&pool->index, io->volume, io->lineage ?: io->volume->lineage,
			     sector >> pool->block_shift, nr, may_block, location);
	if (!r)
		*sectors = min_t(u64, bio_sectors(bio),
				 (location->nr << pool->block_shift) - offset);
	return r;
}

/* Sends the bio to where its data are; true if it is done already. */
static bool remap_read(struct cdp_pool *pool, struct bio *bio,
		       const struct cdp_location *location)
{
	if (location->zero) {
		zero_fill_bio(bio);
		return true;
	}
	remap(pool, bio, location->pblock, in_block(pool, bio->bi_iter.bi_sector));
	return false;
}

static void read_splits(struct cdp_io *io, struct bio *bio)
{
	struct cdp_pool *pool = io->pool;
	int r = 0;

	while (bio->bi_iter.bi_size) {
		struct cdp_location location;
		struct cdp_split *split;
		unsigned int sectors;

		down_read(&pool->index.lock);
		r = locate(io, bio, true, &location, &sectors);
		up_read(&pool->index.lock);
		if (r)
			break;
		split = split_off(io, bio, sectors);
		if (remap_read(pool, &split->bio, &location))
			bio_endio(&split->bio);
		else
			submit_bio_noacct(&split->bio);
	}
	cdp_io_finish(io, errno_to_blk_status(r));
}

static void read_work(struct work_struct *work)
{
	struct cdp_io *io = container_of(work, struct cdp_io, work);

	read_splits(io, cdp_io_bio(io));
}

static int map_read(struct cdp_io *io, struct bio *bio)
{
	struct cdp_pool *pool = io->pool;
	struct cdp_location location;
	unsigned int sectors;
	int r = -EWOULDBLOCK;

	if (down_read_trylock(&pool->index.lock)) {
		r = locate(io, bio, false, &location, &sectors);
		up_read(&pool->index.lock);
	}
	if (r == -EWOULDBLOCK) {
		INIT_WORK(&io->work, read_work);
		queue_work(pool->io_wq, &io->work);
		return DM_MAPIO_SUBMITTED;
	}
	if (r) {
		cdp_io_finish(io, errno_to_blk_status(r));
		return DM_MAPIO_SUBMITTED;
	}
	if (sectors < bio_sectors(bio))
		dm_accept_partial_bio(bio, sectors);
	if (!remap_read(pool, bio, &location))
		return DM_MAPIO_REMAPPED;
	cdp_io_finish(io, BLK_STS_OK);
	return DM_MAPIO_SUBMITTED;
}

int cdp_io_map(struct cdp_io *io, struct bio *bio)
{
	if (unlikely(READ_ONCE(io->pool->mode) == CDP_MODE_FAIL)) {
		cdp_io_finish(io, BLK_STS_IOERR);
		return DM_MAPIO_SUBMITTED;
	}
	if (bio_op(bio) == REQ_OP_READ)
		return map_read(io, bio);
	if (bio->bi_opf & REQ_PREFLUSH) {
		io->waiter.done = flush_done;
		cdp_journal_flush(io->pool, &io->waiter);
		return DM_MAPIO_SUBMITTED;
	}
	if (bio->bi_opf & REQ_FUA) {
		io->fua = true;
		bio->bi_opf &= ~REQ_FUA;
	}
	if (bio_op(bio) == REQ_OP_WRITE)
		return map_write(io, bio);
	return map_zeroes(io, bio);
}
