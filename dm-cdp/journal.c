// SPDX-License-Identifier: GPL-2.0-only
#include "pool.h"

#include <linux/blk-cgroup.h>
#include <linux/completion.h>
#include <linux/slab.h>

enum {
	FEW_WRITES = 16,	/* between two flushes */
	SMALL_FLUSHES = 4,	/* in a row, and the next one is expected to be one too */
};

u64 cdp_journal_sector(const struct cdp_journal *journal, u64 seq)
{
	u64 block;

	div64_u64_rem(seq, journal->blocks, &block);
	return (1 + block) * CDP_UNIT_SECTORS;
}

static struct cdp_pool *journal_pool(struct cdp_journal *journal)
{
	return container_of(journal, struct cdp_pool, journal);
}

/* Those that the durable records cover, or all if the journal has failed. */
static blk_status_t take_waiters(struct cdp_journal *j, struct list_head *done)
{
	struct cdp_waiter *waiter, *next;

	list_for_each_entry_safe(waiter, next, &j->waiters, list)
		if (j->failed || waiter->needs <= j->durable)
			list_move_tail(&waiter->list, done);
	return j->failed;
}

/* Without the lock.  The last one may be what kept the pool: nothing of it is touched after. */
static void call_waiters(struct list_head *done, blk_status_t status)
{
	struct cdp_waiter *waiter, *next;

	list_for_each_entry_safe(waiter, next, done, list)
		waiter->done(waiter, status);
}

static void complete_waiters(struct cdp_pool *pool)
{
	unsigned long flags;
	blk_status_t status;
	LIST_HEAD(done);

	spin_lock_irqsave(&pool->index.tail_lock, flags);
	status = take_waiters(&pool->journal, &done);
	spin_unlock_irqrestore(&pool->index.tail_lock, flags);
	call_waiters(&done, status);
}

/*
 * A round, from encoding to completion
 */
static void round_done(struct cdp_pool *pool)
{
	struct cdp_journal *j = &pool->journal;
	struct cdp_journal_event *event = NULL;
	blk_status_t status = j->status;
	unsigned long flags;
	LIST_HEAD(done);

	if (status)
		cdp_pool_set_mode(pool, CDP_MODE_READ_ONLY, "the journal could not be written");
	cdp_checkpoint_poll(pool);

	spin_lock_irqsave(&pool->index.tail_lock, flags);
	j->busy = false;
	if (status)
		j->failed = status;
	else
		j->durable = j->round_taken;
	if (j->event && (j->event->taken || status)) {
		event = j->event;
		j->event = NULL;
	}
	take_waiters(j, &done);
	if (!list_empty(&j->waiters) || j->event)
		queue_work(pool->journal_wq, &j->work);
	spin_unlock_irqrestore(&pool->index.tail_lock, flags);

	if (event)
		event->waiter.done(&event->waiter, status);
	call_waiters(&done, status);
}

static void round_end_io(struct bio *bio)
{
	struct cdp_journal *j = bio->bi_private;

	if (bio->bi_status)
		WRITE_ONCE(j->status, bio->bi_status);
	bio_uninit(bio);
	if (atomic_dec_and_test(&j->bios))
		round_done(journal_pool(j));
}

static struct cdp_extent *take_pending(struct cdp_index *index)
{
	struct cdp_extent *extent = NULL;

	if (index->frozen)
		extent = cdp_tail_pop_pending(index->frozen);
	return extent ?: cdp_tail_pop_pending(index->active);
}

static bool has_pending(const struct cdp_index *index)
{
	return index->active->pending || (index->frozen && index->frozen->pending);
}

static void encode_extent(void *record, const struct cdp_extent *extent)
{
	struct cdp_version v = extent->v;

	if (extent->checked)
		v.flags |= CDP_CHECKED;
	cdp_write_record_pack(record, &v, extent->csum);
}

/* One block of pending records; true if all of them can be judged by replay alone. */
static bool encode_extents(struct cdp_pool *pool, void *block)
{
	struct cdp_journal *j = &pool->journal;
	bool checked = true;
	unsigned int n;

	for (n = 0; n < CDP_WRITES_PER_BLOCK; n++) {
		struct cdp_extent *extent = take_pending(&pool->index);

		if (!extent)
			break;
		if (!extent->checked && !(extent->v.flags & CDP_TOMBSTONE))
			checked = false;
		encode_extent(cdp_journal_append(block, sizeof(struct cdp_write_record_disk)),
			      extent);
		j->taken++;
	}
	return checked;
}

static void encode_event(struct cdp_journal *j, void *block)
{
	void *record;

	if (!j->event || j->event->taken)
		return;
	record = cdp_journal_append(block, j->event->len);
	if (!record)
		return;
	memcpy(record, j->event->record, j->event->len);
	j->event->taken = true;
}

enum round_kind { ROUND_NONE, ROUND_CHECKED, ROUND_ORDERED };

/*
 * Fills the pages of a round, under the lock, which bounds it: 4032 records, that may all be
 * cold in the cache.  Smaller rounds would cost a flush of the device each.  The event comes
 * last: after every record of a write that completed before.
 */
