/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SHIM_LINUX_VMALLOC_H
#define SHIM_LINUX_VMALLOC_H

#include <linux/slab.h>

static inline void *vcalloc(size_t n, size_t size)
{
	return kcalloc(n, size, GFP_KERNEL);
}

#endif
