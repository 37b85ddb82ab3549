/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Reads the log of a dm-log-writes device, and replays it in part.
 *
 * What the log says of the disk's cache (from dm-log-writes.c, 6.1 and 6.12):
 *
 * - A write that is neither FLUSH nor FUA enters the log not when it is issued but
 *   with the next FLUSH that is issued after it completed: map() takes the list of
 *   completed writes when it sees the FLUSH, and end_io() appends that list, then
 *   the FLUSH, when the FLUSH has completed.  So all that stands before a FLUSH
 *   entry and is a plain write was stable when the FLUSH completed.
 * - A FUA write enters the log when it completes, before plain writes that completed
 *   earlier and are not flushed yet.  It is stable where it stands.
 * - device-mapper splits a FLUSH that carries data: an empty FLUSH, then the data.
 * - A mark enters the log at once.  What was acknowledged as stable before it was
 *   sent stands before it.
 *
 * Hence a power cut after entry n may leave: all FUA writes up to n; all plain
 * writes up to the last FLUSH at or before n; of the plain writes after that FLUSH
 * any part, and any sectors of each, since the disk may have written them back
 * from its cache or not; and any sectors of entry n + 1, if it was under way.
 */
#ifndef CDP_LOG_WRITES_H
#define CDP_LOG_WRITES_H

#include "cdp_test.h"

enum log_flags {
	LOG_FLUSH	= 1 << 0,
	LOG_FUA		= 1 << 1,
	LOG_DISCARD	= 1 << 2,
	LOG_MARK	= 1 << 3,
};

struct log_entry {
	u64 flags;
	u64 sector;
	u64 nr_sectors;
	u64 data;		/* byte offset in the log of what was written */
	char *mark;		/* LOG_MARK: its text */
};

struct write_log {
	int fd;
	unsigned int nr;
	struct log_entry *entry;
};

void write_log_load(struct write_log *log, const char *device);
void write_log_free(struct write_log *log);

/*
 * Does to the device (a descriptor, O_DIRECT) what the entry did.  keep: of 100
 * sectors so many are written, chosen by rng; 100 writes all of it.
 */
void write_log_apply(const struct write_log *log, const struct log_entry *entry, int fd,
		     struct rng *rng, u32 keep);

static inline bool log_entry_writes(const struct log_entry *entry)
{
	return entry->nr_sectors && !(entry->flags & LOG_MARK);
}

static inline bool log_entry_flushes(const struct log_entry *entry)
{
	return entry->flags & LOG_FLUSH;
}

#endif
