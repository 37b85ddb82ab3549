// SPDX-License-Identifier: GPL-2.0-only
/*
 * kvm-hotsnap: memory that can be frozen while it is in use.
 *
 * Where to begin reading: memory.h (the invariants, and why a freeze is an instant), pages.c
 * (the one hook that sees every writer), freeze.c, snapshot.h.
 */
#include "super.h"
#include "latency.h"

#include <linux/module.h>

static int __init hotsnap_init(void)
{
	int r;

	BUILD_BUG_ON(PAGE_SIZE != HOTSNAP_PAGE_SIZE);
	r = hotsnap_super_init();
	if (!r)
		hotsnap_latency_init();
	return r;
}

static void __exit hotsnap_exit(void)
{
	hotsnap_latency_exit();
	hotsnap_super_exit();
}

module_init(hotsnap_init);
module_exit(hotsnap_exit);

MODULE_DESCRIPTION("File system for guest memory that can be frozen");
MODULE_LICENSE("GPL");
