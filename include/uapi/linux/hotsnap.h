/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * kvm-hotsnap: freeze memory that is in use, in milliseconds.
 *
 * A hotsnap file system holds regular files whose page cache is the memory of a guest, or of any
 * process that maps them shared.  Freezing such a file returns a snapshot: a file descriptor
 * whose content stays what the memory was at that instant, while it is written on.
 *
 * Documentation/kvm-hotsnap.rst describes each ioctl with every error and its cause.  All
 * structures have the same layout for 32 and 64 bit; `size` fields hold sizeof the structure,
 * fields that are to be zero are checked.
 */
#ifndef _UAPI_LINUX_HOTSNAP_H
#define _UAPI_LINUX_HOTSNAP_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define HOTSNAP_API_VERSION	1

/* Offsets and lengths are bytes, and multiples of this. */
#define HOTSNAP_PAGE_SIZE	4096

/* Who made a page writable first after a freeze: HotSnap (LISA'13), table 2. */
enum hotsnap_writer {
	HOTSNAP_WRITER_GUEST,		/* a vCPU, or its asynchronous page fault */
	HOTSNAP_WRITER_DMA,		/* user mode: a device that QEMU emulates, any process */
	HOTSNAP_WRITER_KERNEL,		/* kvm_write_guest(), vhost, system calls */
	HOTSNAP_WRITER_COPY,		/* none: read through a mapping of the snapshot */
	HOTSNAP_NR_WRITERS,
};

/* What happens to a write whose old page finds no room in the buffer. */
enum hotsnap_policy {
	HOTSNAP_POLICY_ABORT,		/* the snapshot is given up, the write goes on */
	HOTSNAP_POLICY_WAIT,		/* the writer waits for the reader */
};

enum hotsnap_state {
	HOTSNAP_STATE_NONE,		/* the file has no snapshot */
	HOTSNAP_STATE_FROZEN,		/* it can be read */
	HOTSNAP_STATE_COMMITTED,
	HOTSNAP_STATE_ABORTED,		/* the buffer was full, or there was no memory */
	HOTSNAP_STATE_CANCELLED,
};

/*
 * Memory file: write-protects what is writable in a range, so that a freeze has less to do.
 * Nothing else changes.
 */
struct hotsnap_arm {
	__u64 start;
	__u64 len;
	__u64 armed;			/* out: pages that were writable */
};

/* The snapshot's buffer is bounded; for the next freeze. */
struct hotsnap_buffer {
	__u64 limit;			/* bytes; 0: a quarter of the file */
	__u32 policy;			/* enum hotsnap_policy */
	__u32 wait_ms;			/* HOTSNAP_POLICY_WAIT: then it is given up; 0: never */
};

#define HOTSNAP_FREEZE_INCREMENTAL	(1U << 0)	/* data: pages changed since `base` */
#define HOTSNAP_FREEZE_FLAGS		HOTSNAP_FREEZE_INCREMENTAL

/* Memory file: the instant.  Returns in fd a snapshot, close on exec. */
struct hotsnap_freeze {
	__u32 size;			/* in: of this structure */
	__u32 flags;
	__u64 base;			/* in, incremental: id of the last committed snapshot */
	__u64 id;			/* out: of this one; ids grow */
	__s32 fd;			/* out */
	__u32 reserved;
	__u64 pages;			/* out: that the file has */
	__u64 armed;			/* out: that were still writable */
	__u64 pinned;			/* out: with EBUSY, pages that are pinned for I/O */
	__u64 wait_ns;			/* out: how long writers were held up, at most */
};

/* Snapshot: the reader has this range; its pages are given back and need not be saved. */
struct hotsnap_range {
	__u64 start;
	__u64 len;
};

/* Memory file or snapshot. */
struct hotsnap_status {
	__u32 size;			/* in: of this structure */
	__u32 state;			/* enum hotsnap_state: of the snapshot */
	__u64 id;			/* of the snapshot */
	__u64 base;			/* what an incremental freeze would name, or 0 */
	__u64 pages;			/* that the file has now */
	__u64 writable;			/* that a freeze would have to write-protect */
	__u64 buffer_limit;		/* bytes, as are the next two */
	__u64 buffer_used;
	__u64 buffer_peak;
	__u64 waits;			/* times that a writer found no room, and waited a while */
	__u64 saved[HOTSNAP_NR_WRITERS];/* old pages that were saved, by writer */
	__u64 fresh[HOTSNAP_NR_WRITERS];/* pages that were written and had been empty */
};

/*
 * Memory file, once, while it is empty: where pages come from that it has not yet.  An image, or
 * another file's snapshot.
 */
struct hotsnap_source {
	__s32 fd;
	__u32 reserved;
};

#define HOTSNAP_IOC_MAGIC	0xBE

/* Memory file */
#define HOTSNAP_IOC_ARM		_IOWR(HOTSNAP_IOC_MAGIC, 1, struct hotsnap_arm)
#define HOTSNAP_IOC_BUFFER	_IOW(HOTSNAP_IOC_MAGIC, 2, struct hotsnap_buffer)
#define HOTSNAP_IOC_FREEZE	_IOWR(HOTSNAP_IOC_MAGIC, 3, struct hotsnap_freeze)
#define HOTSNAP_IOC_SOURCE	_IOW(HOTSNAP_IOC_MAGIC, 4, struct hotsnap_source)
/* Memory file and snapshot */
#define HOTSNAP_IOC_STATUS	_IOWR(HOTSNAP_IOC_MAGIC, 16, struct hotsnap_status)
#define HOTSNAP_IOC_CANCEL	_IO(HOTSNAP_IOC_MAGIC, 17)
/* Snapshot */
#define HOTSNAP_IOC_DONE	_IOW(HOTSNAP_IOC_MAGIC, 32, struct hotsnap_range)
#define HOTSNAP_IOC_COMMIT	_IO(HOTSNAP_IOC_MAGIC, 33)

#endif
