/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SHIM_LINUX_MUTEX_H
#define SHIM_LINUX_MUTEX_H

/* Tests have one thread. */
struct mutex {
	int unused;
};

static inline void mutex_init(struct mutex *mutex)
{
	mutex->unused = 0;
}

static inline void mutex_destroy(struct mutex *mutex)
{
	(void)mutex;
}

#endif
