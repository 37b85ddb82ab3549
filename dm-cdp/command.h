/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Messages to the pool, as words: which verb, which names, numbers and instants.  What is
 * not of the grammar is refused here; whether it makes sense for a pool is not known here.
 *
 * Pure: user space compiles it too.
 */
#ifndef DM_CDP_COMMAND_H
#define DM_CDP_COMMAND_H

#include <linux/types.h>
#include <linux/dm-cdp.h>

enum cdp_verb {
	CDP_CMD_CREATE_VOLUME,
	CDP_CMD_DELETE_VOLUME,
	CDP_CMD_MARK,
	CDP_CMD_UNMARK,
	CDP_CMD_REVERT,
	CDP_CMD_RESOLVE,
	CDP_CMD_LIST_VOLUMES,
	CDP_CMD_LIST_MARKS,
	CDP_CMD_LIST_BRANCHES,
	CDP_CMD_TIME,
	CDP_CMD_CHECKPOINT,
	CDP_NR_COMMANDS,
};

/* An instant as it was written. */
struct cdp_when {
	const char *mark;	/* its name, or NULL: */
	u64 us;			/* microseconds since 1970 */
};

/* All strings are the caller's words; what the verb does not take is 0. */
struct cdp_command {
	enum cdp_verb verb;
	const char *name;	/* of a volume; of (un)mark: the mark's */
	u64 number;		/* create_volume: sectors; list_marks: after that time */
	struct cdp_when when;
	unsigned int nr_volumes; /* mark: 0 for all */
	char **volumes;
};

/*
 * Parses a message.  Returns NULL, or why it is refused, in words for a person, and sets
 * *word to what is wrong.
 */
const char *cdp_command_parse(struct cdp_command *command, unsigned int argc, char **argv,
			      const char **word);

/* Parses an instant: NULL, or why it is none. */
const char *cdp_when_parse(struct cdp_when *when, const char *word);

#endif
