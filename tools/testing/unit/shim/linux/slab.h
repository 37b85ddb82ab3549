/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SHIM_LINUX_SLAB_H
#define SHIM_LINUX_SLAB_H

#include <stdlib.h>
#include <linux/gfp.h>
#include <linux/types.h>

/* A test's: the how manieth allocation from now on fails; 0: none. */
__attribute__((weak)) unsigned int shim_fail_alloc;

static inline bool shim_alloc_fails(void)
{
	return shim_fail_alloc && !--shim_fail_alloc;
}

static inline void *kmalloc(size_t size, gfp_t gfp)
{
	(void)gfp;
	return shim_alloc_fails() ? NULL : malloc(size);
}

static inline void *kcalloc(size_t n, size_t size, gfp_t gfp)
{
	(void)gfp;
	return shim_alloc_fails() ? NULL : calloc(n, size);
}

static inline void *kzalloc(size_t size, gfp_t gfp)
{
	return kcalloc(1, size, gfp);
}

static inline void kfree(const void *p)
{
	free((void *)p);
}

#endif
