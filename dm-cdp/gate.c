// SPDX-License-Identifier: GPL-2.0-only
#include "gate.h"

#include <linux/ktime.h>
#include <linux/minmax.h>
#include <linux/timekeeping.h>

void cdp_gate_init(struct cdp_gate *gate, u64 time)
{
	gate->time = time;
	gate->side = 0;
	atomic_set(&gate->passed[0], 0);
	atomic_set(&gate->passed[1], 0);
	mutex_init(&gate->drain_mutex);
	init_waitqueue_head(&gate->drained);
}

u64 cdp_gate_time(struct cdp_gate *gate)
{
	struct timespec64 now;

	ktime_get_real_ts64(&now);
	gate->time = max_t(u64, gate->time + 1,
			   now.tv_sec * USEC_PER_SEC + now.tv_nsec / NSEC_PER_USEC);
	return gate->time;
}

/*
 * The other side is empty when the gate turns: the drain before this one waited for it, and
 * since then it has only been left.
 */
u64 cdp_gate_drain_enter(struct cdp_gate *gate, spinlock_t *lock, unsigned int nr, u8 *side)
{
	unsigned long flags;
	unsigned int old;
	u64 time;

	mutex_lock(&gate->drain_mutex);
	spin_lock_irqsave(lock, flags);
	old = gate->side;
	gate->side = !old;
	*side = gate->side;
	atomic_add(nr, &gate->passed[*side]);
	time = cdp_gate_time(gate);
	spin_unlock_irqrestore(lock, flags);

	/* Acquire: what those writes put into the tails is seen behind this, without a lock. */
	wait_event(gate->drained, !atomic_read_acquire(&gate->passed[old]));
	mutex_unlock(&gate->drain_mutex);
	return time;
}

u64 cdp_gate_drain(struct cdp_gate *gate, spinlock_t *lock)
{
	u8 side;

	return cdp_gate_drain_enter(gate, lock, 0, &side);
}
