/* SPDX-License-Identifier: GPL-2.0-only */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM hotsnap

#if !defined(KVM_HOTSNAP_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define KVM_HOTSNAP_TRACE_H

#include "snapshot.h"

#include <linux/tracepoint.h>

/* One that was refused has id 0. */
TRACE_EVENT(hotsnap_freeze,
	TP_PROTO(const struct hotsnap_snapshot *snapshot, const struct hotsnap_freeze *freeze),
	TP_ARGS(snapshot, freeze),
	TP_STRUCT__entry(
		__field(unsigned long, ino)
		__field(u64, id)
		__field(u64, base)
		__field(u64, pages)
		__field(u64, armed)
		__field(u64, pinned)
		__field(u64, wait_ns)
	),
	TP_fast_assign(
		__entry->ino = snapshot->memory->inode.i_ino;
		__entry->id = snapshot->id;
		__entry->base = snapshot->base;
		__entry->pages = freeze->pages;
		__entry->armed = freeze->armed;
		__entry->pinned = freeze->pinned;
		__entry->wait_ns = freeze->wait_ns;
	),
	TP_printk("ino=%lu id=%llu base=%llu pages=%llu armed=%llu pinned=%llu wait_ns=%llu",
		  __entry->ino, __entry->id, __entry->base, __entry->pages, __entry->armed,
		  __entry->pinned, __entry->wait_ns)
);

TRACE_EVENT(hotsnap_end,
	TP_PROTO(const struct hotsnap_snapshot *snapshot, enum hotsnap_state state),
	TP_ARGS(snapshot, state),
	TP_STRUCT__entry(
		__field(unsigned long, ino)
		__field(u64, id)
		__field(int, state)
		__field(long, used)
	),
	TP_fast_assign(
		__entry->ino = snapshot->memory->inode.i_ino;
		__entry->id = snapshot->id;
		__entry->state = state;
		__entry->used = atomic_long_read(&snapshot->used);
	),
	TP_printk("ino=%lu id=%llu %s, %ld pages in the buffer", __entry->ino, __entry->id,
		  __print_symbolic(__entry->state, { HOTSNAP_STATE_COMMITTED, "committed" },
				   { HOTSNAP_STATE_ABORTED, "aborted" },
				   { HOTSNAP_STATE_CANCELLED, "cancelled" }),
		  __entry->used)
);

TRACE_EVENT(hotsnap_save,
	TP_PROTO(const struct hotsnap_snapshot *snapshot, pgoff_t index, int writer, bool fresh),
	TP_ARGS(snapshot, index, writer, fresh),
	TP_STRUCT__entry(
		__field(unsigned long, ino)
		__field(u64, id)
		__field(pgoff_t, index)
		__field(int, writer)
		__field(bool, fresh)
	),
	TP_fast_assign(
		__entry->ino = snapshot->memory->inode.i_ino;
		__entry->id = snapshot->id;
		__entry->index = index;
		__entry->writer = writer;
		__entry->fresh = fresh;
	),
	TP_printk("ino=%lu id=%llu index=%lu %s%s", __entry->ino, __entry->id, __entry->index,
		  __print_symbolic(__entry->writer, { HOTSNAP_WRITER_GUEST, "guest" },
				   { HOTSNAP_WRITER_DMA, "dma" },
				   { HOTSNAP_WRITER_KERNEL, "kernel" },
				   { HOTSNAP_WRITER_COPY, "copy" }),
		  __entry->fresh ? " fresh" : "")
);

#endif

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
