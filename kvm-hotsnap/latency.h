/* SPDX-License-Identifier: GPL-2.0-only */
/* How long writers were held up: a histogram in debugfs, hotsnap/write_fault_ns. */
#ifndef KVM_HOTSNAP_LATENCY_H
#define KVM_HOTSNAP_LATENCY_H

#include <linux/ktime.h>
#include <linux/types.h>

static inline u64 hotsnap_latency_start(void)
{
	return ktime_get_ns();
}

void hotsnap_latency_end(u64 start);

void hotsnap_latency_init(void);
void hotsnap_latency_exit(void);

#endif
