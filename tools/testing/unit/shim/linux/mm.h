/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SHIM_LINUX_MM_H
#define SHIM_LINUX_MM_H

#include <limits.h>
#include <linux/slab.h>

/* As in the kernel, it refuses what is larger than an int. */
static inline void *kvcalloc(size_t n, size_t size, gfp_t gfp)
{
	return n * size > INT_MAX ? NULL : kcalloc(n, size, gfp);
}

#define kvmalloc kmalloc
#define kvzalloc kzalloc
#define kvmalloc_array kvcalloc
#define kvfree kfree

#endif
