/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Answers to messages, status and table lines, as linux/dm-cdp.h tells their grammar.
 *
 * All return 0 or -EPROTO, when the text is not of that grammar.  Words at the end of a line
 * that this version does not know are ignored.
 */
#ifndef LIBCDP_REPLY_H
#define LIBCDP_REPLY_H

#include <linux/types.h>
#include <linux/dm-cdp.h>

struct cdp_volume_line {
	u32 id;
	char name[CDP_NAME_SIZE];
	u64 sectors;
	u64 created;
	u32 branches;
};

struct cdp_mark_line {
	u64 time;
	char name[CDP_NAME_SIZE];
	const char *volumes;	/* "*", or comma-separated: a part of another text */
	size_t volumes_len;
};

struct cdp_branch_line {
	u32 branch;
	u64 start;
	u64 end;		/* CDP_TIME_NOW: goes on */
	u64 revert_to;		/* 0: none, the first branch */
};

struct cdp_pool_status {
	char mode[24];
	u64 time;
	u64 data_used, data_total;
	u64 metadata_used, metadata_total;
	u64 journal_used, journal_total;
	u64 tail;
	u64 volumes;
	u64 marks;
	u64 checkpoints;
};

struct cdp_volume_status {
	u32 id;
	u64 sectors;
	u32 branches;
	u64 branch_start;
};

struct cdp_view_status {
	u32 id;
	u64 sectors;
	u64 instant;
};

/* cdp <pool dev> <volume>, cdp-view <pool dev> <volume> <instant> */
struct cdp_volume_table {
	u32 major, minor;
	char volume[CDP_NAME_SIZE];
	char instant[CDP_NAME_SIZE + 1];	/* empty: a live volume */
};

/* cdp-pool <metadata dev> <data dev> <block size> ... */
struct cdp_pool_table {
	u32 metadata_major, metadata_minor;
	u32 data_major, data_minor;
	u32 block_sectors;
};

/*
 * The next line of *text that is not empty, as a string of its own; NULL at the end or
 * without memory.
 */
char *cdp_reply_line(const char **text);

int cdp_reply_volume(struct cdp_volume_line *v, const char *line);
int cdp_reply_mark(struct cdp_mark_line *m, const char *line);	/* the text is line */
int cdp_reply_branch(struct cdp_branch_line *b, const char *line);

/* The first number of the answer, and the second if there is one (else 0). */
int cdp_reply_times(const char *text, u64 *first, u64 *second);

/* A pool that has failed may say only its mode. */
int cdp_status_pool(struct cdp_pool_status *s, const char *line);
int cdp_status_volume(struct cdp_volume_status *s, const char *line);
int cdp_status_view(struct cdp_view_status *s, const char *line);

int cdp_table_volume(struct cdp_volume_table *t, const char *params);
int cdp_table_pool(struct cdp_pool_table *t, const char *params);

/* Is the volume in the mark's list? */
bool cdp_mark_has(const struct cdp_mark_line *m, const struct cdp_volume_line *v);

#endif
