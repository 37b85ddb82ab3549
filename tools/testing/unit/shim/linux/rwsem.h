/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SHIM_LINUX_RWSEM_H
#define SHIM_LINUX_RWSEM_H

/* Tests have one thread; they can see that what was taken was given back. */
struct rw_semaphore {
	int writers, taken;
};

static inline void down_write(struct rw_semaphore *sem)
{
	sem->writers++;
	sem->taken++;
}

static inline void up_write(struct rw_semaphore *sem)
{
	sem->writers--;
}

#endif