static enum round_kind encode_round(struct cdp_pool *pool)
{
	struct cdp_journal *j = &pool->journal;
	u64 room = j->blocks - (j->head - j->tail_seq);
	struct cdp_journal_header header = {
		.commit_seq = j->head,
		.durable_seq = j->head - 1,
	};
	bool checked = true;

	j->nr_pages = 0;
	while (j->nr_pages < min_t(u64, room, CDP_ROUND_BLOCKS)) {
		void *block = page_address(j->pages[j->nr_pages]);

		if (!has_pending(&pool->index) && !(j->event && !j->event->taken))
			break;
		header.seq = j->head++;
		cdp_journal_init(block, pool->metadata.super.uuid, &header);
		checked &= encode_extents(pool, block);
		if (!has_pending(&pool->index))
			encode_event(j, block);
		j->nr_pages++;
	}
	j->round_taken = j->taken;
	if (!j->nr_pages)
		return ROUND_NONE;
	return checked ? ROUND_CHECKED : ROUND_ORDERED;
}

/* All of the pool's volumes share it: it is not charged to whom happens to flush. */
static void round_bio_init(struct cdp_pool *pool, struct bio *bio, struct bio_vec *vecs,
			   unsigned int nr, blk_opf_t opf)
{
	bio_init(bio, NULL, vecs, nr, opf);
	bio->bi_bdev = pool->data_bdev;
	bio_associate_blkg_from_css(bio, blkcg_root_css);
	bio->bi_private = &pool->journal;
	bio->bi_end_io = round_end_io;
}

static void submit_blocks(struct cdp_pool *pool, struct bio *bio, unsigned int first,
			  unsigned int nr, u64 seq, blk_opf_t opf)
{
	struct cdp_journal *j = &pool->journal;
	unsigned int i;

	round_bio_init(pool, bio, &j->vecs[first], nr, opf);
	bio->bi_iter.bi_sector = cdp_journal_sector(j, seq);
	for (i = first; i < first + nr; i++)
		__bio_add_page(bio, j->pages[i], CDP_UNIT_SIZE, 0);
	submit_bio(bio);
}

static void submit_flush(struct cdp_pool *pool)
{
	struct cdp_journal *j = &pool->journal;

	round_bio_init(pool, &j->flush, NULL, 0, REQ_OP_WRITE | REQ_PREFLUSH | REQ_SYNC | REQ_IDLE);
	submit_bio(&j->flush);
}

/*
 * SYNC and IDLE, as for direct I/O: writeback throttling is not for them.
 *
 * Ordered: each bio flushes before it writes, so whichever lands first, data come before
 * records.  The ring may wrap inside a round.
 */
static void submit_round(struct cdp_pool *pool, enum round_kind kind, u64 seq)
{
	struct cdp_journal *j = &pool->journal;
	blk_opf_t opf = REQ_OP_WRITE | REQ_FUA | REQ_SYNC | REQ_IDLE | REQ_META;
	unsigned int i, first, nr = j->nr_pages;
	u64 to_end;

	for (i = 0; i < nr; i++)
		cdp_journal_seal(page_address(j->pages[i]));
	if (kind == ROUND_ORDERED)
		opf |= REQ_PREFLUSH;

	div64_u64_rem(seq, j->blocks, &to_end);
	to_end = j->blocks - to_end;
	first = min_t(u64, nr, to_end);

	j->status = BLK_STS_OK;
	atomic_set(&j->bios, 1 + (kind == ROUND_CHECKED) + (first < nr));
	submit_blocks(pool, &j->bio, 0, first, seq, opf);
	if (first < nr)
		submit_blocks(pool, &j->bio_wrapped, first, nr - first, seq + first, opf);
	if (kind == ROUND_CHECKED)
		submit_flush(pool);
}

/*
 * No room: a checkpoint frees some and makes durable what waits.  An event cannot wait for
 * it, as its caller holds the catalog that a checkpoint needs: it is given back.  Without
 * checkpoints (the metadata device has failed) the journal ends here.  The caller
 * holds the lock, under which it was seen that there is no room.
 */
static struct cdp_journal_event *starve(struct cdp_pool *pool)
{
	struct cdp_journal *j = &pool->journal;
	struct cdp_journal_event *event = j->event;

	j->event = NULL;
	if (!cdp_pool_writable(pool))
		j->failed = BLK_STS_IOERR;
	return event;
}

void cdp_journal_kick(struct cdp_pool *pool)
{
	struct cdp_journal *j = &pool->journal;
	struct cdp_journal_event *starved_event = NULL;
	enum round_kind kind = ROUND_NONE;
	unsigned long flags;
	bool starved = false;
	u64 seq;

	spin_lock_irqsave(&pool->index.tail_lock, flags);
	if (!j->busy && !j->failed && (!list_empty(&j->waiters) || j->event)) {
		seq = j->head;
		kind = encode_round(pool);
		j->busy = kind != ROUND_NONE;
		starved = !j->busy && (has_pending(&pool->index) || j->event);
		if (starved)
			starved_event = starve(pool);
	}
	spin_unlock_irqrestore(&pool->index.tail_lock, flags);

	if (kind != ROUND_NONE)
		submit_round(pool, kind, seq);
	if (starved_event)
		starved_event->waiter.done(&starved_event->waiter, BLK_STS_AGAIN);
	if (starved && cdp_pool_writable(pool))
		cdp_checkpoint_kick(pool);
	else if (starved)
		complete_waiters(pool);
}

