/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The journal's ring as a replay after a crash would read it.
 *
 * Replay begins at the superblock's journal_seq and ends at the first block that is not the
 * next one.  The last round (the blocks of one commit) may have been written beside its data:
 * of it counts only what stands before the first block with a record whose data do not match
 * their checksum.
 *
 * What lies behind the end is of an older lap, or of a round that a crash cut short; unless
 * a block there says that the one where replay ended was durable: then something was
 * lost.
 */
#ifndef LIBCDP_RING_H
#define LIBCDP_RING_H

#include "image.h"
#include "record.h"
#include "super.h"

enum { CDP_RING_ROUND = 32 };		/* blocks of a round, at most */

typedef int (*cdp_visit_record)(void *context, u64 seq, const struct cdp_record *record);

struct cdp_ring {
	const struct cdp_image *data;
	const struct cdp_super *super;

	/* Of the last cdp_ring_replay() */
	u64 end;			/* the first seq that is not replayed */
	const char *why;		/* it ends there; NULL: the ring is full */
	u64 lost_by;			/* seq of a block that says that end was durable, or 0 */
	u64 nr_records;
	unsigned int nr_cut;		/* blocks of the last round that lack their data */
	u64 bad_seq;			/* of the block, after an error */
};

/*
 * Calls visit() for every record, in order.  0; what visit() returned to end it; -EILSEQ: a
 * block that checks out holds what no version of the module wrote; -EIO, -ENOMEM...
 */
int cdp_ring_replay(struct cdp_ring *ring, cdp_visit_record visit, void *context);

/* The unit of the data device where block seq stands. */
u64 cdp_ring_unit(const struct cdp_super *super, u64 seq);

#endif
