// SPDX-License-Identifier: GPL-2.0-only
/*
 * Writes that do not cover a whole block: read, modify, write.
 *
 * A partial write S of a block must not lose any part of another write to that block that
 * was acknowledged, or is under way beside it:
 *
 *   F, whole, issued before S	the batch drains the gate before it reads: F is complete, S
 *				reads it
 *   F, whole, issued after	F has a later time than the batch: F wins in the whole
 *				block, whenever it completes.  The two overlapped, so
 *				either order is right.
 *   S', partial		one worker; no two of one batch touch the same
 *				block, and a batch ends before the next begins
 *
 * All of a batch have one time, the one at which the gate was drained, and read
 * what was visible just before it: a write that is newer than the batch cannot slip into
 * an instant that is older than itself.
 */
#include "pool.h"

#include <linux/blkdev.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

enum {
	BATCH = CDP_PARTIAL_BATCH,
	LOOK = 4 * BATCH,		/* entries of the queue, for a batch */
};

struct partial {
	struct cdp_io *io;
	u64 lba;
	struct cdp_location location;
	struct page *page;
	int error;
};

struct batch {
	struct cdp_pool *pool;
	struct partial items[BATCH];
	unsigned int nr;
	atomic_t pending;
	struct completion done;
};

struct partial_bio {
	struct partial *item;
	struct batch *batch;
	struct bio bio;
	struct bio_vec vec;
};

void cdp_partial_queue(struct cdp_io *io)
{
	struct cdp_pool *pool = io->pool;
	unsigned long flags;

	spin_lock_irqsave(&pool->lock, flags);
	list_add_tail(&io->list, &pool->partial);
	spin_unlock_irqrestore(&pool->lock, flags);
	queue_work(pool->io_wq, &pool->partial_work);
}

static u64 io_lba(const struct cdp_pool *pool, struct cdp_io *io)
{
	return cdp_io_bio(io)->bi_iter.bi_sector >> pool->block_shift;
}

static bool in_batch(const struct batch *b, const struct cdp_io *io, u64 lba)
{
	unsigned int i;

	for (i = 0; i < b->nr; i++)
		if (b->items[i].lba == lba && b->items[i].io->volume == io->volume)
			return true;
	return false;
}

/*
 * In order; what touches a block of the batch stays for the next one.  Interrupts are off, so
 * not all of a long queue is looked at.
 */
static void take_batch(struct batch *b)
{
	struct cdp_pool *pool = b->pool;
	struct cdp_io *io, *next;
	unsigned int looked = 0;

	spin_lock_irq(&pool->lock);
	list_for_each_entry_safe(io, next, &pool->partial, list) {
		u64 lba = io_lba(pool, io);

		if (b->nr == BATCH || looked == LOOK)
			break;
		if (io->volume->reverting)
			continue;
		looked++;
		if (in_batch(b, io, lba))
			continue;
		list_del(&io->list);
		b->items[b->nr++] = (struct partial){ .io = io, .lba = lba };
	}
	spin_unlock_irq(&pool->lock);
}

/*
 * The volume's lineage of now, but not beyond time.  It is a copy in the pool's scratch: this
 * worker is alone.  The volume is not reverted meanwhile, as a revert waits for the batch; so
 * memory can be waited for without the index's lock, which a checkpoint may want.
 */
static const struct cdp_lineage *lineage_until(struct cdp_pool *pool,
					       const struct cdp_volume *volume, u64 time)
{
	const struct cdp_lineage *now = volume->lineage;

	lockdep_assert_held(&pool->partial_mutex);
	if (pool->partial_lineage_nr < now->nr) {
		kvfree(pool->partial_lineage);
		pool->partial_lineage = kvmalloc(struct_size(now, intervals, now->nr),
						 GFP_KERNEL | __GFP_NOFAIL);
		pool->partial_lineage_nr = now->nr;
	}
	memcpy(pool->partial_lineage, now, struct_size(now, intervals, now->nr));
	pool->partial_lineage->intervals[0].hi = time;
	return pool->partial_lineage;
}

static int locate(struct batch *b, struct partial *item, u64 time)
{
	struct cdp_index *index = &b->pool->index;
	const struct cdp_lineage *lineage = lineage_until(b->pool, item->io->volume, time);
	int r;

	down_read(&index->lock);
	r = cdp_index_locate(index, item->io->volume, lineage, item->lba, 1, true,
			     &item->location);
	up_read(&index->lock);
	return r;
}

/*
 * A round of bios, one an item
 */
static void batch_put(struct batch *b)
{
	if (atomic_dec_and_test(&b->pending))
		complete(&b->done);
}

