/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The judge: is this image what the memory was at one instant?
 *
 * Let `before` be the operations of a writer that were over when the freeze began, and `after`
 * those that had begun when it had returned.  The image must show
 *
 *  - of each writer, everything up to some point of its log, its cut, and nothing behind that,
 *    in all of its slots and pages alike; with before <= cut <= after;
 *
 *  - of each operation that is done at once, all or nothing; of the others, the first part;
 *
 *  - no effect without its cause.  If A was over before B began (A.done < B.issue: tickets are
 *    drawn by one atomic counter, so then A's writes happened before B's), an instant at which
 *    B's first byte was there had all of A.  So across all writers the latest issue of an
 *    operation that shows must not be later than the earliest done of one that does not, or
 *    not all of it.  Two operations that overlap in time may show in any combination.
 *
 * One image may fit several cuts, where operations change nothing: a hole in a hole.  The
 * first of them says what certainly shows, the last what certainly does not.
 */
#ifndef HOTSNAP_INSTANT_H
#define HOTSNAP_INSTANT_H

#include "writers.h"

enum {
	WHY_SIZE	= 256,
};

/* Numbers of operations, by writer. */
struct instant {
	u64 before[MAX_WRITERS];
	u64 after[MAX_WRITERS];
};

/* To be called right before and right after the freeze. */
void instant_before(struct world *w, struct instant *t);
void instant_after(struct world *w, struct instant *t);

/* What the memory was when all writers had come to known points of their logs. */
struct judge {
	struct world *world;
	u64 at[MAX_WRITERS];
	u64 size;
	u8 *image;
	u8 *scratch;
};

void judge_init(struct judge *j, struct world *w);
/*
 * Whether the image is one of that instant; if not, why.  What it has behind `size` has to be
 * zeroes.  Instants have to come in their order: the log before them is given up.
 */
bool judge_accepts(struct judge *j, const struct instant *t, const u8 *image, u64 size, char *why);
/* There is no image of that instant. */
void judge_skip(struct judge *j, const struct instant *t);

#endif
