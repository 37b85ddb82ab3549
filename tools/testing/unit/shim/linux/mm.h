/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SHIM_LINUX_MM_H
#define SHIM_LINUX_MM_H

#include <linux/slab.h>

#define kvmalloc kmalloc
#define kvcalloc kcalloc
#define kvfree kfree

#endif