static void partial_end_io(struct bio *bio)
{
	struct partial_bio *pb = container_of(bio, struct partial_bio, bio);
	struct batch *b = pb->batch;

	if (bio->bi_status)
		pb->item->error = blk_status_to_errno(bio->bi_status);
	bio_uninit(bio);
	kfree(pb);
	batch_put(b);
}

static void submit_block(struct batch *b, struct partial *item, u64 pblock, blk_opf_t opf)
{
	struct cdp_pool *pool = b->pool;
	struct partial_bio *pb = kmalloc(sizeof(*pb), GFP_NOIO | __GFP_NOFAIL);

	pb->item = item;
	pb->batch = b;
	bio_init(&pb->bio, pool->data_bdev, &pb->vec, 1, opf);
	pb->bio.bi_iter.bi_sector = pool->data_start + (pblock << pool->block_shift);
	pb->bio.bi_end_io = partial_end_io;
	__bio_add_page(&pb->bio, item->page, pool->block_sectors << SECTOR_SHIFT, 0);
	atomic_inc(&b->pending);
	submit_bio(&pb->bio);
}

static void begin_round(struct batch *b)
{
	atomic_set(&b->pending, 1);
	reinit_completion(&b->done);
}

static void end_round(struct batch *b)
{
	batch_put(b);
	wait_for_completion_io(&b->done);
}

static void read_block(struct batch *b, struct partial *item, u64 time)
{
	struct cdp_pool *pool = b->pool;

	item->error = locate(b, item, time);
	if (item->error)
		return;
	item->page = mempool_alloc(&pool->partial_pages, GFP_NOIO);
	if (item->location.zero)
		memset(page_address(item->page), 0, pool->block_sectors << SECTOR_SHIFT);
	else
		submit_block(b, item, item->location.pblock, REQ_OP_READ);
}

static void modify(struct cdp_pool *pool, struct partial *item)
{
	struct bio *bio = cdp_io_bio(item->io);
	sector_t offset = bio->bi_iter.bi_sector & (pool->block_sectors - 1);
	u8 *to = (u8 *)page_address(item->page) + (offset << SECTOR_SHIFT);
	struct bvec_iter iter;
	struct bio_vec vec;

	if (bio_op(bio) == REQ_OP_WRITE_ZEROES) {
		memset(to, 0, bio->bi_iter.bi_size);
		return;
	}
	bio_for_each_segment(vec, bio, iter) {
		memcpy_from_bvec(to, &vec);
		to += vec.bv_len;
	}
}

static void write_block(struct batch *b, struct partial *item, u64 time)
{
	struct cdp_io *io = item->io;

	if (item->error)
		return;
	modify(b->pool, item);
	item->error = cdp_io_begin_write_at(io, item->lba, time);
	if (!item->error)
		submit_block(b, item, io->pblock, REQ_OP_WRITE | REQ_SYNC);
}

/*
 * The batch was counted at the gate as a whole; each item leaves it, by way of
 * cdp_io_end_write() if it got so far.
 */
static void finish(struct batch *b, struct partial *item, u8 side)
{
	struct cdp_pool *pool = b->pool;
	struct cdp_io *io = item->io;

	if (item->page)
		mempool_free(item->page, &pool->partial_pages);
	io->side = side;
	if (io->extents)
		cdp_io_end_write(io, !item->error);
	else
		cdp_gate_leave(&pool->gate, side);
	cdp_io_finish(io, errno_to_blk_status(item->error));
}

static void run_batch(struct batch *b)
{
	struct cdp_pool *pool = b->pool;
	unsigned int i;
	u64 time;
	u8 side;

	time = cdp_gate_drain_enter(&pool->gate, &pool->lock, b->nr, &side);
	begin_round(b);
	for (i = 0; i < b->nr; i++)
		read_block(b, &b->items[i], time);
	end_round(b);

	begin_round(b);
	for (i = 0; i < b->nr; i++)
		write_block(b, &b->items[i], time);
	end_round(b);

	for (i = 0; i < b->nr; i++)
		finish(b, &b->items[i], side);
}

void cdp_partial_work(struct work_struct *work)
{
	struct cdp_pool *pool = container_of(work, struct cdp_pool, partial_work);
	unsigned int noio = memalloc_noio_save();
	struct batch *b = kzalloc(sizeof(*b), GFP_KERNEL | __GFP_NOFAIL);

	b->pool = pool;
	init_completion(&b->done);
	for (;;) {
		while (cdp_io_may_write(pool) == -EAGAIN)
			cdp_checkpoint_run(pool);
		mutex_lock(&pool->partial_mutex);
		b->nr = 0;
		take_batch(b);
		if (b->nr)
			run_batch(b);
		mutex_unlock(&pool->partial_mutex);
		if (!b->nr)
			break;
	}
	kfree(b);
	memalloc_noio_restore(noio);
}
