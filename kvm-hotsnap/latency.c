// SPDX-License-Identifier: GPL-2.0-only
#include "latency.h"

#include <linux/debugfs.h>
#include <linux/log2.h>
#include <linux/percpu.h>
#include <linux/seq_file.h>

enum { NR_BUCKETS = 40 };	/* of 2^n ns: up to nine minutes */

static DEFINE_PER_CPU(u64[NR_BUCKETS], buckets);
static struct dentry *dir;

void hotsnap_latency_end(u64 start)
{
	u64 ns = ktime_get_ns() - start;

	this_cpu_inc(buckets[min(ilog2(ns | 1), NR_BUCKETS - 1)]);
}

/* A line for each bucket that is not empty: at least so many ns, faults. */
static int write_fault_ns_show(struct seq_file *seq, void *v)
{
	unsigned int i;
	int cpu;

	for (i = 0; i < NR_BUCKETS; i++) {
		u64 n = 0;

		for_each_possible_cpu(cpu)
			n += READ_ONCE(per_cpu(buckets, cpu)[i]);
		if (n)
			seq_printf(seq, "%llu %llu\n", 1ULL << i, n);
	}
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(write_fault_ns);

void hotsnap_latency_init(void)
{
	dir = debugfs_create_dir("hotsnap", NULL);
	debugfs_create_file("write_fault_ns", 0444, dir, NULL, &write_fault_ns_fops);
}

void hotsnap_latency_exit(void)
{
	debugfs_remove_recursive(dir);
}