static void journal_work(struct work_struct *work)
{
	cdp_journal_kick(journal_pool(container_of(work, struct cdp_journal, work)));
}

/*
 * Waiting for a round
 */
static void note_flush(struct cdp_journal *j, u64 added)
{
	if (added - j->flushed_at > FEW_WRITES)
		j->small_flushes = 0;
	else if (j->small_flushes < SMALL_FLUSHES)
		j->small_flushes++;
	j->flushed_at = added;
}

/*
 * A device without a volatile cache has nothing to wait for.  What is read here without
 * the lock is a guess about the future anyhow.
 */
bool cdp_journal_wants_checked(const struct cdp_pool *pool)
{
	return READ_ONCE(pool->journal.small_flushes) == SMALL_FLUSHES &&
	       READ_ONCE(pool->index.added) - READ_ONCE(pool->journal.flushed_at) <=
	       FEW_WRITES && bdev_write_cache(pool->data_bdev);
}

/* True if it has to wait.  Later: a worker starts the round. */
static bool add_waiter(struct cdp_pool *pool, struct cdp_waiter *waiter, bool later)
{
	struct cdp_journal *j = &pool->journal;
	blk_status_t failed;
	bool covered;
	unsigned long flags;

	spin_lock_irqsave(&pool->index.tail_lock, flags);
	waiter->needs = pool->index.added;
	note_flush(j, waiter->needs);
	failed = j->failed;
	covered = failed || waiter->needs <= j->durable;
	if (!covered)
		list_add_tail(&waiter->list, &j->waiters);
	if (!covered && later)
		queue_work(pool->journal_wq, &j->work);
	spin_unlock_irqrestore(&pool->index.tail_lock, flags);

	if (covered)
		waiter->done(waiter, failed);
	return !covered;
}

void cdp_journal_flush(struct cdp_pool *pool, struct cdp_waiter *waiter)
{
	if (add_waiter(pool, waiter, false))
		cdp_journal_kick(pool);
}

void cdp_journal_flush_later(struct cdp_pool *pool, struct cdp_waiter *waiter)
{
	add_waiter(pool, waiter, true);
}

struct sync_waiter {
	struct completion completion;
	blk_status_t status;
	struct cdp_journal_event event;
};

static void sync_done(struct cdp_waiter *waiter, blk_status_t status)
{
	struct sync_waiter *s = container_of(waiter, struct sync_waiter, event.waiter);

	s->status = status;
	complete(&s->completion);
}

int cdp_journal_event(struct cdp_pool *pool, const void *record, unsigned int len)
{
	struct cdp_journal *j = &pool->journal;
	struct sync_waiter s = {
		.event = { .record = record, .len = len, .waiter.done = sync_done },
	};

	lockdep_assert_held(&pool->catalog.mutex);
	init_completion(&s.completion);
	spin_lock_irq(&pool->index.tail_lock);
	if (j->failed) {
		spin_unlock_irq(&pool->index.tail_lock);
		return -EIO;
	}
	j->event = &s.event;
	spin_unlock_irq(&pool->index.tail_lock);

	cdp_journal_kick(pool);
	wait_for_completion_io(&s.completion);
	return s.status == BLK_STS_AGAIN ? -EAGAIN : blk_status_to_errno(s.status);
}

void cdp_journal_trim(struct cdp_pool *pool, u64 seq, u64 dropped)
{
	struct cdp_journal *j = &pool->journal;
	unsigned long flags;

	spin_lock_irqsave(&pool->index.tail_lock, flags);
	j->tail_seq = seq;
	j->taken += dropped;
	if (!j->busy)
		j->durable = j->taken;
	else
		j->round_taken = max(j->round_taken, j->taken);
	spin_unlock_irqrestore(&pool->index.tail_lock, flags);

	complete_waiters(pool);
	cdp_journal_kick(pool);
}

int cdp_journal_create(struct cdp_pool *pool)
{
	struct cdp_journal *j = &pool->journal;
	unsigned int i;

	spin_lock_irq(&pool->index.tail_lock);
	INIT_LIST_HEAD(&j->waiters);
	spin_unlock_irq(&pool->index.tail_lock);
	INIT_WORK(&j->work, journal_work);
	for (i = 0; i < CDP_ROUND_BLOCKS; i++) {
		j->pages[i] = alloc_page(GFP_KERNEL);
		if (!j->pages[i])
			return -ENOMEM;
	}
	return 0;
}

void cdp_journal_destroy(struct cdp_journal *journal)
{
	unsigned int i;

	for (i = 0; i < CDP_ROUND_BLOCKS; i++)
		if (journal->pages[i])
			__free_page(journal->pages[i]);
}
