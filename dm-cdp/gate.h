/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The gate: every write passes it with a time, and whoever needs it can wait
 * until all writes that passed before a moment have completed.
 *
 * Writes are counted in one of two counters; a drain turns the gate to the other
 * one and waits until the first is at zero.  New writes are never held up.
 *
 * Invariants
 * 1. Times only grow, and no two are equal: max(clock in us, last + 1).
 * 2. A write's time is taken and the write counted in one step: after a drain
 *    that returned time T every write with a time before T has completed, and
 *    every later one gets a time after T.
 */
#ifndef DM_CDP_GATE_H
#define DM_CDP_GATE_H

#include <linux/atomic.h>
#include <linux/mutex.h>
#include <linux/sched.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/wait.h>

struct cdp_gate {
	u64 time;			/* the last one handed out; protected by the pool's lock */
	unsigned int side;		/* where writes are counted; ditto */
	atomic_t passed[2];
	struct mutex drain_mutex;	/* one drain at a time */
	wait_queue_head_t drained;
};

void cdp_gate_init(struct cdp_gate *gate, u64 time);

/* The next time.  The caller holds the pool's lock. */
u64 cdp_gate_time(struct cdp_gate *gate);

/* Lets a write pass: its time, and the side to leave by.  The caller holds the lock. */
static inline u64 cdp_gate_enter(struct cdp_gate *gate, u8 *side)
{
	*side = gate->side;
	atomic_inc(&gate->passed[*side]);
	return cdp_gate_time(gate);
}

/*
 * The write has completed and its versions are in the index.  Any context.
 */
static inline void cdp_gate_leave(struct cdp_gate *gate, u8 side)
{
	if (!atomic_dec_and_test(&gate->passed[side]))
		return;
	/* a full barrier came before, as it does in the waiter */
	if (waitqueue_active(&gate->drained))
		wake_up(&gate->drained);
}

/*
 * Waits for all writes that have passed so far; returns a time that separates
 * them from the ones to come.  Sleeps.
 */
u64 cdp_gate_drain(struct cdp_gate *gate, spinlock_t *lock);

/*
 * The same for a worker that is about to write with that very time: at that time nr writes
 * pass the gate as well, to leave by *side.
 */
u64 cdp_gate_drain_enter(struct cdp_gate *gate, spinlock_t *lock, unsigned int nr, u8 *side);

#endif
