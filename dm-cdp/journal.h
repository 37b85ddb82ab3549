/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The journal: a ring of 4 KiB blocks in front of the data blocks, on the data device.
 *
 * It makes a flush cheap: the records of the writes since the last flush, in one
 * sequential write, instead of a metadata transaction.  A round takes what is
 * pending (and a catalog change that waits), and writes it as
 *
 *   PREFLUSH | FUA		so the data are durable before their records; or
 *   FUA beside a flush		if all records carry their data's checksum: then
 *				replay can tell whether the data made it.
 *
 * One round is under way at a time; flushes that come meanwhile share the next.
 *
 * Invariants
 * 1. Records leave the pending lists in the order in which their writes
 *    completed; index.added and `taken` count them, so a flush is covered when
 *    `durable` has reached what index.added was at its arrival.
 * 2. Blocks [tail_seq, head) are needed by a replay; a block is reused only after
 *    a checkpoint moved tail_seq past it, and never while a round writes it.
 * 3. When a round starts, all blocks before it are durable.
 *
 * Locking: index.tail_lock, for the counters, the lists and the pending extents.
 */
#ifndef DM_CDP_JOURNAL_H
#define DM_CDP_JOURNAL_H

#include "record.h"

#include <linux/blk_types.h>
#include <linux/list.h>
#include <linux/workqueue.h>

struct cdp_pool;
struct cdp_extent;

enum { CDP_ROUND_BLOCKS = 32 };

struct cdp_waiter {
	struct list_head list;
	u64 needs;		/* records that must be durable */
	void (*done)(struct cdp_waiter *waiter, blk_status_t status); /* any context */
};

struct cdp_journal_event {
	const void *record;
	unsigned int len;
	bool taken;
	struct cdp_waiter waiter;
};

struct cdp_journal {
	u64 blocks;		/* of the ring */
	u64 head;		/* seq of the next block */
	u64 tail_seq;		/* seq of the oldest block that a replay needs */
	u64 taken, durable;	/* records; how many were added: index.added */
	bool busy;		/* a round is under way */
	blk_status_t failed;	/* once it could not be written, no flush succeeds */
	u64 flushed_at;		/* index.added when the last flush came */
	unsigned int small_flushes; /* how many in a row had few writes before them */
	struct list_head waiters;
	struct cdp_journal_event *event;
	struct work_struct work;

	/* The round under way. */
	struct page *pages[CDP_ROUND_BLOCKS];
	unsigned int nr_pages;
	u64 round_taken;
	atomic_t bios;
	blk_status_t status;
	struct bio bio;
	struct bio bio_wrapped;	/* where the ring wraps */
	struct bio flush;
	struct bio_vec vecs[CDP_ROUND_BLOCKS];
};

int cdp_journal_create(struct cdp_pool *pool);
void cdp_journal_destroy(struct cdp_journal *journal);

/* Unit of the data device, in sectors, where block seq stands. */
u64 cdp_journal_sector(const struct cdp_journal *journal, u64 seq);

/*
 * Calls waiter->done() once all writes completed so far are durable.  From process
 * context the round starts here; from others use _later.
 */
void cdp_journal_flush(struct cdp_pool *pool, struct cdp_waiter *waiter);
void cdp_journal_flush_later(struct cdp_pool *pool, struct cdp_waiter *waiter);

/*
 * Do flushes come so close that it pays to give each write a checksum, so that its round
 * need not wait for the data's flush?
 */
bool cdp_journal_wants_checked(const struct cdp_pool *pool);

/*
 * Makes a catalog change durable, after everything that completed before.  The
 * caller holds the catalog's mutex.  0; -EAGAIN: no room before the next
 * checkpoint; -EIO.
 */
int cdp_journal_event(struct cdp_pool *pool, const void *record, unsigned int len);

/* A checkpoint has made everything before seq superfluous, and dropped `dropped` pending. */
void cdp_journal_trim(struct cdp_pool *pool, u64 seq, u64 dropped);

/* Starts a round if something waits; process context. */
void cdp_journal_kick(struct cdp_pool *pool);

#endif
