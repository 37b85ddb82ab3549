/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A pool that is closed, or images of its devices, as the module would see it after opening:
 * what the metadata device holds, and on top of it what the journal holds.
 *
 * What is wrong with it is a finding; reading goes on after one.
 */
#ifndef CDP_TOOL_OFFLINE_H
#define CDP_TOOL_OFFLINE_H

#include <json-c/json.h>

#include "lineage.h"
#include "names.h"
#include "ring.h"
#include "walk.h"

struct off_volume {
	u32 id;
	char name[CDP_NAME_SIZE];
	u64 nr_sectors;
	u64 created;
	bool deleted;
	u32 nr_declared;		/* branches, as the volume's entry says */
	u32 nr_branches;
	struct cdp_branch *branches;
	u64 newest[CDP_NR_LEVELS];
};

struct off_mark {
	u64 time;
	char name[CDP_NAME_SIZE];
	u32 nr_volumes;
	u32 volumes[CDP_MARK_VOLUMES];
};

struct off_version {
	struct cdp_version v;
	u64 seq;			/* of the journal block */
	bool in_index;
};

struct offline {
	const char *metadata_path, *data_path;
	struct cdp_image metadata, data;
	bool has_super;			/* the superblock can be used; otherwise nothing is */
	bool has_data;			/* and its label is right */
	struct cdp_walk walk;
	struct cdp_label label;
	struct cdp_ring ring;

	struct off_volume *volumes;	/* by id */
	struct off_mark *marks;		/* by time */
	struct off_version *tail;	/* by key; of the journal */
	unsigned int nr_volumes, nr_marks, nr_saved_marks;
	unsigned int max_volumes, max_marks;	/* for which there is room */
	struct names volume_names, mark_names;	/* of those that are not deleted */
	u64 nr_tail, max_tail;
	u32 next_volume;

	json_object *findings;		/* of {where, what} */
	unsigned long long nr_findings;
	int (*record)(struct offline *o, u64 seq, const struct cdp_record *record);
};

/*
 * Opens the devices and reads superblock and label.  An exit code; a device that cannot be
 * opened is told at once.  data: NULL if there is none.
 */
int offline_open(struct offline *o, const char *metadata, const char *data);
void offline_close(struct offline *o);

/* Adds a finding, and prints it. */
void offline_finding(struct offline *o, const char *where, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Adds the findings to the JSON document. */
void offline_add_findings(const struct offline *o);

/* Volumes, branches, marks of the metadata device; then the journal.  Exit codes. */
int offline_load(struct offline *o);

struct off_volume *offline_volume(struct offline *o, u32 id);

/* The journal's version with that key, or NULL. */
struct off_version *offline_tail(struct offline *o, u64 hi, u64 time);

#endif
